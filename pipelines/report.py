"""The report of a sweep, from what MLflow recorded: `python -m pipelines.report [RUN]`.

RUN is the id of the sweep's parent run, by default that of the latest sweep. The report goes to ablations/reports/RUN.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from statistics import fmean, median

from entente.errors import EntenteError, for_people
from entente.evaluation import figures
from entente.evaluation.broken_rules import FrenchForms, tally
from entente.evaluation.comparison import BASELINE, Row, compare
from entente.evaluation.outcomes import Answer, Outcome
from entente.evaluation.report import columns, write_table
from entente.evaluation.translations import read_rows, read_translations
from entente.text.grammar.rules import read_grammar
from entente.tracking.records import Record, Records
from entente.tracking.store import root
from pipelines.compose import CONF, compose
from pipelines.groups import TURNED

GRAMMAR = Path("data/grammar")
SPEED = "train/tokens_per_second"


@for_people
def main() -> None:
    """Write the report of a sweep and print its tables."""
    experiment = str(compose([], root() / CONF).tracking.experiment)
    records = Records(experiment)
    parent = records.get(sys.argv[1]).id if len(sys.argv) > 1 else records.latest_sweep().id
    folder = root() / "ablations" / "reports" / parent
    print(report(parent, folder, experiment))


def report(parent: str, folder: Path, experiment: str) -> str:
    """Compare the finished jobs of the sweep `parent`; write tables and figures, and return the tables for people."""
    records = Records(experiment)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        jobs = json.loads(records.get(parent).fetch("jobs.json", Path(place) / parent).read_text(encoding="utf-8"))
        finished = [job for job in jobs if job["status"] == "finished"]
        if BASELINE not in {job["ablation"] for job in finished}:
            raise EntenteError(f"there is no finished {BASELINE} to compare with: a sweep needs one among its jobs")
        found = {(job["ablation"], job["seed"]): records.of_job(job["job"]) for job in finished}
        evaluations = {key: record.fetch("evaluation", Path(place) / record.id) for key, record in found.items()}
        outcomes = [outcome(*key, record, evaluations[key]) for key, record in found.items()]
        names = list(dict.fromkeys([BASELINE, *(name for name, _ in found)]))  # figures set their first apart
        places = {name: [own for key, own in evaluations.items() if key[0] == name] for name in names}
        draw_lengths(places, folder)
        corpus = next(iter(found.values())).parameters
        if corpus.get("corpus.download.kind") == "grammar" and not corpus["corpus.name"].endswith(TURNED):
            count_broken_rules(places, folder)
    tables = {measure: compare(outcomes, measure) for measure in measures(outcomes)}
    rows = [{"measure": measure} | _cells(row) for measure, table in tables.items() for row in table]
    write_table(folder / "comparison.csv", list(rows[0]), [list(row.values()) for row in rows])
    text = "\n\n".join(f"{measure}\n" + "\n".join(readable(table)) for measure, table in tables.items())
    (folder / "comparison.txt").write_text(text + "\n", encoding="utf-8")
    firsts = {name: next(record for key, record in found.items() if key[0] == name) for name in names}
    draw(tables, outcomes, firsts, folder)
    return f"\n{text}\n\nTables and figures: {folder}\n"


def outcome(ablation: str, seed: int, record: Record, evaluation: Path) -> Outcome:
    """Return what a job's run recorded, its files being in the folder `evaluation`."""
    speeds = [value for _, value in record.curve(SPEED)]
    logged = record.figures | ({SPEED: median(speeds)} if speeds else {})  # the latest figure alone says little
    translations = {file.stem: read_translations(file) for file in tests(evaluation)}
    answers = [
        Answer(row["phenomenon"], row["longer"] == "true", row["answer"] == row["target"], float(row["margin"]) > 0)
        for row in read_rows(evaluation / "probe_answers.tsv")
    ]
    return Outcome(ablation, seed, logged, translations, answers)


def tests(evaluation: Path) -> list[Path]:
    """Return the tables of translations in a folder, the test set's own first."""
    found = [file for file in evaluation.glob("*.tsv") if file.stem != "probe_answers"]
    return sorted(found, key=lambda file: (not file.stem.startswith("test"), file.stem))


def measures(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what the networks are compared by: BLEU of each test set, and the means of probes within and beyond."""
    names = [f"test/{test}/bleu" for test in outcomes[0].translations]
    kinds = {answer.longer for answer in outcomes[0].answers}
    return [*names, *(["probes/mean"] if False in kinds else []), *(["probes/mean_longer"] if True in kinds else [])]


def _cells(row: Row) -> dict[str, object]:
    low, high = row.interval or ("", "")
    lower, upper = row.difference_interval or ("", "")
    p, p_holm = ("" if value is None else f"{value:.4f}" for value in (row.p, row.p_holm))
    return {
        "ablation": row.ablation,
        "seeds": row.seeds,
        "mean": row.mean,
        "mean_low": low,
        "mean_high": high,
        "difference": row.difference,
        "difference_low": lower,
        "difference_high": upper,
        "p": p,
        "p_holm": p_holm,
        "verdict": row.verdict,
        "parameters": "" if row.parameters is None else int(row.parameters),
        "tokens_per_second": "" if row.training_speed is None else row.training_speed,
        "sentences_per_second": "" if row.decoding_speed is None else row.decoding_speed,
    }


def readable(table: Sequence[Row]) -> list[str]:
    """Lay a comparison out for a terminal."""
    rows = [
        [
            "ablation",
            "seeds",
            "mean",
            "95%",
            "difference",
            "95%",
            "p (Holm)",
            "verdict",
            "parameters",
            "tokens/s",
            "sentences/s",
        ]
    ]
    for row in table:
        compared = row.p_holm is not None
        rows.append(
            [
                row.ablation,
                str(row.seeds),
                f"{row.mean:.1f}",
                _span(row.interval),
                f"{row.difference:+z.1f}" if compared else "",
                _span(row.difference_interval),
                row.p_text,
                row.verdict if compared else "",
                f"{row.parameters:,.0f}" if row.parameters else "",
                f"{row.training_speed:,.0f}" if row.training_speed else "",
                f"{row.decoding_speed:,.0f}" if row.decoding_speed else "",
            ]
        )
    return columns(rows)


def _span(interval: tuple[float, float] | None) -> str:
    return f"{interval[0]:.1f} to {interval[1]:.1f}" if interval else ""


def draw(
    tables: Mapping[str, Sequence[Row]], outcomes: Sequence[Outcome], records: Mapping[str, Record], folder: Path
) -> None:
    """Draw the comparisons, the curves and probes of each ablation's first seed, and BLEU by length."""
    for measure, table in tables.items():
        label = "right answers, %" if measure.startswith("probes") else "BLEU"
        figures.bars(table, measure, label, folder / f"{measure.replace('/', '_')}.png")
    for figure, title in (("val/loss", "nats a piece"), ("val/bleu", "BLEU"), ("val/accuracy", "right pieces, %")):
        curves = {name: record.curve(figure) for name, record in records.items()}
        figures.curves(curves, f"Validation: {figure}", title, folder / f"{figure.replace('/', '_')}.png")
    for lengths, title in (("within", "Probes within the lengths seen"), ("longer", "Probes beyond the lengths seen")):
        answered = {name: _phenomena(name, outcomes, f"probes/{lengths}/") for name in records}
        if any(answered.values()):
            figures.heat_map(answered, title, "right answers, %", folder / f"probes_{lengths}.png")


def _phenomena(ablation: str, outcomes: Sequence[Outcome], prefix: str) -> dict[str, float]:
    """Return the means over seeds of an ablation's figures whose name begins so, by the rest of it."""
    own = [one.figures for one in outcomes if one.ablation == ablation]
    names = [name for name in own[0] if name.startswith(prefix)]
    return {
        name.removeprefix(prefix).replace("_", " "): fmean(figures.get(name, nan) for figures in own) for name in names
    }


def draw_lengths(evaluations: Mapping[str, Sequence[Path]], folder: Path) -> None:
    """Draw BLEU by the length of the source, the mean over seeds, a figure for each test set."""
    for test, means in lengths(evaluations).items():
        figures.by_length(means, f"{test}: BLEU by length", folder / f"length_{test}.png")


def lengths(evaluations: Mapping[str, Sequence[Path]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return BLEU by test set, network and words of the source: means over seeds, of lengths that all seeds have."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for name, places in evaluations.items():
        for row in (row for place in places for row in read_rows(place / "bleu_by_length.csv")):
            own = found.setdefault(row["split"], {}).setdefault(name, {})
            own.setdefault(row["length"], []).append(float(row["bleu"]))
    return {
        test: {
            name: {length: fmean(values) for length, values in own.items() if len(values) == len(evaluations[name])}
            for name, own in networks.items()
        }
        for test, networks in found.items()
    }


def counts(evaluation: Path) -> dict[str, dict[str, int]]:
    """Return by test set how many sentences there are of each length."""
    found: dict[str, dict[str, int]] = {}
    for row in read_rows(evaluation / "bleu_by_length.csv"):
        found.setdefault(row["split"], {})[row["length"]] = int(row["count"])
    return found


def count_broken_rules(evaluations: Mapping[str, Sequence[Path]], folder: Path) -> None:
    """Count which rules of the embedded grammar were broken in how many of a thousand test sentences: table, figure."""
    forms = FrenchForms(read_grammar(root() / GRAMMAR))
    counts: dict[str, Counter[str]] = {}
    sentences: Counter[str] = Counter()
    for name, places in evaluations.items():
        for file in (file for place in places for file in tests(place)):
            answered = [(row["hypothesis"], row["reference_1"]) for row in read_rows(file)]
            counts[name] = counts.get(name, Counter()) + tally(answered, forms)
            sentences[name] += len(answered)
    shares = {name: {rule: 1000 * n / sentences[name] for rule, n in own.items()} for name, own in counts.items()}
    rules = sorted({rule for own in shares.values() for rule in own})
    write_table(
        folder / "broken_rules.csv",
        ["ablation", *rules],
        [[name, *(own.get(rule, 0.0) for rule in rules)] for name, own in shares.items()],
    )
    drawn: dict[str, Counter[str]] = {name: Counter() for name in counts}
    for name, own in shares.items():
        for rule, share in own.items():
            drawn[name][rule.partition(",")[0]] += share  # type: ignore[assignment]  # whatever the distance
    highest = max((share for own in drawn.values() for share in own.values()), default=0.0)
    if highest:
        title, label = "Rules broken", "in so many of 1,000 test sentences"
        figures.heat_map(drawn, title, label, folder / "broken_rules.png", highest=max(1.0, float(highest)))


if __name__ == "__main__":
    main()
