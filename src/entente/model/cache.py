"""The decoder's memory between two steps: keys and values, so that no word is read twice."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


def sentences(rows: Tensor, hypotheses: int) -> Tensor:
    """Return whose hypotheses `rows` are: rows (A N,), N `hypotheses` of each sentence side by side -> (A,)."""
    return rows[::hypotheses] // hypotheses


@dataclass(frozen=True)
class Past:
    """Keys and values of one layer: k, v (R, H, t, K) of the targets so far; memory_k, memory_v (R/N, H, S, K)."""

    k: Tensor
    v: Tensor
    memory_k: Tensor
    memory_v: Tensor

    @classmethod
    def begin(cls, memory_k: Tensor, memory_v: Tensor) -> Self:
        """Return the past before the first word."""
        nothing = memory_k[:, :, :0]
        return cls(nothing, nothing, memory_k, memory_v)

    def append(self, k: Tensor, v: Tensor) -> Self:
        """Add the keys and values (R, H, 1, K) of one more word."""
        return replace(self, k=torch.cat((self.k, k), 2), v=torch.cat((self.v, v), 2))

    def take(self, rows: Tensor) -> Self:
        """Keep the targets `rows` (R,), in that order."""
        return replace(self, k=self.k.index_select(0, rows), v=self.v.index_select(0, rows))

    def take_sources(self, rows: Tensor) -> Self:
        """Keep the sources `rows` (A,), in that order."""
        memory_k, memory_v = self.memory_k.index_select(0, rows), self.memory_v.index_select(0, rows)
        return replace(self, memory_k=memory_k, memory_v=memory_v)


@dataclass(frozen=True)
class Cache:
    """The state of a Transformer decoder: a Past for each layer, the sources' mask (R/N, 1, 1, S), words read."""

    layers: tuple[Past, ...]
    src_mask: Tensor
    length: int
    hypotheses: int = 1  # N

    def expand(self, hypotheses: int) -> Self:
        """Make `hypotheses` of each."""
        rows = torch.arange(len(self.layers[0].k), device=self.src_mask.device).repeat_interleave(hypotheses)
        return replace(self.reorder(rows), hypotheses=self.hypotheses * hypotheses)

    def reorder(self, rows: Tensor) -> Self:
        """Keep `rows` (R,), each from its own sentence: what is of the source stays where it lies."""
        return replace(self, layers=tuple(past.take(rows) for past in self.layers))

    def select(self, rows: Tensor) -> Self:
        """Keep `rows` (A N,) and their sources."""
        whose = sentences(rows, self.hypotheses)
        layers = tuple(past.take(rows).take_sources(whose) for past in self.layers)
        return replace(self, layers=layers, src_mask=self.src_mask.index_select(0, whose))
