"""Figures of speed: who is how fast, and how time and memory grow with the work."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from entente.evaluation.figures import drawing, line_plot, plain_axes

_OURS, _OTHERS, _INK = "#0072b2", "#9a9a9a", "#222222"
_WIDE, _ROW = 4.6, 0.2  # inches


def speeds(found: Mapping[str, tuple[float, float, float]], title: str, label: str, path: Path) -> None:
    """Draw speeds (median, slowest, fastest) as bars from 0, ours in a colour, the medians written beside them."""
    with drawing(title, _WIDE, _ROW * (len(found) + 0.6), path) as axes:
        plain_axes(axes, "x", label, "")
        axes.set(ylim=(len(found) - 0.4, -0.6))
        axes.set_yticks(range(len(found)), list(found), parse_math=False)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        for y, (name, (middle, slowest, fastest)) in enumerate(found.items()):
            axes.barh(y, middle, height=0.62, color=_OURS if name.startswith("entente") else _OTHERS)
            axes.plot([slowest, fastest], [y, y], color=_INK, linewidth=0.8)
            axes.text(fastest, y, f"  {middle:,.0f}", va="center_baseline")


def growth(works: Mapping[str, Sequence[tuple[float, float]]], title: str, label: str, path: Path) -> None:
    """Draw how something, named by `label`, grows with the amount of each work, along logarithmic axes.

    What is linear in the work rises by one decade in each.
    """
    with line_plot(works, title, path, marker="o") as axes:
        axes.set(xscale="log", yscale="log")
        plain_axes(axes, "both", "amount", label)
