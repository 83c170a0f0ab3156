import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from entente.errors import EntenteError
from entente.model.dropout import Dropout
from entente.model.feed_forward import FEED_FORWARDS
from entente.model.masks import CAUSAL
from entente.model.positions import POSITIONS
from entente.model.transformer import TransformerNetwork
from entente.model.weights import build
from tests.model.networks import VOCABULARY, network, options, prefixes, sentences, transformer


@pytest.mark.parametrize("residual", ["pre_norm", "post_norm"])
def test_equals_torch_under_copied_weights(residual: str) -> None:
    ours = transformer(residual={"kind": residual})
    shape = {"dim_feedforward": 24, "dropout": 0.0, "batch_first": True, "norm_first": residual == "pre_norm"}
    norm = nn.LayerNorm(16) if residual == "pre_norm" else None
    layer = nn.TransformerEncoderLayer(16, 4, **shape)  # type: ignore[arg-type]
    encoder = nn.TransformerEncoder(layer, 2, norm, enable_nested_tensor=False)
    theirs = nn.Transformer(16, 4, 2, 2, custom_encoder=encoder, **shape).eval()  # type: ignore[arg-type]
    theirs.decoder.norm = norm and nn.LayerNorm(16)  # after post-norm layers torch norms once more; the paper does not
    _copy(ours, theirs)
    src, src_mask = sentences([7, 4, 5])
    tgt_in = prefixes(3, 6)
    embed = ours.embedding.weight
    x = embed[src] * math.sqrt(16) + ours.encoder_positions.table[:7]  # type: ignore[index]
    y = embed[tgt_in] * math.sqrt(16) + ours.decoder_positions.table[:6]  # type: ignore[index]
    padding = ~src_mask[:, 0, 0]
    out = theirs(
        x,
        y,
        tgt_mask=~CAUSAL.laid_out(6, 6)[0, 0],
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )
    torch.testing.assert_close(ours(src, src_mask, tgt_in), out @ embed.T, rtol=1e-4, atol=1e-4)


def _copy(ours: TransformerNetwork[Any], theirs: nn.Transformer) -> None:
    def copy(to: nn.Module, weight: str, value: Tensor) -> None:
        getattr(to, weight).data.copy_(value)

    def copy_shared(mine: nn.Module, other: nn.Module) -> None:
        names = {"self_attention.qkv": "self_attn.in_proj_", "self_attention.out": "self_attn.out_proj."}
        names |= {"cross_attention.out": "multihead_attn.out_proj."}
        names |= {"feed_forward.into": "linear1.", "feed_forward.out": "linear2."}
        names |= {f"residual{number}.norm": f"norm{number}." for number in (1, 2, 3)}
        parameters = dict(other.named_parameters())
        for name, value in mine.named_parameters():
            stem, kind = name.rsplit(".", 1)
            if stem in names:
                parameters[names[stem] + kind].data.copy_(value)

    for mine, other in zip(ours.encoder, theirs.encoder.layers, strict=True):
        copy_shared(mine, other)
    for mine_decoder, other in zip(ours.decoder, theirs.decoder.layers, strict=True):
        copy_shared(mine_decoder, other)
        cross, attention = mine_decoder.cross_attention, other.multihead_attn
        copy(attention, "in_proj_weight", torch.cat((cross.q.weight, cross.kv.weight)))
        copy(attention, "in_proj_bias", torch.cat((cross.q.bias, cross.kv.bias)))
    for mine_norm, norm in ((ours.encoder_norm, theirs.encoder.norm), (ours.decoder_norm, theirs.decoder.norm)):
        if norm is not None:
            norm.load_state_dict(mine_norm.state_dict())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_without_positions_permuting_the_source_permutes_the_memory(dtype: torch.dtype, tolerance: float) -> None:
    network = transformer(encoder_positions={"kind": "none"}).to(dtype)
    src, src_mask = sentences([8, 8])
    order = torch.randperm(8, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(
        network.encode(src[:, order], src_mask), network.encode(src, src_mask)[:, order], rtol=0, atol=tolerance
    )
    placed = transformer().to(dtype)
    assert not torch.allclose(placed.encode(src[:, order], src_mask), placed.encode(src, src_mask)[:, order])


def test_self_attention_off_leaves_every_word_alone() -> None:
    network = transformer(encoder_attention={"kind": "identity"})
    src, src_mask = sentences([6])
    changed = src.clone()
    changed[0, 2] = (src[0, 2] + 1) % VOCABULARY
    same = (network.encode(src, src_mask) == network.encode(changed, src_mask)).all(-1)
    assert same.tolist() == [[True, True, False, True, True, True]]


def test_one_vector_is_blind_to_which_source_word_is_which() -> None:
    network = transformer(cross_attention={"kind": "uniform"})
    src, src_mask = sentences([6])
    memory, tgt_in = network.encode(src, src_mask), prefixes(1, 4)
    mean = memory.mean(1, keepdim=True).expand_as(memory)
    torch.testing.assert_close(network.decode(tgt_in, memory, src_mask), network.decode(tgt_in, mean, src_mask))


def test_a_linear_feed_forward_is_one_linear_map_and_relu_is_not() -> None:
    x, y = torch.randn(2, 3, 16), torch.randn(2, 3, 16)
    additive = {}
    for name, kind in FEED_FORWARDS.items():
        f = kind(width=16, hidden=24, dropout=0.0)
        additive[name] = torch.allclose(f(x + y) + f(torch.zeros(16)), f(x) + f(y), atol=1e-5)
    assert additive == {"none": True, "linear": True, "relu": False, "gelu": False, "swiglu": False}


def test_a_gate_costs_no_parameters() -> None:
    sizes = {
        name: sum(weight.numel() for weight in FEED_FORWARDS[name](width=96, hidden=384, dropout=0.0).parameters())
        for name in ("relu", "swiglu")
    }
    assert abs(sizes["swiglu"] / sizes["relu"] - 1) < 0.01


def test_without_residuals_nothing_passes_by() -> None:
    layer = transformer(residual={"kind": "none"}).encoder[0]
    for name, weight in layer.feed_forward.named_parameters():
        if name.startswith("out."):
            nn.init.zeros_(weight)
    src_mask = torch.ones(1, 1, 1, 5, dtype=torch.bool)
    positions = POSITIONS["none"](width=16, heads=4, max_length=9, causal=False)
    assert layer(torch.randn(1, 5, 16), src_mask, positions).count_nonzero() == 0


def test_unmasked_the_decoder_sees_the_answer() -> None:
    network = transformer(kind="unmasked_transformer")
    src, src_mask = sentences([5])
    tgt_in = prefixes(1, 6)
    changed = tgt_in.clone()
    changed[:, 4:] = 9
    assert not torch.allclose(network(src, src_mask, tgt_in)[:, :4], network(src, src_mask, changed)[:, :4])


def test_unmasked_each_step_reads_the_prefix_anew() -> None:
    network = transformer(kind="unmasked_transformer")
    src, src_mask = sentences([6, 3, 5])
    tgt_in = prefixes(3, 5)
    state = network.start(network.encode(src, src_mask), src_mask)
    for position in range(5):
        stepped, state = network.step(tgt_in[:, position], state)
        torch.testing.assert_close(stepped, network(src, src_mask, tgt_in[:, : position + 1])[:, -1])


def test_a_source_with_embeddings_of_its_own_is_read_by_them_alone() -> None:
    src, src_mask = sentences([6, 3])
    tgt_in = prefixes(2, 5)
    for kind in ("transformer", "recurrent"):
        net = network(kind=kind, shared_embeddings=False)
        memory = net.encode(src, src_mask)
        read = net.read(tgt_in, memory, src_mask)
        assert net.source_embedding is not None
        nn.init.normal_(net.source_embedding.weight)
        changed = net.encode(src, src_mask)
        assert not torch.allclose(changed, memory)
        assert torch.equal(net.read(tgt_in, memory, src_mask), read)
        nn.init.normal_(net.embedding.weight)
        assert torch.equal(net.encode(src, src_mask), changed)


def test_each_kind_of_dropout_is_where_its_option_says() -> None:
    def rates(**changes: float | None) -> dict[str, float]:
        """Rates by what drops: of all layers the same."""
        named = transformer(dropout=0.1, **changes).named_modules()
        dropouts = [(name, module.rate) for name, module in named if isinstance(module, Dropout)]
        found = {(re.sub(r".*(core|feed_forward|residual)\d*\.", r"\1.", name), rate) for name, rate in dropouts}
        assert len(found) == len(dict(found))
        return dict(found)

    plain = {"dropout": 0.1, "core.dropout": 0.0, "feed_forward.dropout": 0.1, "residual.dropout": 0.1}
    assert rates() == rates(feed_forward_dropout=None) == plain
    assert rates(feed_forward_dropout=0.0) == plain | {"feed_forward.dropout": 0.0}
    assert rates(attention_dropout=0.2) == plain | {"core.dropout": 0.2}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"heads": 3}, "3 heads"),
        ({"kind": "transformr"}, "transformr"),
        ({"encoder_positions": {"kind": "sinusoid"}}, "learned, none, relative"),
        ({"decoder_positions": {"kind": "rotary"}, "heads": 16}, "odd width"),
        ({"cross_attention": {"kind": "identity"}}, "no source word of its own"),
        ({"residual": {"kind": "none"}, "feed_forward": {"kind": "none"}}, "nothing leaves a layer"),
        ({"encoder_positions": {"kind": "learned", "colour": 1}}, "colour"),
        ({"widht": 3}, "widht"),
    ],
)
def test_options_that_do_not_fit_are_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(EntenteError, match=named):
        build(options(**changes), VOCABULARY)


def test_a_missing_option_is_named() -> None:
    with pytest.raises(EntenteError, match="width"):
        build({name: value for name, value in options().items() if name != "width"}, VOCABULARY)
