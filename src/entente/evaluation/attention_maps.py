"""Attention made visible: heat-maps of what the observer sees of one sentence and its translation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from entente.errors import EntenteError
from entente.evaluation.figures import STYLE
from entente.evaluation.observer import observe, stacked
from entente.model.masks import padding_mask
from entente.model.seq2seq import Seq2Seq
from entente.text.corpus import replacing
from entente.text.subwords import BOS, EOS, PAD, Subwords

_CAPTIONS: Mapping[str, str] = {
    "encoder_self_attention": "Encoder self-attention: from which words each source word (row) gathers",
    "decoder_self_attention": "Decoder self-attention: from which words each target word (row) gathers; "
    "hatched is hidden by the mask",
    "cross_attention": "Attention over the encoder: where the decoder looks when it writes each word (row)",
}

_COLOURS = "YlGnBu"  # sequential, light to dark, told apart without colour vision
_SLANTED: Mapping[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor", "parse_math": False}
# Inches: side of a cell, least side of a panel, space between panels; titles, colour key, least width of all.
_CELL, _PANEL, _GAP = 0.21, 1.3, 0.34
_HEADER, _KEY, _WIDTH = 0.5, 0.8, 8.5
_DPI = 110


@dataclass(frozen=True, slots=True)
class AttentionMap:
    """Weights (L, H, Q, S) of all layers and heads of one kind of attention, and the pieces on both sides."""

    kind: str
    rows: Sequence[str]  # (Q,) who looks
    columns: Sequence[str]  # (S,) at whom
    weights: npt.NDArray[np.float32]


def attention_maps(
    network: Seq2Seq, subwords: Subwords, source: Sequence[int], target: Sequence[int]
) -> list[AttentionMap]:
    """Collect the attention of a network that reads `source` and is forced to write `target`.

    Both are ids without BOS and EOS; the network is in evaluation mode. Rows of decoder self-attention are
    the words read; rows of attention over the encoder the words then written, one further on. A network that
    lacks a kind of attention has no map of it. Raises EntenteError where a side is longer than the network reads.
    """
    longest = max(len(source), len(target)) + 1
    if longest > network.max_length:
        raise EntenteError(
            f"a sentence, or its translation, has {longest} pieces, and this network reads at most "
            f"{network.max_length} at once: its attention cannot be shown; split the sentence"
        )
    device = next(network.parameters()).device
    src = torch.tensor([[*source, EOS]], device=device)  # (1, S)
    tgt_in = torch.tensor([[BOS, *target]], device=device)  # (1, T)
    with torch.inference_mode(), observe(network) as seen:
        network(src, padding_mask(src, PAD), tgt_in)
    read = subwords.pieces([*source, EOS])
    heard, written = subwords.pieces([BOS, *target]), subwords.pieces([*target, EOS])
    words = {
        "encoder_self_attention": (read, read),
        "decoder_self_attention": (heard, heard),
        "cross_attention": (written, read),
    }
    return [
        AttentionMap(kind, *words[kind], weights[:, 0].float().cpu().numpy())  # (L, H, Q, S)
        for kind, weights in stacked(seen).items()
    ]


def readable(pieces: Sequence[str]) -> list[str]:
    """Write subword pieces for a reader: a raised dot stands before what continues a word (chat ·s)."""
    special = {"<s>": "⟨start⟩", "</s>": "⟨end⟩", "▁": "␣"}
    return [special.get(piece) or ("·" * piece[0].isalnum() + piece.removeprefix("▁")) for piece in pieces]


def draw(attention: AttentionMap, title: str, path: Path) -> None:
    """Draw a PNG: a row of panels for each layer, a panel for each head after their mean.

    Cells are shaded from 0 to 1; what a mask hides is hatched. The bytes depend on the arguments only.
    """
    with style.context(STYLE, after_reset=True):
        figure = _figure(attention, title)
        with replacing(path) as temporary:
            # No program name or date among the metadata: the same figure is the same file.
            figure.savefig(temporary, format="png", metadata={"Software": None})


def _figure(attention: AttentionMap, title: str) -> Figure:
    layers, heads, queries, keys = attention.weights.shape
    panels = heads + 1 if heads > 1 else 1  # in a row: the mean, then the heads
    width, height = max(_PANEL, keys * _CELL), max(_PANEL, queries * _CELL)
    rows, columns = readable(attention.rows), readable(attention.columns)
    left, bottom = _room(rows), _room(columns)
    whole = max(_WIDTH, left + panels * (width + _GAP) + _KEY), _HEADER + layers * (height + _GAP) + bottom
    figure = Figure(figsize=whole, dpi=_DPI)
    FigureCanvasAgg(figure)

    def place(x: float, y: float, width: float, height: float) -> Axes:
        """Put axes so many inches from the lower left corner."""
        return figure.add_axes((x / whole[0], y / whole[1], width / whole[0], height / whole[1]))

    hidden = (attention.weights == 0).all(axis=(0, 1))  # (Q, S)
    for layer, weights in enumerate(attention.weights, start=1):  # (H, Q, S)
        y = bottom + (layers - layer) * (height + _GAP)
        shown = {"mean of heads": weights.mean(axis=0)} if heads > 1 else {}
        shown |= {f"head {head}": values for head, values in enumerate(weights, start=1)}
        for panel, (name, values) in enumerate(shown.items()):
            axes = place(left + panel * (width + _GAP), y, width, height)
            axes.set_title(f"layer {layer}, {name}", size=8)
            image = _shade(axes, values, hidden)
            if panel == 0:
                axes.set_yticks(np.arange(queries) + 0.5, rows, parse_math=False)
            if layer == layers:
                axes.set_xticks(np.arange(keys) + 0.5, columns, **_SLANTED)
    key = place(left + panels * (width + _GAP), bottom, 0.11, height)
    figure.colorbar(image, cax=key, ticks=[0, 0.5, 1], label="weight (a row sums to 1)")
    for inches, text, size in ((0.22, title, 11), (0.43, _CAPTIONS[attention.kind], 8.5)):
        figure.text(0.12 / whole[0], 1 - inches / whole[1], text, size=size, va="center", parse_math=False)
    return figure


def _room(words: Sequence[str]) -> float:
    """Return the inches that the longest of the words takes beside a panel."""
    return 0.25 + 0.078 * max(len(word) for word in words)


def _shade(axes: Axes, weights: npt.NDArray[np.float32], hidden: npt.NDArray[np.bool_]) -> QuadMesh:
    """Shade weights (Q, S) from 0 to 1 and leave the hidden cells (Q, S) to the hatched ground."""
    axes.patch.set(facecolor="#f1f1f1", hatch="/////")
    axes.set(xticks=[], yticks=[])
    axes.tick_params(length=0, pad=3)
    axes.invert_yaxis()  # the first word on top, as one reads
    cells = np.ma.masked_array(weights, hidden)
    return axes.pcolormesh(cells, cmap=_COLOURS, vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
