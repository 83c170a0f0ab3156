"""Layers: attention, then a feed-forward network, each inside a residual connection with layer normalisation."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from entente.model.attention import CrossAttention, SelfAttention
from entente.model.cache import Past
from entente.model.dropout import Dropout
from entente.model.feed_forward import FeedForward
from entente.model.masks import Mask
from entente.model.positions import NoPositions


class PostNorm(nn.Module):
    """norm(x + f(x)), as published (Vaswani et al. 2017, section 3.1)."""

    def __init__(self, *, width: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(width), Dropout(dropout)

    def before(self, x: Tensor) -> Tensor:
        """Return what the sublayer reads: x (B, T, D) as it is."""
        return x

    def after(self, x: Tensor, fx: Tensor) -> Tensor:
        """Join the stream x (B, T, D) and what the sublayer made of it."""
        return self.norm(x + self.dropout(fx))

    def last(self) -> nn.Module:
        """Return what closes a stack of such layers: nothing, each ends normalised."""
        return nn.Identity()


class PreNorm(nn.Module):
    """x + f(norm(x)): trains without care in deep stacks (Xiong et al. 2020)."""

    def __init__(self, *, width: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(width), Dropout(dropout)

    def before(self, x: Tensor) -> Tensor:
        """Return what the sublayer reads: x (B, T, D), normalised."""
        return self.norm(x)

    def after(self, x: Tensor, fx: Tensor) -> Tensor:
        """Join the stream x (B, T, D) and what the sublayer made of it."""
        return x + self.dropout(fx)

    def last(self) -> nn.Module:
        """Return what closes a stack of such layers: the normalisation that the next would have begun with."""
        return self.norm


class NoResidual(PreNorm):
    """f(norm(x)): nothing passes by the sublayer; attention alone then drives all words to one (Dong et al. 2021)."""

    def after(self, x: Tensor, fx: Tensor) -> Tensor:
        """Forget the stream x (B, T, D): what the sublayer made of it takes its place."""
        return self.dropout(fx)


Residual = PostNorm | PreNorm

RESIDUALS: Mapping[str, Callable[..., Residual]] = {"post_norm": PostNorm, "pre_norm": PreNorm, "none": NoResidual}


class EncoderLayer(nn.Module):
    """Self-attention over the source, then the feed-forward network."""

    def __init__(
        self, self_attention: SelfAttention, feed_forward: FeedForward, residual: Callable[[], Residual]
    ) -> None:
        super().__init__()
        self.self_attention, self.feed_forward = self_attention, feed_forward
        self.residual1, self.residual2 = residual(), residual()

    def forward(self, x: Tensor, mask: Tensor, positions: NoPositions) -> Tensor:
        """x (B, S, D), mask (B, 1, 1, S) -> (B, S, D)."""
        x = self.residual1.after(x, self.self_attention(self.residual1.before(x), mask, positions))
        return self.residual2.after(x, self.feed_forward(self.residual2.before(x)))


class DecoderLayer(nn.Module):
    """Masked self-attention over the target so far, attention over the memory, then the feed-forward network."""

    def __init__(
        self,
        self_attention: SelfAttention,
        cross_attention: CrossAttention,
        feed_forward: Callable[[], FeedForward],
        residual: Callable[[], Residual],
    ) -> None:
        super().__init__()
        self.self_attention, self.cross_attention = self_attention, cross_attention
        self.feed_forward = feed_forward()
        self.residual1, self.residual2, self.residual3 = residual(), residual(), residual()

    def forward(self, x: Tensor, mask: Mask, memory: Tensor, memory_mask: Tensor, positions: NoPositions) -> Tensor:
        """x (B, T, D), mask (B|1, 1, T|1, T), memory (B, S, D), memory_mask (B, 1, 1, S) -> (B, T, D)."""
        x = self.residual1.after(x, self.self_attention(self.residual1.before(x), mask, positions))
        return self._over_memory(x, *self.cross_attention.read(memory), memory_mask)

    def step(
        self, x: Tensor, past: Past, memory_mask: Tensor, positions: NoPositions, start: int
    ) -> tuple[Tensor, Past]:
        """Read the one word at position `start`: x (B, 1, D) -> (B, 1, D), and the past with it."""
        q, k, v = self.self_attention.project(self.residual1.before(x), positions, start)  # (B, H, 1, K) each
        past = past.append(k, v)
        attended = self.self_attention.attend(q, past.k, past.v, None, positions, start)
        return self._over_memory(self.residual1.after(x, attended), past.memory_k, past.memory_v, memory_mask), past

    def _over_memory(self, x: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        x = self.residual2.after(x, self.cross_attention(self.residual2.before(x), k, v, mask))
        return self.residual3.after(x, self.feed_forward(self.residual3.before(x)))


class FeedForwardTwice(DecoderLayer):
    """A feed-forward network after each attention: one before the memory is looked at, one after."""

    def __init__(
        self,
        self_attention: SelfAttention,
        cross_attention: CrossAttention,
        feed_forward: Callable[[], FeedForward],
        residual: Callable[[], Residual],
    ) -> None:
        super().__init__(self_attention, cross_attention, feed_forward, residual)
        self.between, self.residual_between = feed_forward(), residual()

    def _over_memory(self, x: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        x = self.residual_between.after(x, self.between(self.residual_between.before(x)))
        return super()._over_memory(x, k, v, mask)


DECODER_LAYERS: Mapping[str, Callable[..., DecoderLayer]] = {
    "standard": DecoderLayer,
    "feed_forward_twice": FeedForwardTwice,
}
