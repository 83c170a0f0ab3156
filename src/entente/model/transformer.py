"""The encoder-decoder Transformer (Vaswani et al. 2017), from scratch."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

from torch import Tensor, nn

from entente.errors import EntenteError
from entente.model.attention import ATTENTIONS, CrossAttention, SelfAttention
from entente.model.cache import Cache, Past
from entente.model.dropout import Dropout
from entente.model.feed_forward import FEED_FORWARDS
from entente.model.layers import DECODER_LAYERS, RESIDUALS, EncoderLayer
from entente.model.masks import CAUSAL, Mask
from entente.model.positions import POSITIONS, NoPositions
from entente.model.seq2seq import Layers, Length, Seq2Seq, StateT, Vocabulary, Width, new_table
from entente.options import Count, Option, Share, choose

Layer = TypeVar("Layer", bound=nn.Module)
Attention = TypeVar("Attention", SelfAttention, CrossAttention)


class TransformerNetwork(Seq2Seq[StateT]):
    """Encoder and decoder.

    How the decoder goes on from word to word hangs on what it may see, and is left to the classes below.
    """

    causal: bool  # in the decoder a word sees earlier words only

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        width: Width,
        hidden: Width,
        heads: Count,
        encoder_layers: Layers,
        decoder_layers: Layers,
        dropout: Share,
        max_length: Length,
        encoder_positions: Option,
        decoder_positions: Option,
        encoder_attention: Option,
        decoder_attention: Option,
        cross_attention: Option,
        feed_forward: Option,
        residual: Option,
        decoder_layer: Option,
        # Models that were saved before there were these lack them.
        attention_dropout: Share = 0.0,  # of weights
        feed_forward_dropout: Share | None = None,  # of its hidden layer; None: as `dropout`
        shared_embeddings: bool = True,
    ) -> None:
        super().__init__()
        _refuse_what_does_not_fit(width, heads, cross_attention, feed_forward, residual)
        self.vocabulary, self.width, self.max_length = vocabulary, width, max_length
        self.embedding = new_table(vocabulary, width)
        self.source_embedding = None if shared_embeddings else new_table(vocabulary, width)
        self.dropout = Dropout(dropout)
        new_residual = partial(choose(RESIDUALS, residual, "model.residual"), width=width, dropout=dropout)
        inside = dropout if feed_forward_dropout is None else feed_forward_dropout
        new_feed_forward = choose(FEED_FORWARDS, feed_forward, "model.feed_forward")
        new_feed_forward = partial(new_feed_forward, width=width, hidden=hidden, dropout=inside)
        new_positions = partial(_new_positions, width=width, heads=heads, max_length=max_length)
        over_itself = partial(_attention, SelfAttention, width=width, heads=heads, dropout=attention_dropout)
        over_memory = partial(_attention, CrossAttention, width=width, heads=heads, dropout=attention_dropout)
        new_layer = choose(DECODER_LAYERS, decoder_layer, "model.decoder_layer")
        new_layer = partial(new_layer, feed_forward=new_feed_forward, residual=new_residual)
        self.encoder_positions = new_positions(encoder_positions, "model.encoder_positions", causal=False)
        self.decoder_positions = new_positions(decoder_positions, "model.decoder_positions", causal=self.causal)
        self.encoder = _stack(
            EncoderLayer(over_itself(encoder_attention, "encoder"), new_feed_forward(), new_residual)
            for _ in range(encoder_layers)
        )
        self.decoder = _stack(
            new_layer(over_itself(decoder_attention, "decoder"), over_memory(cross_attention, "cross"))
            for _ in range(decoder_layers)
        )
        self.encoder_norm, self.decoder_norm = new_residual().last(), new_residual().last()

    def encode(self, src: Tensor, src_mask: Tensor) -> Tensor:
        """src (B, S) int64, src_mask (B, 1, 1, S) -> memory (B, S, D)."""
        x = self._embed(src, self.source_table, self.encoder_positions, 0)  # (B, S, D)
        for layer in self.encoder:
            x = layer(x, src_mask, self.encoder_positions)
        return self.encoder_norm(x)

    def read(self, tgt_in: Tensor, memory: Tensor, src_mask: Tensor) -> Tensor:
        """tgt_in (B, T) int64, memory (B, S, D), src_mask (B, 1, 1, S) -> (B, T, D)."""
        mask = self.target_mask(tgt_in)
        x = self._embed(tgt_in, self.embedding, self.decoder_positions, 0)  # (B, T, D)
        for layer in self.decoder:
            x = layer(x, mask, memory, src_mask, self.decoder_positions)
        return self.decoder_norm(x)

    @abstractmethod
    def target_mask(self, tgt_in: Tensor) -> Mask:
        """Return which earlier and later words each word of tgt_in (B, T) may see: (B|1, 1, T|1, T), or a rule."""

    def _embed(self, ids: Tensor, table: nn.Embedding, positions: NoPositions, start: int) -> Tensor:
        # Section 3.4: scaled, so that the embeddings are not drowned by the positions.
        return self.dropout(positions.embed(table(ids) * math.sqrt(self.width), start))


class Transformer(TransformerNetwork[Cache]):
    """The Transformer as published: masked, so that keys and values once computed stay valid and are kept."""

    causal = True

    def target_mask(self, tgt_in: Tensor) -> Mask:
        """Hide what comes later in tgt_in (B, T). Padding comes last, so no word sees it."""
        return CAUSAL

    def start(self, memory: Tensor, src_mask: Tensor) -> Cache:
        """Project the memory (B, S, D) once for all words to come."""
        layers = tuple(Past.begin(*layer.cross_attention.read(memory)) for layer in self.decoder)
        return Cache(src_mask, layers, 0)

    def step(self, tokens: Tensor, state: Cache) -> tuple[Tensor, Cache]:
        """tokens (B,) int64 -> logits (B, V), and the cache with their keys and values."""
        x = self._embed(tokens[:, None], self.embedding, self.decoder_positions, state.length)  # (B, 1, D)
        layers = []
        for layer, past in zip(self.decoder, state.layers, strict=True):
            x, past = layer.step(x, past, state.src_mask, self.decoder_positions, state.length)
            layers.append(past)
        cache = replace(state, layers=tuple(layers), length=state.length + 1)
        return self.score(self.decoder_norm(x[:, 0])), cache


def _refuse_what_does_not_fit(
    width: int, heads: int, cross_attention: Option, feed_forward: Option, residual: Option
) -> None:
    if width % heads:
        raise EntenteError(f"model: width {width} does not divide into {heads} heads; choose heads that divide it")
    if cross_attention.get("kind") == "identity":
        raise EntenteError("model.cross_attention is identity, but a target word has no source word of its own")
    if residual.get("kind") == feed_forward.get("kind") == "none":
        raise EntenteError("model: without a feed-forward network and without residuals nothing leaves a layer")


def _attention(
    over: Callable[..., Attention], option: Option, place: str, *, width: int, heads: int, dropout: float
) -> Attention:
    new_core = choose(ATTENTIONS, option, f"model.{place}_attention")
    return over(width=width, heads=heads, core=new_core(heads=heads, width=width // heads, dropout=dropout))


def _new_positions(option: Option, place: str, *, width: int, heads: int, max_length: int, causal: bool) -> NoPositions:
    return choose(POSITIONS, option, place)(width=width, heads=heads, max_length=max_length, causal=causal)


def _stack(layers: Iterable[Layer]) -> Sequence[Layer]:
    # A ModuleList, typed by what it holds.
    return cast("Sequence[Layer]", nn.ModuleList(layers))
