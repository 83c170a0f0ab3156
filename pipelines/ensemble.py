"""Trainings that translate together: `python -m pipelines.ensemble recipe=multi30k seed=1,2,3`.

Takes the overrides of a multirun, whose trainings must be done, in ablations/; how all search may be another way
(`decoding.beam=8`). The test sets are translated by each alone, by their ensemble, by beam search, and with the least
risk. Each is compared with the first; of one training this says what least risk alone is worth.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from entente.decoding import minimum_risk
from entente.decoding.ensemble import load_together
from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator
from entente.errors import EntenteError, for_people
from entente.evaluation import report
from entente.evaluation.comparison import BASELINE, Row, compare
from entente.evaluation.markdown import differs
from entente.evaluation.outcomes import Outcome
from entente.evaluation.scores import chrf
from entente.evaluation.translations import read_translations
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
SCORES = ("bleu", "chrf", "bleu_lower_tokenised")


@for_people
def main() -> None:
    """Evaluate the trainings that the overrides name, each and together, log it as a run, and print the table."""
    overrides = sys.argv[1:]
    jobs = together(overrides)
    models = trained(jobs, overrides)
    settings = jobs[0].parameters
    mark = fingerprint(
        {"members": [model.parent.parent.name for model in models], "decoding": settings["decoding"]}, []
    )
    folder = root() / FOLDER / "ensembles" / mark
    prepared = next(iter(models)).parents[1] / "data/prepared"  # what a member was trained on
    tests, bounds = settings["corpus"]["tests"], settings["evaluation"]["length_bounds"]
    names = {f"member {number}": f"{job.label}, seed {job.seed}" for number, job in enumerate(models.values(), start=1)}
    noted = {
        "corpus": settings["corpus"],
        "decoding": settings["decoding"],
        "members": {way.removeprefix("member "): name for way, name in names.items()},
        "command": shlex.join(["python", "-m", "pipelines.ensemble", *overrides]),
    }
    found: dict[str, Figures] = {}
    places: dict[str, Path] = {}
    name = f"{settings['corpus']['name']}-ensemble-of-{len(models)}"
    with open_runs(settings["tracking"]).train(name, mark, noted, {KIND: "ensemble"}, resume=False) as run:
        for way, (translator, translate) in _ways(list(models), settings["decoding"]).items():
            places[way] = folder / way.replace(" ", "_")
            found[way] = evaluate(translator, translate, prepared, tests, bounds, places[way]).metrics
            run.metrics(report.flatten({test: found[way][test] for test in tests}, f"{way}/"), step=0)
        compared = {test: _compared(places, test) for test in tests}
        for test, rows in compared.items():
            run.metrics({f"{way}/{test}/{name}": value for way, row in rows.items() for name, value in _told(row)}, 0)
        header, lines = table(found, tests, compared)
        lines = [[names.get(way, way), *line] for way, *line in lines]
        report.write_table(folder / "ensemble.csv", header, lines)
        run.artifact(folder, "ensemble")
    print("\n".join(report.columns([header, *lines])))
    print(f"\nTables and translations: {folder}")


def _ways(models: Sequence[Path], settings: Mapping[str, Any]) -> dict[str, tuple[Translator, Translate]]:
    """Return who translates how, by name: each alone, and all together by beam search and with the least risk."""
    decoding = construct(Decoding, settings, "decoding")
    found: dict[str, tuple[Translator, Translate]] = {}
    for number, model in enumerate(models, start=1):
        one = Translator.load(model, "auto", decoding)
        found[f"member {number}"] = one, one.translate
    if len(models) == 1:
        return found | {"least risk": (one, partial(minimum_risk.translate, one, utility=chrf))}
    every = load_together(models, "auto", decoding)
    careful = partial(minimum_risk.translate, every, utility=chrf)
    return found | {"ensemble": (every, every.translate), "ensemble of least risk": (every, careful)}


def _compared(places: Mapping[str, Path], test: str) -> dict[str, Row]:
    """Compare by BLEU of a test set all ways with the first, over its sentences: these networks alone."""
    first, *others = places
    called = {first: BASELINE} | {way: way for way in others}
    outcomes = [
        Outcome(called[way], 1, {}, {test: read_translations(place / f"{test}.tsv")}, [])
        for way, place in places.items()
    ]
    rows = {row.ablation: row for row in compare(outcomes, f"test/{test}/bleu")}
    return {way: rows[way] for way in others}


def _told(row: Row) -> list[tuple[str, float]]:
    low, high = row.difference_interval or (0.0, 0.0)
    return [("difference", row.difference), ("difference_low", low), ("difference_high", high)]


def together(overrides: Sequence[str]) -> list[Job]:
    """Return the jobs that the overrides name; EntenteError where they are a sweep's, or to search in several ways."""
    if any(override.startswith("sweep=") for override in overrides):
        raise EntenteError("an ensemble is not a sweep's: name its members, such as experiment=baseline,gru seed=1,2")
    jobs = plan(overrides, root() / CONF)
    if any(job.parameters["decoding"] != jobs[0].parameters["decoding"] for job in jobs):
        raise EntenteError("an ensemble searches in one way: give each key of decoding one value")
    return jobs


def table(
    found: Mapping[str, Figures], tests: Sequence[str], compared: Mapping[str, Mapping[str, Row]] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: scores of each test set by who translated it, and how they compared in BLEU, if so."""
    columns = (*SCORES, "difference", "95%") if compared else SCORES
    header = ["translated by", *(f"{test} {column}" for test in tests for column in columns)]
    rows = []
    for name, figures in found.items():
        cells = [name]
        for test in tests:
            cells += [f"{figures[test][score]:.1f}" for score in SCORES]
            cells += _difference(compared[test].get(name)) if compared else []
        rows.append(cells)
    return header, rows


def _difference(row: Row | None) -> list[str]:
    """Write how a way compares with the first, which compares with nothing."""
    if row is None or row.difference_interval is None:
        return ["", ""]
    return differs(row.difference, *row.difference_interval)


if __name__ == "__main__":
    main()
