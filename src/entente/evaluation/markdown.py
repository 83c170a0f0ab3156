"""A page of docs/ in Markdown: sections of tables, and how each figure was made."""

from collections.abc import Sequence
from dataclasses import dataclass

from entente.evaluation.comparison import BASELINE, Row


@dataclass(frozen=True, slots=True)
class Origin:
    """How runs were made: of what, with which seeds, by which command, where, from which commit, when."""

    what: str
    seeds: str
    command: str
    machine: str
    commit: str
    date: str


@dataclass(frozen=True, slots=True)
class Section:
    """A table, and what it says."""

    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def written(sections: Sequence[Section]) -> list[str]:
    """Return the lines of those sections that have rows."""
    lines: list[str] = []
    for section in sections:
        if section.rows:
            said = ["", section.text] if section.text else []
            lines += ["", f"## {section.title}", *said, "", *table(section.header, section.rows)]
    return lines


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def made(origins: Sequence[Origin]) -> list[str]:
    """Return the lines of the section that says how the figures were made."""
    rows = [[one.what, one.seeds, f"`{one.command}`", one.machine, one.commit, one.date] for one in origins]
    header = ["what", "seeds", "command", "machine", "commit", "date"]
    return ["", "## How the figures were made", "", *table(header, rows)]


def compared(row: Row) -> list[str]:
    """Return the cells of a comparison: ablation, seeds, mean, difference, its interval, corrected p, parameters."""
    figures = [row.ablation, str(row.seeds), f"{row.mean:.1f}"]
    size = f"{row.parameters:,.0f}" if row.parameters else ""
    if row.ablation == BASELINE or row.difference_interval is None or row.p_holm is None:
        return [*figures, "", "", "", size]
    low, high = row.difference_interval
    return [*figures, *differs(row.difference, low, high), row.p_text, size]


def differs(difference: float, low: float, high: float) -> list[str]:
    """Write a difference and its interval as two cells."""
    return [f"{difference:+z.1f}", f"{low:+.1f} to {high:+.1f}"]
