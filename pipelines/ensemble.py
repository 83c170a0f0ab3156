"""Trainings that translate together: `python -m pipelines.ensemble recipe=multi30k seed=1,2,3`.

Takes what a sweep takes, and what it left in ablations/: its jobs must be done. The test sets are translated by their
ensemble, by beam search and with the least risk, and both are reported apart from the single models.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from entente.decoding import minimum_risk
from entente.decoding.translator import Decoding, Translator
from entente.errors import EntenteError, for_people
from entente.evaluation import report
from entente.evaluation.scores import chrf
from entente.fingerprint import fingerprint
from entente.options import construct
from entente.tracking.store import root
from pipelines.compose import CONF
from pipelines.evaluate import Translate, evaluate
from pipelines.job import FOLDER, Job
from pipelines.sweep import plan
from pipelines.tracked_run import open_runs

KIND = "entente.kind"
METRICS, MODEL = Path("artifacts/metrics/evaluate.json"), Path("artifacts/model")

Figures = Mapping[str, Any]


@for_people
def main() -> None:
    """Evaluate the ensemble of the jobs that the overrides name, log it as a run, and print the table."""
    jobs = plan(sys.argv[1:], root() / CONF)
    if len(jobs) < 2:
        raise EntenteError("an ensemble has two members or more: name several seeds or experiments, such as seed=1,2,3")
    for job in jobs:
        if stage := job.missing():
            raise EntenteError(
                f"{job.label}, seed {job.seed}: {stage} is not done; "
                f"`python -m pipelines.ablate --multirun {' '.join(sys.argv[1:])}` does it"
            )
    settings = dict(jobs[0].parameters)
    mark = fingerprint({"members": [job.folder.name for job in jobs]}, [])
    folder = root() / FOLDER / "ensembles" / mark
    decoding = construct(Decoding, settings["decoding"], "decoding")
    translator = Translator.load_ensemble([job.folder / MODEL for job in jobs], "auto", decoding)
    members = {f"{job.label}, seed {job.seed}": _read(job) for job in jobs}
    name = f"{settings['corpus']['name']}-ensemble-of-{len(jobs)}"
    with open_runs(settings["tracking"]).train(name, mark, settings, {KIND: "ensemble"}, resume=False) as run:
        ways: Mapping[str, Translate] = {
            "ensemble": translator.translate,
            "ensemble of least risk": partial(minimum_risk.translate, translator, utility=chrf),
        }
        found = {}
        for way, translate in ways.items():
            place = folder / way.replace(" ", "_")
            found[way] = evaluate(
                translator,
                translate,
                jobs[0].shared / "data/prepared",
                settings["corpus"]["tests"],
                settings["evaluation"]["length_bounds"],
                place,
            ).metrics
            run.metrics(
                report.flatten({test: found[way][test] for test in settings["corpus"]["tests"]}, f"{way}/"), step=0
            )
        header, rows = table({**members, **found}, settings["corpus"]["tests"])
        report.write_table(folder / "ensemble.csv", header, rows)
        run.artifact(folder, "ensemble")
    print("\n".join(report.columns([header, *rows])))
    print(f"\nTables and translations: {folder}")


def _read(job: Job) -> Figures:
    return dict(json.loads((job.folder / METRICS).read_text(encoding="utf-8")))


def table(found: Mapping[str, Figures], tests: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: BLEU, chrF and lower-cased tokenised BLEU of each test set, by who translated it."""
    scores = ("bleu", "chrf", "bleu_lower_tokenised")
    header = ["translated by", *(f"{test} {score}" for test in tests for score in scores)]
    rows = [
        [name, *(f"{figures[test][score]:.1f}" for test in tests for score in scores)]
        for name, figures in found.items()
    ]
    return header, rows


if __name__ == "__main__":
    main()
