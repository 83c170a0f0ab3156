"""Small networks with random weights, shared by the tests of this folder."""

from typing import Any

import torch
from torch import Tensor

from entente.model.masks import padding_mask
from entente.model.recurrent import Recurrent
from entente.model.seq2seq import Seq2Seq
from entente.model.transformer import TransformerNetwork
from entente.model.weights import build

VOCABULARY, PAD, BOS, EOS = 31, 0, 2, 3


SHAPE = {"width": 16, "encoder_layers": 2, "decoder_layers": 2, "dropout": 0.0, "max_length": 40}


def options(**changes: Any) -> dict[str, Any]:
    """Options of a small Transformer as conf/model would give them."""
    ingredients = {
        "encoder_positions": "sinusoidal",
        "decoder_positions": "sinusoidal",
        "encoder_attention": "scaled_dot_product",
        "decoder_attention": "scaled_dot_product",
        "cross_attention": "scaled_dot_product",
        "feed_forward": "relu",
        "residual": "pre_norm",
        "decoder_layer": "standard",
    }
    chosen = {place: {"kind": kind} for place, kind in ingredients.items()}
    return {"kind": "transformer", "hidden": 24, "heads": 4, **SHAPE, **chosen} | changes


def recurrent_options(**changes: Any) -> dict[str, Any]:
    """Options of a small recurrent network as conf/model would give them."""
    return {"kind": "recurrent", **SHAPE, "cell": {"kind": "gru"}, "attention": {"kind": "additive"}} | changes


def network(**changes: Any) -> Seq2Seq:
    """A network of the kind that `changes` names, a Transformer where they name none."""
    torch.manual_seed(3)
    defaults = recurrent_options if changes.get("kind") == "recurrent" else options
    return build(defaults(**changes), VOCABULARY).eval()


def transformer(**changes: Any) -> TransformerNetwork[Any]:
    built = network(**changes)
    assert isinstance(built, TransformerNetwork)
    return built


def recurrent(**changes: Any) -> Recurrent:
    built = network(kind="recurrent", **changes)
    assert isinstance(built, Recurrent)
    return built


def sentences(lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random sources that end with EOS, padded -> src (B, S), src_mask (B, 1, 1, S)."""
    random = torch.Generator().manual_seed(seed)
    src = torch.full((len(lengths), max(lengths)), PAD)
    for row, length in enumerate(lengths):
        src[row, : length - 1] = torch.randint(EOS + 1, VOCABULARY, (length - 1,), generator=random)
        src[row, length - 1] = EOS
    return src, padding_mask(src, PAD)


def prefixes(rows: int, length: int, seed: int = 1) -> Tensor:
    """Random target inputs that begin with BOS -> (B, T)."""
    random = torch.Generator().manual_seed(seed)
    tgt_in = torch.randint(EOS + 1, VOCABULARY, (rows, length), generator=random)
    tgt_in[:, 0] = BOS
    return tgt_in
