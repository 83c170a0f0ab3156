"""Positions: how a network that treats words as a set learns their order.

Positions act in three places, so every kind has three verbs and leaves alone what it has no part in:
`embed` adds to the embeddings, `turn` rotates queries and keys, `bias` adds to the attention scores.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


class NoPositions(nn.Module):
    """No positions: the encoder is then exactly permutation-equivariant. The base of all kinds."""

    def __init__(self, *, width: int, heads: int, max_length: int) -> None:
        super().__init__()
        self.width, self.heads, self.max_length = width, heads, max_length

    def embed(self, x: Tensor, start: int) -> Tensor:
        """Mark embeddings x (B, T, D) whose first word stands at position `start` -> (B, T, D)."""
        return x

    def turn(self, q: Tensor, k: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Mark queries and keys (B, H, T, K) whose first word stands at position `start`."""
        return q, k

    def bias(self, query_length: int, memory_length: int, start: int) -> Tensor | None:
        """Return scores to add, (1, H, Q, S), for queries from position `start` on keys from 0, or nothing."""
        return None


class Sinusoidal(NoPositions):
    """Sines and cosines of falling frequency (Vaswani et al. 2017, section 3.5)."""

    table: Tensor

    def __init__(self, *, width: int, heads: int, max_length: int) -> None:
        super().__init__(width=width, heads=heads, max_length=max_length)
        # Recomputed when built, so that the weights hold only what was learned.
        self.register_buffer("table", sinusoids(max_length, width), persistent=False)

    def embed(self, x: Tensor, start: int) -> Tensor:
        """Add the sinusoids of positions start, start + 1, ... to x (B, T, D)."""
        return x + self.table[start : start + x.shape[1]].to(x.dtype)


class Learned(NoPositions):
    """One learned vector per position (Gehring et al. 2017, section 3.1)."""

    def __init__(self, *, width: int, heads: int, max_length: int) -> None:
        super().__init__(width=width, heads=heads, max_length=max_length)
        self.table = nn.Parameter(torch.empty(max_length, width))
        nn.init.normal_(self.table, std=width**-0.5)

    def embed(self, x: Tensor, start: int) -> Tensor:
        """Add the vectors of positions start, start + 1, ... to x (B, T, D)."""
        return x + self.table[start : start + x.shape[1]]


def sinusoids(length: int, width: int) -> Tensor:
    """PE(p, 2i) = sin(p / 10000^(2i/D)), PE(p, 2i+1) = cos of the same -> (length, D) float32."""
    position = torch.arange(length, dtype=torch.float64)[:, None]  # (T, 1)
    frequency = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10_000.0) / width))  # (D/2,)
    angle = position * frequency  # (T, D/2)
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :width].float()  # (T, D)


POSITIONS: Mapping[str, Callable[..., NoPositions]] = {
    "none": NoPositions,
    "sinusoidal": Sinusoidal,
    "learned": Learned,
}
