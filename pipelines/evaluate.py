"""The stage `evaluate`: translate the test sets by beam search, score them, judge the probes, and report."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator
from entente.errors import for_people, masked
from entente.evaluation import report
from entente.evaluation.collapse import collapse
from entente.evaluation.probes import Verdict, judge, read_probes
from entente.evaluation.scores import Bucket, bleu_by_length, score
from entente.options import construct
from entente.text.corpus import read_lines, read_references
from entente.tracking.store import tracking_uri
from pipelines.parameters import read
from pipelines.tracked_run import evaluated_run, note_data

PREPARED, MODEL = Path("data/prepared"), Path("artifacts/model")
EVALUATION = Path("artifacts/evaluation")
METRICS = Path("artifacts/metrics/evaluate.json")
Translate = Callable[[Sequence[str]], Iterable[str]]

CHUNK = 512  # sentences between two steps of the progress bar
SAMPLES = 3
MEASURED = 200  # sentences by which the likeness of words is measured


@for_people
def main() -> None:
    """Evaluate the model in artifacts/model as params.yaml says, log to its run, and print the closing message."""
    tests, bounds = read("corpus")["tests"], read("evaluation")["length_bounds"]
    translator = Translator.load(MODEL, "auto", construct(Decoding, read("decoding"), "decoding"))
    with evaluated_run(MODEL) as run:  # opened first: a store that cannot be used says so before the work
        found = evaluate(translator, translator.translate, PREPARED, tests, bounds, EVALUATION)
        report.write_json(METRICS, report.headline(found.metrics))
        scores = {test: found.metrics[test] for test in tests}
        run.metrics(report.flatten({"test": scores, "probes": found.metrics.get("probes", {})}, ""), step=0)
        run.metrics({"decode/sentences_per_second": found.speed}, step=0)
        sources = list(read_lines(PREPARED / f"{tests[0]}.en"))[:MEASURED]
        run.metrics(collapse(translator.network, translator.subwords, sources), step=0)
        for test in tests:
            note_data(run, test, context="evaluation", rows=sum(1 for _ in read_lines(PREPARED / f"{test}.en")))
        run.artifact(EVALUATION, "evaluation")
    print(report.closing(found.metrics, found.signatures[tests[0]]["bleu"], found.samples, _next_steps()))


@dataclass(frozen=True)
class Evaluation:
    """Figures and signatures by test set, a few sources with their translations, and test sentences a second."""

    metrics: dict[str, Any]
    signatures: dict[str, Any]
    samples: list[tuple[str, str]]
    speed: float


def evaluate(
    translator: Translator,
    translate: Translate,
    prepared: Path,
    tests: Sequence[str],
    bounds: Sequence[int],
    folder: Path,
) -> Evaluation:
    """Evaluate on `tests` of `prepared`, and on its probes if any; write the tables of `folder`.

    The translator, which knows what is likely, may `translate` in a way that is not its own.
    """
    metrics: dict[str, Any] = {}
    signatures: dict[str, Any] = {}
    samples: list[tuple[str, str]] = []
    buckets: list[tuple[str, Bucket]] = []
    sentences, seconds = 0, 0.0
    for test in tests:
        sources = list(read_lines(prepared / f"{test}.en"))
        references = read_references(prepared / f"{test}.references.jsonl")
        started = time.perf_counter()
        hypotheses = _translate(translate, sources, f"translating {test}")
        sentences, seconds = sentences + len(sources), seconds + time.perf_counter() - started
        report.write_translations(folder / f"{test}.tsv", sources, hypotheses, references)
        metrics[test], signatures[test] = _score(hypotheses, references)
        buckets += ((test, bucket) for bucket in bleu_by_length(sources, hypotheses, references, bounds))
        samples = samples or list(zip(sources, hypotheses, strict=True))[:SAMPLES]
    report.write_buckets(folder / "bleu_by_length.csv", buckets)
    report.write_json(folder / "signatures.json", signatures)
    verdicts = _judge(translator, translate, prepared / "probes.jsonl", folder / "probe_answers.tsv")
    report.write_verdicts(folder / "probes.csv", verdicts)
    figures = metrics | ({"probes": report.probe_figures(verdicts)} if verdicts else {})
    return Evaluation(figures, signatures, samples, sentences / seconds)


def _translate(translate: Translate, sources: Sequence[str], description: str) -> list[str]:
    """Translate in chunks of like lengths, the longest first: then the bar moves."""
    order = sorted(range(len(sources)), key=lambda row: -len(sources[row]))
    hypotheses = [""] * len(sources)
    with tqdm(desc=description, total=len(sources), delay=2, unit=" sentences") as bar:
        for start in range(0, len(order), CHUNK):
            rows = order[start : start + CHUNK]
            for row, hypothesis in zip(rows, translate([sources[row] for row in rows]), strict=True):
                hypotheses[row] = hypothesis
            bar.update(len(rows))
    return hypotheses


def _score(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[Mapping[str, Any], ...]:
    """Score with the first reference of each sentence and, where there are more, with all: figures, signatures."""
    first = score(hypotheses, [own[:1] for own in references])
    every = score(hypotheses, references) if any(len(own) > 1 for own in references) else None
    return report.score_figures(first, every), report.signatures(first, every)


def _judge(translator: Translator, translate: Translate, path: Path, table: Path) -> list[Verdict]:
    """Judge the probes of a corpus that has some, and write down every answer."""
    probes = read_probes(path) if path.exists() else []
    sources = [probe.source for probe in probes]
    answers = _translate(translate, sources, "answering probes")
    right = translator.log_probabilities(sources, [probe.target for probe in probes])
    wrong = translator.log_probabilities(sources, [probe.foil for probe in probes])
    margins = [one - other for one, other in zip(right, wrong, strict=True)]
    report.write_answers(table, probes, answers, margins)
    return judge(probes, answers, margins)


def _next_steps() -> list[tuple[str, str]]:
    uri = masked(tracking_uri())
    local = uri.startswith("sqlite:")
    return [
        ('entente translate "I love you."', "translate a sentence, or lines of standard input"),
        (f"mlflow ui --backend-store-uri {uri}" if local else uri, "curves, figures and files: choose Model training"),
        ("dvc metrics show", "all figures; `dvc plots show --open` draws them"),
        ('entente attend "The cat, which is fluffy, sleeps." --open', "which words look at which"),
    ]


if __name__ == "__main__":
    main()
