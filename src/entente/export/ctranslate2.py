"""Trained Transformers as models of CTranslate2, which translates without PyTorch, faster, and in 8 bits if asked."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from entente.errors import EntenteError
from entente.model.attention import CrossAttention, DotProduct, SelfAttention
from entente.model.feed_forward import FeedForward, Linear, SwiGLU
from entente.model.positions import NoPositions, Rotary
from entente.model.seq2seq import Seq2Seq
from entente.model.transformer import Transformer
from entente.text.corpus import replacing_folder
from entente.text.subwords import BOS, EOS, UNK, Subwords

Spec = Any  # CTranslate2 declares no types
Options = Mapping[str, Any]

# Per option of the model, the kinds that CTranslate2 computes as we do.
_POSITIONS = ("sinusoidal", "learned", "rotary", "none")
_ATTENTIONS = ("scaled_dot_product", "dot_product")
_ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "swiglu": "SWISH"}
_HELD: Mapping[str, Sequence[str]] = {
    "encoder_positions": _POSITIONS,
    "decoder_positions": _POSITIONS,
    "encoder_attention": _ATTENTIONS,
    "decoder_attention": _ATTENTIONS,
    "cross_attention": _ATTENTIONS,
    "feed_forward": tuple(_ACTIVATIONS),
    "residual": ("pre_norm", "post_norm"),
    "decoder_layer": ("standard",),
}


def write(network: Seq2Seq, options: Options, subwords: Path, folder: Path, *, quantization: str) -> None:
    """Write `network`, built from `options`, with its subword model as a CTranslate2 model, all or nothing.

    What `folder` held is replaced. CTranslate2 then reads the pieces of a source: it adds EOS itself, and begins
    the target with BOS. Raises EntenteError where CTranslate2 is missing, or cannot compute what `network` does.
    """
    _refuse_what_it_cannot_hold(options)
    spec = _specification(cast("Transformer", network), options)
    vocabulary = Subwords(subwords)
    pieces = vocabulary.pieces(range(len(vocabulary)))
    spec.register_source_vocabulary(pieces)
    spec.register_target_vocabulary(pieces)
    config = spec.config
    config.unk_token, config.bos_token, config.eos_token = pieces[UNK], pieces[BOS], pieces[EOS]
    config.decoder_start_token, config.add_source_eos = pieces[BOS], True
    spec.validate()
    spec.optimize(quantization=quantization)  # and one table is stored once
    with replacing_folder(folder) as temporary:
        spec.save(str(temporary))
        shutil.copyfile(subwords, temporary / subwords.name)


def _specs() -> Any:
    try:
        from ctranslate2 import specs
    except ImportError as error:
        raise EntenteError(
            f"exporting needs CTranslate2 ({error}): install it with `pip install 'entente[ctranslate2]'`"
        ) from error
    return specs


def _refuse_what_it_cannot_hold(options: Options) -> None:
    if options["kind"] == "transformer":
        complaints = [
            f"model.{name} is {options[name]['kind']} (it can hold {', '.join(kinds)})"
            for name, kinds in _HELD.items()
            if options[name]["kind"] not in kinds
        ]
        complaints += [f"model.{name} is 0" for name in ("encoder_layers", "decoder_layers") if not options[name]]
    else:
        complaints = [f"model.kind is {options['kind']} (it can hold transformer)"]
    if complaints:
        raise EntenteError(f"CTranslate2 cannot hold this model: {'; '.join(complaints)}")


def _specification(network: Transformer, options: Options) -> Spec:
    specs = _specs()
    feed_forward = options["feed_forward"]["kind"]
    shared = {
        "num_heads": options["heads"],
        "pre_norm": options["residual"]["kind"] == "pre_norm",
        "activation": specs.Activation[_ACTIVATIONS[feed_forward]],
        "ffn_glu": feed_forward == "swiglu",
    }
    encoder = specs.TransformerEncoderSpec(options["encoder_layers"], **shared)
    decoder = specs.TransformerDecoderSpec(options["decoder_layers"], **shared)
    spec = specs.TransformerSpec(encoder, decoder)
    spec.config.layer_norm_epsilon = network.encoder[0].residual1.norm.eps
    _encoder(encoder, network)
    _decoder(decoder, network)
    return spec


def _encoder(spec: Spec, network: Transformer) -> None:
    [embeddings] = spec.embeddings
    embeddings.weight = _array(network.source_table.weight)
    _positions(spec, network.encoder_positions)
    for place, layer in zip(spec.layer, network.encoder, strict=True):
        _attention(place.self_attention, layer.self_attention, layer.residual1.norm)
        _feed_forward(place.ffn, layer.feed_forward, layer.residual2.norm)
    _last_norm(spec, network.encoder_norm)


def _decoder(spec: Spec, network: Transformer) -> None:
    spec.embeddings.weight = spec.projection.weight = _array(network.embedding.weight)
    _positions(spec, network.decoder_positions)
    for place, layer in zip(spec.layer, network.decoder, strict=True):
        _attention(place.self_attention, layer.self_attention, layer.residual1.norm)
        _attention(place.attention, layer.cross_attention, layer.residual2.norm)
        _feed_forward(place.ffn, layer.feed_forward, layer.residual3.norm)
    _last_norm(spec, network.decoder_norm)


def _positions(spec: Spec, positions: NoPositions) -> None:
    if isinstance(positions, Rotary):
        new_attention = _specs().attention_spec.MultiHeadAttentionSpec
        for place in spec.layer:  # the whole head is turned, its halves hold the first and the second of each pair
            place.self_attention = new_attention(self_attention=True, rotary_dim=0, rotary_interleave=False)
        return
    table = getattr(positions, "table", None)
    if table is None:  # without a table CTranslate2 adds sinusoids of its own
        table = torch.zeros(positions.max_length, positions.width)
    spec.position_encodings.encodings = _array(table)


def _attention(spec: Spec, attention: SelfAttention | CrossAttention, norm: nn.LayerNorm) -> None:
    into = (attention.qkv,) if isinstance(attention, SelfAttention) else (attention.q, attention.kv)
    for place, linear in zip(spec.linear, (*into, attention.out), strict=True):
        _linear(place, linear)
    if isinstance(attention.core, DotProduct):
        spec.queries_scale = 1.0  # where nothing is said: 1 / sqrt(K)
    _norm(spec.layer_norm, norm)


def _feed_forward(spec: Spec, feed_forward: FeedForward, norm: nn.LayerNorm) -> None:
    if isinstance(feed_forward, SwiGLU):
        _linear(spec.linear_0, feed_forward.gate)
        _linear(spec.linear_0_noact, feed_forward.into)
        _linear(spec.linear_1, feed_forward.out)
    elif isinstance(feed_forward, Linear):
        _linear(spec.linear_0, feed_forward.into)
        _linear(spec.linear_1, feed_forward.out)
    _norm(spec.layer_norm, norm)


def _last_norm(spec: Spec, norm: nn.Module) -> None:
    if isinstance(norm, nn.LayerNorm):  # a stack of pre_norm
        _norm(spec.layer_norm, norm)


def _linear(spec: Spec, linear: nn.Linear) -> None:
    spec.weight, spec.bias = _array(linear.weight), _array(linear.bias)


def _norm(spec: Spec, norm: nn.LayerNorm) -> None:
    spec.gamma, spec.beta = _array(norm.weight), _array(norm.bias)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy().copy()  # quantising scales in place: not the network's own
