"""Runs as a sweep's jobs record them, without training: what pages of docs/ are made from."""

from pathlib import Path

from entente.evaluation.report import (
    flatten,
    score_figures,
    signatures,
    write_buckets,
    write_json,
    write_table,
    write_translations,
)
from entente.evaluation.scores import bleu_by_length, score
from entente.model.weights import build, save
from entente.tracking.records import EVALUATED
from entente.tracking.runs import OWNER, Runs
from pipelines.compose import compose, plain
from tests.model.networks import VOCABULARY, options

ROOT = Path(__file__).parents[2]
FRENCH = [f"Le chat numéro {number} dort sur le lit de la voisine." for number in range(40)]
PHENOMENA = ("relative_agreement", "adjective_agreement", "role_reversal")


def record(root: Path, experiment: str, seed: int, right: int, loss: float, overrides: tuple[str, ...] = ()) -> None:
    """Record a run as a sweep's job does; the first `right` of its translations are."""
    parameters = plain(compose([f"experiment={experiment}", f"seed={seed}", *overrides], ROOT / "conf"))
    folder = root / "-".join([experiment, str(seed), *overrides])
    evaluation = folder / "evaluation"
    sources = [f"Cat number {number} sleeps on the bed of the neighbour." for number in range(len(FRENCH))]
    hypotheses = [french if number < right else "Rien." for number, french in enumerate(FRENCH)]
    tests = parameters["corpus"]["tests"]
    more = ["Autrement dit."] if parameters["corpus"]["name"] == "tatoeba" else []
    references = [[french, *more] for french in FRENCH]
    scores = score(hypotheses, [own[:1] for own in references])
    every = score(hypotheses, references) if more else None
    for test in tests:
        write_translations(evaluation / f"{test}.tsv", sources, hypotheses, references)
    buckets = bleu_by_length(sources, hypotheses, references, [5, 10])
    write_buckets(evaluation / "bleu_by_length.csv", [(test, bucket) for test in tests for bucket in buckets])
    write_json(evaluation / "signatures.json", {test: signatures(scores, every) for test in tests})
    write_table(
        evaluation / "probe_answers.tsv",
        ["phenomenon", "longer", "source", "target", "answer", "margin"],
        [[name, "false", "No.", "Non.", "Non.", 1.0] for name in PHENOMENA],
    )
    save(build(options(), VOCABULARY), {"network": options(), "vocabulary": VOCABULARY}, folder / "model")
    tags = {"entente.ablation": experiment, OWNER: folder.name}
    runs = Runs("entente", flush_every_seconds=0.05, system_metrics_every_seconds=60)
    with runs.train(experiment, folder.name, parameters, tags, resume=False) as run:
        for step in (9, 19):
            run.metrics({"train/tokens": 1.5e6, "train/tokens_per_second": 5e3}, step)
        run.metrics({EVALUATED: 10.0, "val/loss": loss, "val/bleu": 100.0 * right / len(FRENCH)}, 0)
        run.metrics(flatten({test: score_figures(scores, every) for test in tests}, "test/"), 0)
        run.artifact(evaluation, "evaluation")
        run.artifact(folder / "model", "model")
