"""The stage `register`: put the trained model into MLflow's registry, served by `mlflow models serve`."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from entente.errors import for_people
from entente.tracking.registry import package
from pipelines.parameters import read
from pipelines.tracked_run import evaluated_run

MODEL, METRICS = Path("artifacts/model"), Path("artifacts/metrics/train.json")
NAME = "entente-en-fr"


@for_people
def main() -> None:
    """Register the model, as a version that its training's run made; the best of its corpus is called so."""
    bleu = json.loads(METRICS.read_text(encoding="utf-8"))["val"]["bleu"]
    with evaluated_run(MODEL) as run, TemporaryDirectory() as place:
        packaged = Path(place, "served")
        package(MODEL, packaged)
        run.artifact(packaged, "served")
        run.register(NAME, "served", corpus=read("corpus")["name"], bleu=bleu)


if __name__ == "__main__":
    main()
