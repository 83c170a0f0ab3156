"""The decoder's memory between two steps: keys and values, so that no word is read twice."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Past:
    """Keys and values of one layer: k, v (B, H, t, K) of the target so far; memory_k, memory_v (B, H, S, K)."""

    k: Tensor
    v: Tensor
    memory_k: Tensor
    memory_v: Tensor

    @classmethod
    def begin(cls, memory_k: Tensor, memory_v: Tensor) -> Self:
        """Return the past before the first word."""
        nothing = memory_k[:, :, :0]
        return cls(nothing, nothing, memory_k, memory_v)

    def append(self, k: Tensor, v: Tensor) -> "Past":
        """Add the keys and values (B, H, 1, K) of one more word."""
        return Past(torch.cat((self.k, k), 2), torch.cat((self.v, v), 2), self.memory_k, self.memory_v)

    def select(self, rows: Tensor) -> "Past":
        """Keep `rows` (R,) of the batch, in that order."""
        return Past(*(tensor.index_select(0, rows) for tensor in (self.k, self.v, self.memory_k, self.memory_v)))


@dataclass(frozen=True)
class Cache:
    """The state of a Transformer decoder: one Past per layer, the source's mask (B, 1, 1, S), words read so far."""

    layers: tuple[Past, ...]
    src_mask: Tensor
    length: int

    def select(self, rows: Tensor) -> "Cache":
        """Keep `rows` (R,) of the batch, in that order."""
        return Cache(tuple(past.select(rows) for past in self.layers), self.src_mask.index_select(0, rows), self.length)
