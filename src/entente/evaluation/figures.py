"""Figures of a report, in one look: PNGs whose bytes depend on the arguments only.

Colours: Okabe and Ito 2008, told apart without colour vision; no figure tells anything by colour alone.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from entente.errors import EntenteError
from entente.text.corpus import replacing

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures are the same everywhere
    "font.size": 8.0,
    "axes.edgecolor": "#9a9a9a",
    "axes.linewidth": 0.5,
    "hatch.color": "#c9c9c9",
    "hatch.linewidth": 0.6,
    "text.color": "#222222",
}
SEQUENTIAL, DIVERGING = "YlGnBu", "RdBu"  # light to dark; red below the middle, blue above

_INK, _FAINT, _GRID, _PALE = "#222222", "#6e6e6e", "#e6e6e6", "#f1f1f1"
_BLUE, _RED = "#0072b2", "#d55e00"
_COLOURS = (_BLUE, _RED, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6a3d9a")
_DASHES: Sequence[Any] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_VERDICTS: Mapping[str, tuple[str, str, str]] = {  # verdict -> marker, its edge, its filling
    "baseline": ("D", _INK, _INK),
    "better": ("o", _BLUE, _BLUE),
    "worse": ("o", _RED, _RED),
    "undecided": ("o", _FAINT, "white"),
}
_DPI = 150
# Inches: size of plots, a row of bars, a label of lines, a cell, the margin around all.
_WIDE, _HIGH, _ROW, _LABEL, _MARGIN = 4.6, 3.4, 0.2, 0.165, 0.12
_CELL_WIDE, _CELL_HIGH = 0.44, 0.23
_SLANTED: Mapping[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor", "parse_math": False}


Interval = tuple[float, float]


class Estimate(Protocol):
    """A row of a comparison, as far as `bars` draws it."""

    @property
    def ablation(self) -> str:
        """Name the row."""

    @property
    def seeds(self) -> int:
        """Count the networks behind it."""

    @property
    def mean(self) -> float:
        """Return their mean, 0 to 100."""

    @property
    def interval(self) -> Interval | None:
        """Return the interval of the mean over seeds."""

    @property
    def difference(self) -> float:
        """Return the difference to the baseline."""

    @property
    def difference_interval(self) -> Interval | None:
        """Return the interval of that difference; the baseline has none."""

    @property
    def p_text(self) -> str:
        """Write how often chance alone makes such a difference; nothing for the baseline."""

    @property
    def verdict(self) -> str:
        """Return `baseline`, `better`, `worse` or `undecided`."""


@contextmanager
def drawing(title: str, width: float, height: float, path: Path) -> Iterator[Axes]:
    """Hand out axes of so many inches, then write them as a PNG that has room for all that stands around them."""
    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(width, height), dpi=_DPI)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        yield axes
        box = figure.get_tightbbox()
        place = box.x0 / width, (box.y1 + 0.16) / height
        figure.text(*place, title, size=11, parse_math=False)
        with replacing(path) as temporary:
            # No program name or date among the metadata: the same figure is the same file.
            metadata = {"Software": None}
            figure.savefig(temporary, format="png", bbox_inches="tight", pad_inches=_MARGIN, metadata=metadata)


def bars(rows: Sequence[Estimate], title: str, label: str, path: Path) -> None:
    """Draw means with their intervals over seeds (cut at 0 and 100), best on top, and the numbers beside them.

    `label` names the measure. A filled dot differs from the baseline, a hollow one is undecided.
    """
    _refuse_nothing(rows, path)
    ranked = sorted(rows, key=lambda row: (-row.difference, row.ablation))
    with drawing(title, _WIDE, _ROW * (len(rows) + 0.6), path) as axes:
        plain_axes(axes, "x", label, "")
        axes.set(ylim=(len(rows) - 0.5, -1.1))
        axes.set_yticks(range(len(rows)), [row.ablation for row in ranked], parse_math=False)
        for row in ranked:
            if row.verdict == "baseline":
                axes.axvline(row.mean, color=_INK, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        for y, row in enumerate(ranked):
            marker, edge, filling = _VERDICTS[row.verdict]
            if row.interval:
                axes.plot(np.clip(row.interval, 0, 100), [y, y], color=edge, linewidth=1.4, solid_capstyle="butt")
            axes.plot(row.mean, y, marker, markersize=5, markeredgecolor=edge, markerfacecolor=filling)
            _numbers(axes, y, _cells(row))
        _numbers(axes, -0.9, ("seeds", "mean", "difference", "95% interval", "p (Holm)"))
        marks = [
            Line2D([], [], linestyle="", marker=marker, markersize=5, mec=edge, mfc=filling, label=verdict)
            for verdict, (marker, edge, filling) in _VERDICTS.items()
            if any(row.verdict == verdict for row in rows)
        ]
        below = 0, -0.42 / (_ROW * (len(rows) + 0.6))
        axes.legend(handles=marks, loc="upper left", bbox_to_anchor=below, ncols=4, frameon=False, borderpad=0)


def _cells(row: Estimate) -> Sequence[str]:
    """Write the numbers of a row of bars."""
    if row.difference_interval is None:
        return f"{row.seeds}", f"{row.mean:.1f}", "", "", ""
    interval = " to ".join(_signed(end) for end in row.difference_interval)
    return f"{row.seeds}", f"{row.mean:.1f}", _signed(row.difference), interval, row.p_text


def _numbers(axes: Axes, y: float, cells: Sequence[str]) -> None:
    """Write a line of numbers to the right of axes, in columns."""
    for cell, inches in zip(cells, (0.4, 1.0, 1.7, 2.75, 3.4), strict=True):
        place = 1 + inches / _WIDE, y
        axes.text(
            *place, cell, transform=axes.get_yaxis_transform(), ha="right", va="center_baseline", parse_math=False
        )


def curves(curves: Mapping[str, Sequence[tuple[int, float]]], title: str, label: str, path: Path) -> None:
    """Draw a figure, named by `label`, against updates: a line each, the first one black for comparison."""
    with line_plot(curves, title, path) as axes:
        plain_axes(axes, "both", "updates", label)
        axes.xaxis.set_major_formatter("{x:,.0f}")


def by_length(buckets: Mapping[str, Mapping[str, float]], title: str, path: Path) -> None:
    """Draw BLEU by bucket of source length (labels sort as lengths do): a line each, the first one black."""
    lengths = sorted({length for own in buckets.values() for length in own})
    lines = {name: [(lengths.index(length), own[length]) for length in sorted(own)] for name, own in buckets.items()}
    with line_plot(lines, title, path, marker="o") as axes:
        plain_axes(axes, "both", "words in the source", "BLEU")
        axes.set_xticks(range(len(lengths)), lengths)


@contextmanager
def line_plot(
    lines: Mapping[str, Sequence[tuple[float, float]]], title: str, path: Path, marker: str = ""
) -> Iterator[Axes]:
    """Hand out axes with lines told apart by colour and dash, then name each at its right end."""
    finite = {name: [point for point in own if isfinite(point[1])] for name, own in lines.items()}
    shown = {name: own for name, own in finite.items() if own}
    _refuse_nothing(shown, path)
    with drawing(title, _WIDE, max(_HIGH, _LABEL * len(shown)), path) as axes:
        looks = {name: _look(number) for number, name in enumerate(shown)}
        for name, own in shown.items():
            axes.plot(*zip(*own, strict=True), marker=marker, markersize=3, **looks[name])
        yield axes
        _name_lines(axes, {name: own[-1] for name, own in shown.items()}, looks)


def _look(number: int) -> dict[str, Any]:
    """Return the look of a line: black and bold for the first, then 7 colours and 4 dashes make 28."""
    if number == 0:
        return {"color": _INK, "linewidth": 1.8, "zorder": 3}
    colour, dash = _COLOURS[(number - 1) % len(_COLOURS)], _DASHES[(number - 1) % len(_DASHES)]
    return {"color": colour, "linestyle": dash, "linewidth": 1.2}


def _name_lines(axes: Axes, ends: Mapping[str, tuple[float, float]], looks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the name of each line to the right of the axes, as high as it ends, or as near as there is room."""
    axes.autoscale_view()  # the transform does not wait for it
    width, height = axes.bbox.width / _DPI, axes.bbox.height / _DPI
    into = axes.transData - axes.transAxes
    right_ends = {name: into.transform(end) for name, end in ends.items()}
    names = sorted(ends, key=lambda name: float(right_ends[name][1]))
    places = _spread([float(right_ends[name][1]) for name in names], _LABEL / height)
    left, middle, right = (1 + inches / width for inches in (0.2, 0.66, 0.72))
    within: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}
    for name, y in zip(names, places, strict=True):
        x, end = right_ends[name]
        axes.plot([x, left], [end, y], color=looks[name]["color"], linewidth=0.4, alpha=0.7, **within)
        axes.plot([left, middle], [y, y], **looks[name], **within)
        axes.text(right, y, name, va="center_baseline", transform=axes.transAxes, parse_math=False)


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move rising heights, within 0 to 1, apart until `gap` is between any two of them: they must fit."""
    places = list(heights)
    for number in range(1, len(places)):
        places[number] = max(places[number], places[number - 1] + gap)
    ceiling = 1.0
    for number in reversed(range(len(places))):
        places[number] = min(places[number], ceiling)
        ceiling = places[number] - gap
    return places


def heat_map(
    values: Mapping[str, Mapping[str, float]],
    title: str,
    label: str,
    path: Path,
    lowest: float = 0.0,
    highest: float = 100.0,
    diverging: bool = False,
) -> None:
    """Draw a table: a row for each entry, in their order, a column for each key of theirs, as first met.

    `label` names the values; they are shaded from `lowest` to `highest`, by two colours and signed if
    `diverging`. A cell without a value is hatched.
    """
    columns = list(dict.fromkeys(column for own in values.values() for column in own))
    _refuse_nothing(columns, path)
    table = np.array([[own.get(column, np.nan) for column in columns] for own in values.values()])
    shape = len(columns) * _CELL_WIDE, len(values) * _CELL_HIGH
    with drawing(title, *shape, path) as axes:
        axes.patch.set(facecolor=_PALE, hatch="/////")
        axes.tick_params(length=0, pad=3)
        axes.set_yticks(np.arange(len(values)) + 0.5, list(values), parse_math=False)
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns, **_SLANTED)
        axes.invert_yaxis()  # the first row on top, as one reads
        colours = colormaps[DIVERGING if diverging else SEQUENTIAL]
        shade = Normalize(lowest, highest)
        written = _writing(table, diverging)
        cells = np.ma.masked_invalid(table)
        image = axes.pcolormesh(cells, cmap=colours, norm=shade, edgecolors="white", linewidth=0.8)
        for (row, column), value in np.ndenumerate(table):
            if isfinite(value):
                red, green, blue, _ = colours(shade(value))
                ink = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else _INK
                axes.text(column + 0.5, row + 0.5, written(value), size=7, color=ink, ha="center", va="center")
        tall = max(1.0, min(shape[1], 2.4))
        key = axes.inset_axes((1 + 0.2 / shape[0], 1 - tall / shape[1], 0.11 / shape[0], tall / shape[1]))
        axes.figure.colorbar(image, cax=key, ticks=[lowest, (lowest + highest) / 2, highest], label=label)


def _writing(table: npt.NDArray[np.float64], signed: bool) -> Callable[[float], str]:
    """Return how to write the numbers of a table: with as many digits as their kind and spread deserve."""
    known = table[np.isfinite(table)]
    digits = 0 if (known == known.round()).all() else 1 if np.ptp(known) >= 2 else 2
    return lambda value: _signed(value, digits) if signed else f"{value:.{digits}f}".replace("-", "−")


def _signed(value: float, digits: int = 1) -> str:
    """Write a difference with its sign; one that rounds to 0 has none."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def plain_axes(axes: Axes, grid: Literal["x", "both"], across: str, up: str) -> None:
    """Leave of axes what a reader needs: two edges, a faint grid, and what they measure."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color=_GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=4)
    axes.set_xlabel(across, parse_math=False)
    axes.set_ylabel(up, parse_math=False)


def _refuse_nothing(drawn: Collection[object], path: Path) -> None:
    if not drawn:
        raise EntenteError(f"there is nothing to draw in {path}: give at least one figure")
