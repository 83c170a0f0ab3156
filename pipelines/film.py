"""The stage `film`: a page with a slider over a training, to see how it learnt where to look, and what, and when."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from entente.decoding import greedy
from entente.decoding.settings import Decoding
from entente.errors import for_people
from entente.evaluation.probes import Probe, accuracies, read_probes, within
from entente.model.weights import load_snapshot
from entente.options import construct
from entente.pages.film import Frame, write
from entente.translator import Translator
from pipelines.parameters import read
from pipelines.tracked_run import evaluated_run

PREPARED, MODEL, SNAPSHOTS = Path("data/prepared"), Path("artifacts/model"), Path("artifacts/snapshots")
METRICS, FILM = Path("artifacts/metrics/train.json"), Path("artifacts/film.html")


@for_people
def main() -> None:
    """Look at every kept moment of the training, and at its end, and log the page to the model's run."""
    sentences = read("evaluation")["sentences"]
    path = PREPARED / "probes.jsonl"
    probes = within(read_probes(path), read("evaluation")["dissection"]["probes"]) if path.exists() else []
    with evaluated_run(MODEL) as run:  # opened first: a store that cannot be used says so before the work
        frames = [_frame(updates, translator, sentences, probes) for updates, translator in _moments()]
        write(frames, FILM)
        run.artifact(FILM, "attention")


def _moments() -> Iterator[tuple[int, Translator]]:
    """Yield the moments before that of the weights which were chosen, and that one: updates, and what translates."""
    best = json.loads(METRICS.read_text(encoding="utf-8"))["val"]["updates"]
    whole = Translator.load(MODEL, "auto", construct(Decoding, read("decoding"), "decoding"))
    earlier = [file for file in sorted(SNAPSHOTS.glob("*.safetensors")) if int(file.stem) < best]
    for file in tqdm(earlier, "filming", delay=2, unit=" frames"):
        network = load_snapshot(MODEL, file)
        yield int(file.stem), Translator(network, whole.subwords, whole.decoding, whole.device)
    yield best, whole


def _frame(updates: int, translator: Translator, sentences: Sequence[str], probes: Sequence[Probe]) -> Frame:
    answers = greedy.translate(
        translator.network,
        translator.subwords,
        [probe.source for probe in probes],
        translator.device,
        max_length_factor=translator.decoding.max_length_factor,
        max_length_offset=translator.decoding.max_length_offset,
    )
    return Frame(updates, list(translator.attend(sentences)), accuracies(probes, answers))


if __name__ == "__main__":
    main()
