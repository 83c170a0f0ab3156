"""What an evaluation leaves behind: figures, tables, and the closing message in the terminal."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from entente.evaluation.probes import Probe, Verdict, summary
from entente.evaluation.scores import Bucket, Score
from entente.text.corpus import replacing

_DIGITS = 2  # of a percentage: more would only be noise in `dvc metrics diff`
_NAMES = {
    "bleu": "BLEU",
    "chrf": "chrF",
    "ter": "TER",
    "bleu_lower_tokenised": "BLEU, lower-cased and Moses-tokenised",
}
_ALL = "all_references"


def score_figures(first: Mapping[str, Score], every: Mapping[str, Score] | None) -> dict[str, Any]:
    """Return the figures of a test set by name: with one reference, and under `all_references` with all."""
    figures: dict[str, Any] = {name: round(score.value, _DIGITS) for name, score in first.items()}
    return figures if every is None else {**figures, _ALL: score_figures(every, None)}


def signatures(first: Mapping[str, Score], every: Mapping[str, Score] | None) -> dict[str, Any]:
    """Return the signatures of a test set's scores, in the shape of `score_figures`."""
    texts: dict[str, Any] = {name: score.signature for name, score in first.items()}
    return texts if every is None else {**texts, _ALL: signatures(every, None)}


def probe_figures(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the accuracy of each phenomenon, those beyond the lengths seen apart, and their summary."""
    figures: dict[str, Any] = {name: round(value, _DIGITS) for name, value in summary(verdicts).items()}
    for verdict in verdicts:
        group = figures.setdefault("longer" if verdict.longer else "within", {})
        group[verdict.phenomenon] = round(verdict.accuracy, _DIGITS)
    return figures


def headline(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures that `dvc metrics` and `dvc exp show` lay out in columns: without each single phenomenon."""
    probes = {name: value for name, value in metrics.get("probes", {}).items() if not isinstance(value, Mapping)}
    return {**metrics, "probes": probes} if probes else dict(metrics)


def flatten(figures: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Return nested figures as one level: {"test": {"bleu": 90.0}} -> {"test/bleu": 90.0}."""
    flat: dict[str, float] = {}
    for name, value in figures.items():
        flat |= flatten(value, f"{prefix}{name}/") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON that diffs well, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table, whole or not at all: CSV, or tab-separated for *.tsv. Fractions get 2 digits."""
    delimiter = "\t" if path.suffix == ".tsv" else ","
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([f"{cell:.{_DIGITS}f}" if isinstance(cell, float) else cell for cell in row] for row in rows)


def write_translations(
    path: Path, sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> None:
    """Write each source beside its hypothesis and its references, in as many columns as the most have."""
    width = max(map(len, references))
    header = ["source", "hypothesis", *(f"reference_{number}" for number in range(1, width + 1))]
    rows = [
        [source, hypothesis, *own, *[""] * (width - len(own))]
        for source, hypothesis, own in zip(sources, hypotheses, references, strict=True)
    ]
    write_table(path, header, rows)


def write_buckets(path: Path, buckets: Sequence[tuple[str, Bucket]]) -> None:
    """Write BLEU by source length of each test set; the column `bucket` is what `dvc plots` draws bars for."""
    header = ["split", "length", "bucket", "count", "bleu"]
    rows = [[test, one.length, f"{test} {one.length}", one.count, one.bleu] for test, one in buckets]
    write_table(path, header, rows)


def write_verdicts(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Write the verdict on each phenomenon; a corpus without probes leaves the header alone."""
    header = ["probe", "phenomenon", "longer", "count", "accuracy", "margin", "preferred"]
    rows = [
        [one.label, one.phenomenon, str(one.longer).lower(), one.count, one.accuracy, one.margin, one.preferred]
        for one in verdicts
    ]
    write_table(path, header, rows)


def write_answers(path: Path, probes: Sequence[Probe], answers: Sequence[str], margins: Sequence[float]) -> None:
    """Write each probe with its answer, and log p(target) - log p(foil) in nats; without probes the header alone."""
    header = ["phenomenon", "longer", "source", "target", "answer", "margin"]
    rows = [
        [probe.phenomenon, str(probe.longer).lower(), probe.source, probe.target, answer, margin]
        for probe, answer, margin in zip(probes, answers, margins, strict=True)
    ]
    write_table(path, header, rows)


def closing(
    metrics: Mapping[str, Any],
    signature: str,
    samples: Sequence[tuple[str, str]],
    next_steps: Sequence[tuple[str, str]],
) -> str:
    """Return the message that closes an evaluation: what was achieved, and what to type next.

    metrics: figures by test set, those of the probes under `probes`; signature: that of BLEU; samples: a few
    sources with their translations; next_steps: commands and what they show.
    """
    tests = {name: figures for name, figures in metrics.items() if name != "probes"}
    parts = [_scores(tests, signature)]
    if "probes" in metrics:
        parts.append(_probes(metrics["probes"]))
    parts.append(["For example", *columns([[source, "→ " + translation] for source, translation in samples])])
    parts.append(["What to type next", *columns([list(step) for step in next_steps])])
    return "\n" + "\n\n".join("\n".join(part) for part in parts) + "\n"


def _scores(tests: Mapping[str, Any], signature: str) -> list[str]:
    rows = [["test set", *_NAMES.values()]]
    for name, figures in tests.items():
        rows.append([name, *(f"{figures[score]:.1f}" for score in _NAMES)])
        if _ALL in figures:
            rows.append([f"{name}, all references", *(f"{figures[_ALL][score]:.1f}" for score in _NAMES)])
    return ["Scores", *columns(rows), f"  BLEU is sacreBLEU's: {signature}"]


def _probes(figures: Mapping[str, Any]) -> list[str]:
    within, longer = figures.get("within", {}), figures.get("longer", {})
    rows = [["phenomenon", "lengths seen", "longer"]]
    for name in [*within, *(name for name in longer if name not in within)]:
        rows.append([name, *(f"{group[name]:.1f}" if name in group else "" for group in (within, longer))])
    for name in ("mean", "worst"):
        rows.append([name, *(f"{figures[key]:.1f}" if key in figures else "" for key in (name, f"{name}_longer"))])
    return ["Probes: right answers, %", *columns(rows)]


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows in columns as wide as their widest cell, indented."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "   ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
