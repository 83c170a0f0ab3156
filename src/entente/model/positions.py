"""Positions: how a network that treats words as a set learns their order.

Positions act in three places, so every kind has three verbs and leaves alone what it has no part in:
`embed` adds to the embeddings, `turn` rotates queries and keys, `bias` adds to the attention scores.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from entente.errors import EntenteError


class NoPositions(nn.Module):
    """No positions: the encoder is then exactly permutation-equivariant. The base of all kinds."""

    def __init__(self, *, width: int, heads: int, max_length: int, causal: bool) -> None:
        """Serve a stack of `width` and `heads`; `causal` says that its words see earlier words only."""
        super().__init__()
        self.width, self.heads, self.max_length, self.causal = width, heads, max_length, causal

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

    def __init__(self, *, width: int, heads: int, max_length: int, causal: bool) -> None:
        super().__init__(width=width, heads=heads, max_length=max_length, causal=causal)
        # Recomputed when built, so that the weights hold only what was learned.
        self.register_buffer("table", sinusoids(max_length, width), persistent=False)

    def embed(self, x: Tensor, start: int) -> Tensor:
        """Add the sinusoids of positions start, start + 1, ... to x (B, T, D)."""
        return x + self.table[start : start + x.shape[1]].to(x.dtype)


class Learned(NoPositions):
    """One learned vector per position (Gehring et al. 2017, section 3.1)."""

    def __init__(self, *, width: int, heads: int, max_length: int, causal: bool) -> None:
        super().__init__(width=width, heads=heads, max_length=max_length, causal=causal)
        self.table = nn.Parameter(torch.empty(max_length, width))
        nn.init.normal_(self.table, std=width**-0.5)

    def embed(self, x: Tensor, start: int) -> Tensor:
        """Add the vectors of positions start, start + 1, ... to x (B, T, D)."""
        return x + self.table[start : start + x.shape[1]]


class Rotary(NoPositions):
    """Queries and keys turned by an angle that grows with the position (Su et al. 2021, section 3.2.2).

    Their dot product then depends on the distance alone.
    """

    sine: Tensor
    cosine: Tensor

    def __init__(self, *, width: int, heads: int, max_length: int, causal: bool) -> None:
        super().__init__(width=width, heads=heads, max_length=max_length, causal=causal)
        head = width // heads
        if head % 2:
            raise EntenteError(
                f"rotary positions turn pairs of numbers, but width {width} over {heads} heads gives each head an odd "
                f"width of {head}: choose model.width and model.heads so that a head's width is even"
            )
        table = sinusoids(max_length, head)  # the angles are those of the sinusoids
        self.register_buffer("sine", table[:, 0::2].contiguous(), persistent=False)  # (L, K/2)
        self.register_buffer("cosine", table[:, 1::2].contiguous(), persistent=False)

    def turn(self, q: Tensor, k: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Turn queries and keys (B, H, T, K) whose first word stands at position `start`."""
        sine, cosine = (table[start : start + q.shape[2]].to(q.dtype) for table in (self.sine, self.cosine))
        return _turned(q, sine, cosine), _turned(k, sine, cosine)


def _turned(x: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
    # A head's first half holds the first of each pair: which numbers are paired is free, they are learned.
    one, other = x.chunk(2, dim=-1)  # (B, H, T, K/2) each
    return torch.cat((one * cosine - other * sine, other * cosine + one * sine), dim=-1)


class RelativeBuckets(NoPositions):
    """A learned score for each bucket of distances and each head (Raffel et al. 2020, section 2.1).

    Near distances have a bucket each, far ones share buckets that widen; beyond `_FAR` all share the last.
    """

    distances: Tensor
    _BUCKETS, _FAR = 32, 128  # as in T5

    def __init__(self, *, width: int, heads: int, max_length: int, causal: bool) -> None:
        super().__init__(width=width, heads=heads, max_length=max_length, causal=causal)
        self.scores = nn.Parameter(torch.zeros(heads, self._BUCKETS))  # at first as if there were no positions
        offsets = torch.arange(1 - max_length, max_length)  # of the key from the query
        self.register_buffer("distances", self._bucket(offsets), persistent=False)  # (2L - 1,)

    def _bucket(self, offsets: Tensor) -> Tensor:
        """Sort offsets (n,) into buckets (n,): half of them for each side, or all for the words before."""
        side = self._BUCKETS if self.causal else self._BUCKETS // 2
        distance = offsets.clamp(max=0).neg() if self.causal else offsets.abs()
        near = side // 2
        widening = (distance.clamp(min=1) / near).log() / math.log(self._FAR / near) * (side - near)
        bucket = torch.where(distance < near, distance, (near + widening.long()).clamp(max=side - 1))
        return bucket if self.causal else bucket + side * (offsets > 0)

    def bias(self, query_length: int, memory_length: int, start: int) -> Tensor:
        """Return the learned scores (1, H, Q, S) of the distances."""
        buckets = self.distances[_offsets(query_length, memory_length, start, self.scores.device) + self.max_length - 1]
        return self.scores[:, buckets][None]


class Alibi(NoPositions):
    """Scores that fall with the distance, steeper in each further head (Press et al. 2022, section 3).

    Where words see both sides, half of the heads look back and half ahead, so that order is told: the paper
    is about decoders; this two-sided form is the nonsymmetric one of its authors' code. Nothing is learned.
    """

    slopes: Tensor
    _NEVER = -1.0e4  # as good as -inf, but padding has somewhere to look: rows of -inf alone would be no numbers

    def __init__(self, *, width: int, heads: int, max_length: int, causal: bool) -> None:
        super().__init__(width=width, heads=heads, max_length=max_length, causal=causal)
        if not causal and heads % 2:
            raise EntenteError(
                f"ALiBi over both sides gives half of the heads to each, but there are {heads}: "
                "choose an even number as model.heads"
            )
        steps = heads if causal else heads // 2
        slopes = 2.0 ** (-8.0 / steps * torch.arange(1, steps + 1))
        self.register_buffer("slopes", slopes, persistent=False)

    def bias(self, query_length: int, memory_length: int, start: int) -> Tensor:
        """Return slope times distance, negative (1, H, Q, S); out of reach on the side that a head does not look at."""
        offsets = _offsets(query_length, memory_length, start, self.slopes.device).to(self.slopes.dtype)  # (Q, S)
        back = self.slopes[:, None, None] * offsets  # (H or H/2, Q, S)
        if self.causal:
            return back[None]  # the words ahead are the mask's affair
        ahead = (-back).masked_fill(offsets < 0, self._NEVER)
        return torch.cat((back.masked_fill(offsets > 0, self._NEVER), ahead))[None]


def _offsets(query_length: int, memory_length: int, start: int, device: torch.device) -> Tensor:
    """How far each key stands from each query, negative before it -> (Q, S)."""
    queries = torch.arange(start, start + query_length, device=device)
    return torch.arange(memory_length, device=device) - queries[:, None]


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
    "rotary": Rotary,
    "relative": RelativeBuckets,
    "alibi": Alibi,
}
