"""The stage `register`: put the trained model into MLflow's registry, served by `mlflow models serve`."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from entente.errors import for_people
from entente.fingerprint import fingerprint
from entente.text.corpus import replacing
from entente.tracking.registry import package, signature
from pipelines.groups import TURNED
from pipelines.parameters import inputs, read
from pipelines.tracked_run import evaluated_run

MODEL, METRICS = Path("artifacts/model"), Path("artifacts/metrics/train.json")
REFERENCES, REGISTERED = Path("data/prepared/val.references.jsonl"), Path("artifacts/registered.json")
NAME, NAME_TURNED = "entente-en-fr", "entente-fr-en"


@for_people
def main() -> None:
    """Register the model, as a version that its training's run made; say in artifacts/registered.json as what."""
    corpus, settings = read("corpus")["name"], read("training.validation")
    bleu = json.loads(METRICS.read_text(encoding="utf-8"))["val"]["bleu"]
    name = NAME_TURNED if corpus.endswith(TURNED) else NAME
    folder = f"served-{fingerprint(*inputs('register'))[:8]}"  # of the code that serves it too
    judged = fingerprint({"corpus": corpus} | settings, [REFERENCES])
    with TemporaryDirectory() as place, evaluated_run(MODEL) as run:  # which still reads the place as it ends
        packaged = Path(place, "served")
        package(MODEL, packaged)
        run.artifact(packaged, folder)
        run.register(name, folder, corpus=corpus, judged=judged, bleu=bleu)
    told = {"model": name, "corpus": corpus, "val_bleu": bleu, "signature": signature().to_dict()}
    with replacing(REGISTERED) as temporary:
        temporary.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
