"""The decoder's memory between two steps: keys and values, so that no word is read twice."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class SharedSource(ABC):
    """A decoder's state, N hypotheses side by side for each sentence, of whose source there is one copy."""

    src_mask: Tensor  # (R/N, 1, 1, S)
    hypotheses: int = field(default=1, kw_only=True)  # N

    @abstractmethod
    def reorder(self, rows: Tensor) -> Self:
        """Keep `rows` (R,), each from its own sentence: what is of the source stays where it lies."""

    @abstractmethod
    def of_sources(self, rows: Tensor) -> Self:
        """Keep the sources `rows` (A,), but for their mask."""

    def expand(self, hypotheses: int) -> Self:
        """Make `hypotheses` of each."""
        rows = torch.arange(len(self.src_mask) * self.hypotheses, device=self.src_mask.device)
        return replace(self.reorder(rows.repeat_interleave(hypotheses)), hypotheses=self.hypotheses * hypotheses)

    def select(self, rows: Tensor) -> Self:
        """Keep `rows` (A N,) and their sources."""
        whose = rows[:: self.hypotheses] // self.hypotheses  # (A,)
        kept = self.reorder(rows).of_sources(whose)
        return replace(kept, src_mask=self.src_mask.index_select(0, whose))


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
class Cache(SharedSource):
    """The state of a Transformer decoder: a Past for each layer, and how many words it has read."""

    layers: tuple[Past, ...]
    length: int

    def reorder(self, rows: Tensor) -> Self:
        """Keep the keys and values of the targets `rows` (R,)."""
        return replace(self, layers=tuple(past.take(rows) for past in self.layers))

    def of_sources(self, rows: Tensor) -> Self:
        """Keep the keys and values of the memories `rows` (A,)."""
        return replace(self, layers=tuple(past.take_sources(rows) for past in self.layers))
