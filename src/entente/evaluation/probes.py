"""Probes: minimal pairs with exactly one right answer, one phenomenon of grammar each.

The verdict is whether the decoded answer is the right one. The forced choice beside it asks whether the
network finds the right answer likelier than a foil that differs minimally (Sennrich 2017, E17-2060).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

from entente.errors import EntenteError
from entente.text.corpus import read_json_lines


@dataclass(frozen=True, slots=True)
class Probe:
    """One minimal pair; `longer` says that it goes beyond the lengths or depths seen in training."""

    phenomenon: str
    source: str
    target: str
    foil: str
    longer: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a network makes of the probes of one phenomenon; `accuracy` and `preferred` are percentages.

    `margin` is the mean of log p(target) - log p(foil), in nats; `preferred` how often that is above 0.
    """

    phenomenon: str
    longer: bool
    count: int
    accuracy: float
    margin: float
    preferred: float

    @property
    def label(self) -> str:
        """Name the row: the phenomenon, and whether it goes beyond what was seen."""
        return f"{self.phenomenon} (longer)" if self.longer else self.phenomenon


def read_probes(path: Path) -> list[Probe]:
    """Read a file of one JSON object a line. Raises EntenteError, with the line, for any other content."""
    probes = [_parse(entry, place) for place, entry in read_json_lines(path)]
    if not probes:
        raise EntenteError(f"{path} holds no probe: expected one JSON object a line")
    return probes


def _parse(entry: Any, place: str) -> Probe:
    kinds = {field.name: field.type for field in fields(Probe)}
    if not isinstance(entry, dict) or set(entry) != set(kinds):
        raise EntenteError(f"{place}: expected an object with exactly the keys {', '.join(kinds)}")
    for key, kind in kinds.items():
        if type(entry[key]) is not kind:
            expected = "text" if kind is str else "true or false"
            raise EntenteError(f"{place}: {key} is {entry[key]!r}, expected {expected}")
    return Probe(**entry)


def judge(probes: Sequence[Probe], answers: Sequence[str], margins: Sequence[float]) -> list[Verdict]:
    """Judge each phenomenon, those within the lengths seen first, then the longer ones, by name.

    answers: the decoded translation of each probe's source; margins: log p(target) - log p(foil), in nats.
    Raises EntenteError where the three differ in length.
    """
    if not len(probes) == len(answers) == len(margins):
        counts = f"{len(probes)} probes, {len(answers)} answers, {len(margins)} margins"
        raise EntenteError(f"{counts}: give one of each")
    return [
        Verdict(
            phenomenon=phenomenon,
            longer=longer,
            count=len(rows),
            accuracy=100 * fmean(answers[row] == probes[row].target for row in rows),
            margin=fmean(margins[row] for row in rows),
            preferred=100 * fmean(margins[row] > 0 for row in rows),
        )
        for (longer, phenomenon), rows in _phenomena(probes).items()
    ]


def within(probes: Sequence[Probe], most: int) -> list[Probe]:
    """Choose the first `most` probes of each phenomenon, within the lengths seen in training."""
    chosen = (rows[:most] for (longer, _), rows in _phenomena(probes).items() if not longer)
    return [probes[row] for rows in chosen for row in rows]


def accuracies(probes: Sequence[Probe], answers: Sequence[str]) -> dict[str, float]:
    """Return the percentage of right answers by phenomenon: what `judge` finds where nobody asks for margins."""
    return {
        phenomenon: 100 * fmean(answers[row] == probes[row].target for row in rows)
        for (_, phenomenon), rows in _phenomena(probes).items()
    }


def summary(verdicts: Sequence[Verdict]) -> Mapping[str, float]:
    """Return mean and worst accuracy over the phenomena, within the lengths seen and beyond them.

    Every phenomenon weighs the same. Keys: `mean`, `worst`; `mean_longer`, `worst_longer`; as there are any.
    """
    seen = [verdict.accuracy for verdict in verdicts if not verdict.longer]
    longer = [verdict.accuracy for verdict in verdicts if verdict.longer]
    within = {"mean": fmean(seen), "worst": min(seen)} if seen else {}
    beyond = {"mean_longer": fmean(longer), "worst_longer": min(longer)} if longer else {}
    return within | beyond


def _phenomena(probes: Sequence[Probe]) -> dict[tuple[bool, str], list[int]]:
    """Group the rows of probes by whether they are longer, and phenomenon; sorted."""
    groups: dict[tuple[bool, str], list[int]] = {}
    for row, probe in enumerate(probes):
        groups.setdefault((probe.longer, probe.phenomenon), []).append(row)
    return dict(sorted(groups.items()))
