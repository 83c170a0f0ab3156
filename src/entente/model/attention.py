"""Attention: every query looks at every key and takes a weighted mean of the values."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entente.model.positions import NoPositions


class ScaledDotProduct(nn.Module):
    """softmax(q k' / sqrt(K)) v (Vaswani et al. 2017, section 3.2.1), on PyTorch's fused kernel."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Attend: q (B, H, Q, K); k, v (B, H, S, K); mask (·, ·, Q|1, S), True = may, or scores -> (B, H, Q, K)."""
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    def weights(self, q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
        """Return the weights that `forward` uses but never shows -> (B, H, Q, S), rows sum to 1."""
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5  # (B, H, Q, S)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        return scores.softmax(dim=-1)


ATTENTIONS: Mapping[str, Callable[..., ScaledDotProduct]] = {"scaled_dot_product": ScaledDotProduct}


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence over itself (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self, *, width: int, heads: int, core: ScaledDotProduct) -> None:
        super().__init__()
        self.heads, self.core = heads, core
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        # Three square maps in one matrix: each is initialised as such (Glorot and Bengio 2010).
        for weight in self.qkv.weight.chunk(3):
            nn.init.xavier_uniform_(weight)
        _reset(self.out, self.qkv.bias)

    def forward(self, x: Tensor, mask: Tensor | None, positions: NoPositions) -> Tensor:
        """x (B, T, D), mask (B|1, 1, T|1, T) -> (B, T, D)."""
        return self.attend(*self.project(x, positions, 0), mask, positions, 0)

    def project(self, x: Tensor, positions: NoPositions, start: int) -> tuple[Tensor, Tensor, Tensor]:
        """Map x (B, T, D), whose first word stands at position `start`, to q, k, v (B, H, T, K)."""
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, H, T, K) each
        q, k = positions.turn(q, k, start)
        return q, k, v

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, positions: NoPositions, start: int
    ) -> Tensor:
        """Attend from q (B, H, Q, K), at positions from `start` on, over k, v (B, H, S, K) -> (B, Q, D)."""
        bias = positions.bias(q.shape[2], k.shape[2], start)  # (1, H, Q, S)
        if bias is not None:
            mask = bias if mask is None else bias.masked_fill(~mask, -torch.inf)
        return self.out(_join(self.core(q, k, v, mask)))


class CrossAttention(nn.Module):
    """Multi-head attention of the decoder over the encoder's memory (Vaswani et al. 2017, section 3.2.3)."""

    def __init__(self, *, width: int, heads: int, core: ScaledDotProduct) -> None:
        super().__init__()
        self.heads, self.core = heads, core
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        for weight in (self.q.weight, *self.kv.weight.chunk(2)):
            nn.init.xavier_uniform_(weight)
        _reset(self.out, self.q.bias, self.kv.bias)

    def read(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Map memory (B, S, D) to the keys and values (B, H, S, K) that all words of the target look at."""
        batch, length, _ = memory.shape
        k, v = self.kv(memory).view(batch, length, 2, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, H, S, K) each
        return k, v

    def forward(self, x: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, T, D); k, v (B, H, S, K) of the memory; mask (B, 1, 1, S) -> (B, T, D)."""
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, T, K)
        return self.out(_join(self.core(q, k, v, mask)))


def _join(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)  # (B, H, T, K) -> (B, T, D)


def _reset(out: nn.Linear, *biases: Tensor) -> None:
    nn.init.xavier_uniform_(out.weight)
    for bias in (out.bias, *biases):
        nn.init.zeros_(bias)
