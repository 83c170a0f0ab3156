"""Trainings that translate together: `python -m pipelines.ensemble recipe=multi30k seed=1,2,3`.

Takes the overrides of a multirun, whose trainings must be done, in ablations/; how they search together may be
another way (`decoding.beam=8`). The test sets are translated by their ensemble, by beam search and with the least risk.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from entente.decoding import minimum_risk
from entente.decoding.ensemble import load_together
from entente.decoding.settings import Decoding
from entente.errors import EntenteError, for_people
from entente.evaluation import report
from entente.evaluation.scores import chrf
from entente.fingerprint import fingerprint
from entente.options import construct
from entente.tracking.runs import KIND
from entente.tracking.store import root
from pipelines.compose import CONF
from pipelines.evaluate import Translate, evaluate
from pipelines.job import FOLDER, Job, trained
from pipelines.sweep import plan
from pipelines.tracked_run import open_runs

Figures = Mapping[str, Any]


@for_people
def main() -> None:
    """Evaluate the ensemble of the trainings that the overrides name, log it as a run, and print the table."""
    jobs = together(sys.argv[1:])
    models = members(jobs)
    settings = jobs[0].parameters
    names = [model.parent.parent.name for model in models]  # the same wherever the repository lies
    mark = fingerprint({"members": names, "decoding": settings["decoding"]}, [])
    folder = root() / FOLDER / "ensembles" / mark
    translator = load_together(list(models), "auto", construct(Decoding, settings["decoding"], "decoding"))
    prepared = next(iter(models)).parents[1] / "data/prepared"  # what a member was trained on
    tests, bounds = settings["corpus"]["tests"], settings["evaluation"]["length_bounds"]
    ways: Mapping[str, Translate] = {
        "ensemble": translator.translate,
        "ensemble of least risk": partial(minimum_risk.translate, translator, utility=chrf),
    }
    noted = {"corpus": settings["corpus"], "decoding": settings["decoding"]}
    noted["members"] = {f"{number}": name for number, name in enumerate(models.values(), start=1)}
    name = f"{settings['corpus']['name']}-ensemble-of-{len(models)}"
    with open_runs(settings["tracking"]).train(name, mark, noted, {KIND: "ensemble"}, resume=False) as run:
        found: dict[str, Figures] = {name: _read(model) for model, name in models.items()}
        for way, translate in ways.items():
            place = folder / way.replace(" ", "_")
            found[way] = evaluate(translator, translate, prepared, tests, bounds, place).metrics
            run.metrics(report.flatten({test: found[way][test] for test in tests}, f"{way}/"), step=0)
        header, rows = table(found, tests)
        report.write_table(folder / "ensemble.csv", header, rows)
        run.artifact(folder, "ensemble")
    print("\n".join(report.columns([header, *rows])))
    print(f"\nTables and translations: {folder}")


def together(overrides: Sequence[str]) -> list[Job]:
    """Return the jobs that the overrides name; EntenteError where they are a sweep's, or to search in several ways."""
    if any(override.startswith("sweep=") for override in overrides):
        raise EntenteError("an ensemble is not a sweep's: name its members, such as experiment=baseline,gru seed=1,2")
    jobs = plan(overrides, root() / CONF)
    if any(job.parameters["decoding"] != jobs[0].parameters["decoding"] for job in jobs):
        raise EntenteError("an ensemble searches in one way: give each key of decoding one value")
    return jobs


def members(jobs: Sequence[Job]) -> dict[Path, str]:
    """Return the models that the jobs trained, and what each is called.

    Raises EntenteError where there are fewer than two, or one is not trained.
    """
    if len(jobs) < 2:
        raise EntenteError("an ensemble has two members or more: name several seeds or experiments, such as seed=1,2,3")
    return {model: f"{job.label}, seed {job.seed}" for model, job in trained(jobs, sys.argv[1:]).items()}


def _read(model: Path) -> Figures:
    return dict(json.loads((model.parent / "metrics/evaluate.json").read_text(encoding="utf-8")))


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
