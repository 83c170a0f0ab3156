"""Figures of the guide that no report has: heads, positions, a straight line and a bent one, the mask, speeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from torch import Tensor

from entente.evaluation.figures import DIVERGING, SEQUENTIAL, drawing, line_plot, plain_axes
from entente.guide.demonstrations import Line, Look, Reordered, likeness
from entente.model.masks import CAUSAL
from entente.model.positions import sinusoids

_INK, _RED, _PALE, _GREY = "#222222", "#d55e00", "#f1f1f1", "#9a9a9a"
_CELL = 0.27  # inches
_SLANTED: Mapping[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor", "parse_math": False}
_SEEN = 64  # positions and numbers of a sinusoid that are drawn

Cells = npt.NDArray[np.float64]


def heads(look: Look, path: Path) -> None:
    """Draw all weights of the head that was followed, its query framed, and what every head makes of that query."""
    layers, count, size, _ = look.every.shape
    title = f"Layer {look.layer}, head {look.head}, and beside it what every head makes of “{look.pieces[look.query]}”"
    with drawing(title, size * _CELL, size * _CELL, path) as axes:
        _shade(axes, look.every[look.layer - 1, look.head - 1], look.pieces, look.pieces)
        axes.set_ylabel("who looks (queries)")
        axes.set_xlabel("at whom (keys)")
        _frame(axes, look.query, size)
        beside = axes.inset_axes((1 + 1.3 / (size * _CELL), 0, 1, layers * count / size))
        names = [f"layer {layer}, head {head}" for layer in range(1, layers + 1) for head in range(1, count + 1)]
        _shade(beside, look.every[:, :, look.query].flatten(0, 1), names, look.pieces)
        _frame(beside, (look.layer - 1) * count + look.head - 1, size)


def sinusoid(width: int, path: Path) -> None:
    """Draw the table of sinusoids, and how alike two rows are by the distance between them."""
    table = sinusoids(_SEEN, width).double()
    with drawing("Positions as sines and cosines, and the distance in them", 3.4, 2.8, path) as axes:
        axes.pcolormesh(table.numpy(), cmap=DIVERGING, vmin=-1, vmax=1, rasterized=True)
        axes.invert_yaxis()
        axes.tick_params(length=0, pad=4)
        axes.set(xlabel="number of the vector", ylabel="position of the word")
        beside = axes.inset_axes((1.25, 0, 1, 1))
        plain_axes(beside, "both", "distance in words", "dot product of two positions")
        looks = zip((3.6, 2.0, 0.9), ("#bfdcee", "#0072b2", _INK), ("-", "-", (0, (4, 2))), strict=True)
        centres = (_SEEN // 2, _SEEN, 4 * _SEEN)
        lines = zip(likeness(width, centres, _SEEN // 2).items(), looks, strict=True)
        for (name, line), (thick, colour, dash) in lines:
            beside.plot(*zip(*line, strict=True), linewidth=thick, color=colour, linestyle=dash, label=name)
        beside.legend(frameon=False, loc="upper right", borderpad=0, handlelength=2.5)


def reordered(without: Reordered, sinusoidal: Reordered, path: Path) -> None:
    """Draw how far each word of one order is from each of the other, without positions and with them."""
    size = len(without.rows)
    side = size * 1.25 * _CELL
    with drawing("Distances between the words that the encoder makes of two orders", side, side, path) as axes:
        panels = {
            "without positions": (axes, without),
            "with them": (axes.inset_axes((1 + 0.75 / side, 0, 1, 1)), sinusoidal),
        }
        for name, (panel, found) in panels.items():
            highest = float(max(without.apart.max(), sinusoidal.apart.max()))
            _shade(panel, found.apart, found.rows, found.columns, highest, reverse=True)
            panel.set_title(name, size=8)
            for row, own in enumerate(found.apart.tolist()):
                for column, value in enumerate(own):
                    ink = "white" if value < highest / 3 else _INK
                    text = "0" if value < 1e-12 else f"{value:.2f}"
                    panel.text(column + 0.5, row + 0.5, text, size=7, color=ink, ha="center", va="center")


def bent(lines: Mapping[str, Line], path: Path) -> None:
    """Draw what comes out of sublayers whose input is scaled."""
    with line_plot(lines, "A straight line and bent ones", path) as axes:
        plain_axes(axes, "both", "what is read, scaled by", "what comes out, along its direction at 1")


def triangle(pieces: Sequence[str], weights: Tensor, path: Path) -> None:
    """Draw the rule of the mask, and the decoder's weights (T, T) under it; what is hidden is hatched."""
    size = len(pieces)
    side = size * _CELL
    allowed = CAUSAL.laid_out(size, size)[0, 0].double()
    with drawing("The mask, and the weights that are left", side, side, path) as axes:
        _shade(axes, 0.35 * allowed, pieces, pieces)
        axes.set_title("may look (filled), may not (hatched)", size=8)
        axes.set_ylabel("who looks")
        axes.set_xlabel("at whom")
        beside = axes.inset_axes((1 + 0.95 / side, 0, 1, 1))
        _shade(beside, weights, pieces, pieces)
        beside.set_title("last layer, mean of its heads", size=8)


def curves(loss: Mapping[str, Sequence[Line]], bleu: Mapping[str, Sequence[Line]], path: Path) -> None:
    """Draw validation loss and BLEU against updates, a line for each seed; the first network is black."""
    with drawing(
        "Validation as training goes on: how likely the next word, and what is written", 3.2, 2.4, path
    ) as axes:
        axes.set_yscale("log")
        panels = {
            "loss, nats a piece": (axes, loss),
            "BLEU of what is written": (axes.inset_axes((1.27, 0, 1, 1)), bleu),
        }
        for label, (panel, networks) in panels.items():
            plain_axes(panel, "both", "updates", label)
            panel.xaxis.set_major_formatter("{x:,.0f}")
            looks: Sequence[Mapping[str, Any]] = (
                {"color": _INK, "linestyle": "-", "marker": "o"},
                {"color": _RED, "linestyle": "--", "marker": "s"},
            )
            for (name, seeds), look in zip(networks.items(), looks, strict=True):
                for number, line in enumerate(seeds):
                    label = "" if number else name
                    panel.plot(*zip(*line, strict=True), linewidth=1.1, markersize=3, label=label, **look)
        axes.legend(frameon=False, loc="lower left", borderpad=0)


def speeds(lines: Mapping[str, Line], path: Path) -> None:
    """Draw how fast networks train by the length of the sentences, along logarithmic axes."""
    with line_plot(lines, "Speed of training by length", path, marker="o") as axes:
        axes.set(xscale="log")
        plain_axes(axes, "both", "pieces in a sentence", "target pieces a second")
        lengths = sorted({length for line in lines.values() for length, _ in line})
        axes.set_xticks(lengths, [f"{length:g}" for length in lengths])
        axes.minorticks_off()
        axes.set_ylim(0)
        axes.yaxis.set_major_formatter("{x:,.0f}")


def _shade(
    axes: Axes, values: Tensor, rows: Sequence[str], columns: Sequence[str], most: float = 1.0, reverse: bool = False
) -> None:
    """Shade cells from 0 to `most`, the first row on top; cells of exactly 0 are hatched unless dark is near 0."""
    cells: Cells = values.double().numpy()
    axes.patch.set(facecolor=_PALE, hatch="/////")
    axes.tick_params(length=0, pad=3)
    colours = SEQUENTIAL + "_r" * reverse
    shown = np.ma.masked_equal(cells, -1.0 if reverse else 0.0)
    axes.pcolormesh(shown, cmap=colours, vmin=0, vmax=most, edgecolors="white", linewidth=0.6)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows, parse_math=False)
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, **_SLANTED)
    axes.invert_yaxis()


def _frame(axes: Axes, row: int, width: int) -> None:
    """Frame a row of cells."""
    x, y = [0, width, width, 0, 0], [row, row, row + 1, row + 1, row]
    axes.plot(x, y, color=_RED, linewidth=1.6, clip_on=False, solid_joinstyle="miter")
