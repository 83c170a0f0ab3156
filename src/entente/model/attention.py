"""Attention: every query looks at every key and takes a weighted mean of the values."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entente.model.dropout import Dropout
from entente.model.maps import Map
from entente.model.masks import Causal, Mask, laid_out
from entente.model.positions import NoPositions


class AttentionCore(nn.Module, ABC):
    """Weights from scores, a mean of the values by these weights. A kind of attention is a way to score."""

    def __init__(self, *, heads: int, width: int, dropout: float = 0.0) -> None:
        """Score for `heads` heads of `width` K each; a share `dropout` of the weights is dropped in training."""
        super().__init__()
        self.heads, self.width, self.dropout = heads, width, Dropout(dropout)

    @abstractmethod
    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """Score every key for every query: q (B, H, Q, K), k (B, H, S, K) -> (B, H, Q, S)."""

    def weights(self, q: Tensor, k: Tensor, mask: Mask | None) -> Tensor:
        """Return how much each query takes of each value -> (B, H, Q, S), rows sum to 1, masked keys get 0.

        mask (B|1, H|1, Q|1, S) is bool, True = may attend, or holds scores to add.
        """
        scores = self.scores(q, k)  # (B, H, Q, S)
        table = laid_out(mask, q, k)
        if table is not None:
            scores = scores.masked_fill(~table, -torch.inf) if table.dtype == torch.bool else scores + table
        return scores.softmax(dim=-1)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask | None) -> Tensor:
        """Attend: q (B, H, Q, K); k, v (B, H, S, K); mask as `weights` has it -> (B, H, Q, K)."""
        return self.dropout(self.weights(q, k, mask)) @ v

    def _by_weights(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask | None) -> Tensor:
        """Attend by weights that are laid out, so that some can be dropped: in float32, as fused kernels do inside."""
        wide = torch.promote_types(q.dtype, torch.float32)
        with torch.autocast(q.device.type, enabled=False):
            return AttentionCore.forward(self, q.to(wide), k.to(wide), v.to(wide), mask)


def _fused(q: Tensor, k: Tensor, v: Tensor, mask: Mask | None, scale: float | None) -> Tensor:
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        # The way back of the kernel for bfloat16 takes ten times that for float32 (PyTorch 2.13 on AVX-512).
        with torch.autocast("cpu", enabled=False):
            return _fused(q.float(), k.float(), v.float(), mask, scale)
    if isinstance(mask, Causal):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


class ScaledDotProduct(AttentionCore):
    """softmax(q k' / sqrt(K)) v (Vaswani et al. 2017, section 3.2.1), on PyTorch's fused kernel."""

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """q (B, H, Q, K), k (B, H, S, K) -> (B, H, Q, S)."""
        return q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask | None) -> Tensor:
        """Attend without ever laying out the weights that `weights` shows, if none are dropped."""
        if self.dropout.drops:
            return self._by_weights(q, k, v, mask)
        return _fused(q, k, v, mask, None)


class DotProduct(AttentionCore):
    """softmax(q k') v, unscaled (Luong et al. 2015, section 3.1); its scores grow with the width of a head."""

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """q (B, H, Q, K), k (B, H, S, K) -> (B, H, Q, S)."""
        return q @ k.transpose(-2, -1)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask | None) -> Tensor:
        """Attend on PyTorch's fused kernel, its scale set to 1, if no weights are dropped."""
        if self.dropout.drops:
            return self._by_weights(q, k, v, mask)
        return _fused(q, k, v, mask, 1.0)


class Additive(AttentionCore):
    """v' tanh(q + k) (Bahdanau et al. 2015, appendix A.1.2): the maps W and U made q and k already."""

    def __init__(self, *, heads: int, width: int, dropout: float = 0.0) -> None:
        super().__init__(heads=heads, width=width, dropout=dropout)
        self.v = nn.Parameter(torch.empty(heads, width))
        nn.init.normal_(self.v, std=width**-0.5)

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """q (B, H, Q, K), k (B, H, S, K) -> (B, H, Q, S)."""
        both = (q[:, :, :, None] + k[:, :, None]).tanh()  # (B, H, Q, S, K)
        return torch.einsum("bhqsk,hk->bhqs", both, self.v.to(both.dtype))


class Uniform(AttentionCore):
    """Every word that may be looked at weighs the same: a plain mean, blind to what the words are."""

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """q (B, H, Q, K), k (B, H, S, K) -> zeros (B, H, Q, S)."""
        return q.new_zeros(*q.shape[:3], k.shape[2])


class Identity(AttentionCore):
    """Every word looks at itself alone: self-attention with its maps, but nothing passes between words."""

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """q (B, H, Q, K), the last Q of k (B, H, S, K) -> 0 for itself, else -inf (B, H, Q, S)."""
        queries, keys = q.shape[2], k.shape[2]
        itself = torch.ones(queries, keys, dtype=torch.bool, device=q.device).triu(keys - queries)
        itself = itself.tril(keys - queries)  # (Q, S)
        return q.new_zeros(*q.shape[:3], keys).masked_fill(~itself, -torch.inf)

    def weights(self, q: Tensor, k: Tensor, mask: Mask | None) -> Tensor:
        """Heed no mask: a word always sees itself, and padding may too."""
        return super().weights(q, k, None)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask | None) -> Tensor:
        """Return each word's own value, never dropped."""
        return v[:, :, -q.shape[2] :]


ATTENTIONS: Mapping[str, Callable[..., AttentionCore]] = {
    "scaled_dot_product": ScaledDotProduct,
    "dot_product": DotProduct,
    "additive": Additive,
    "uniform": Uniform,
    "identity": Identity,
}


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence over itself (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self, *, width: int, heads: int, core: AttentionCore) -> None:
        super().__init__()
        self.heads, self.core = heads, core
        self.qkv = Map(width, 3 * width)
        self.out = Map(width, width)
        # Three square maps in one matrix: each is initialised as such (Glorot and Bengio 2010).
        for weight in self.qkv.weight.chunk(3):
            nn.init.xavier_uniform_(weight)
        _reset(self.out, self.qkv.bias)

    def forward(self, x: Tensor, mask: Mask | None, positions: NoPositions) -> Tensor:
        """x (B, T, D), mask (B|1, 1, T|1, T) -> (B, T, D)."""
        return self.attend(*self.project(x, positions, 0), mask, positions, 0)

    def project(self, x: Tensor, positions: NoPositions, start: int) -> tuple[Tensor, Tensor, Tensor]:
        """Map x (B, T, D), whose first word stands at position `start`, to q, k, v (B, H, T, K)."""
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, H, T, K) each
        q, k = positions.turn(q, k, start)
        return q, k, v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask | None, positions: NoPositions, start: int) -> Tensor:
        """Attend from q (B, H, Q, K), at positions from `start` on, over k, v (B, H, S, K) -> (B, Q, D)."""
        bias = positions.bias(q.shape[2], k.shape[2], start)  # (1, H, Q, S)
        if bias is not None:
            table = laid_out(mask, q, k)
            mask = bias if table is None else bias.masked_fill(~table, -torch.inf)
        return self.out(_join(self.core(q, k, v, mask)))


class CrossAttention(nn.Module):
    """Multi-head attention of the decoder over the encoder's memory (Vaswani et al. 2017, section 3.2.3)."""

    def __init__(self, *, width: int, heads: int, core: AttentionCore) -> None:
        super().__init__()
        self.heads, self.core = heads, core
        self.q = Map(width, width)
        self.kv = Map(width, 2 * width)
        self.out = Map(width, width)
        for weight in (self.q.weight, *self.kv.weight.chunk(2)):
            nn.init.xavier_uniform_(weight)
        _reset(self.out, self.q.bias, self.kv.bias)

    def read(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Map memory (B, S, D) to the keys and values (B, H, S, K) that all words of the target look at."""
        batch, length, _ = memory.shape
        k, v = self.kv(memory).view(batch, length, 2, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, H, S, K) each
        return k, v

    def forward(self, x: Tensor, k: Tensor, v: Tensor, mask: Mask | None) -> Tensor:
        """x (B N, T, D), N targets for each source; k, v (B, H, S, K) of the memory; mask (B, 1, 1, S) -> like x."""
        # Targets of one source look at it together: N T queries.
        q = self.q(x).view(len(k), -1, self.heads, k.shape[-1]).transpose(1, 2)  # (B, H, N T, K)
        return self.out(_join(self.core(q, k, v, mask))).view_as(x)


def _join(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)  # (B, H, T, K) -> (B, T, D)


def _reset(out: Map, *biases: Tensor) -> None:
    nn.init.xavier_uniform_(out.weight)
    for bias in (out.bias, *biases):
        nn.init.zeros_(bias)
