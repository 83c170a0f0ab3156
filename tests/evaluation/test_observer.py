from typing import Any

import pytest
import torch
from torch import Tensor, nn

from entente.evaluation.observer import KINDS, cores, observe, stacked
from entente.model.attention import AttentionCore
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build
from tests.model.networks import VOCABULARY, prefixes, sentences, transformer

LAYERS, HEADS = 2, 4
INPUTS = (*sentences([5, 3]), prefixes(2, 4))


def recurrent(attention: str) -> Seq2Seq:
    torch.manual_seed(3)
    options: dict[str, Any] = {"encoder_layers": 1, "decoder_layers": 1, "dropout": 0.0, "max_length": 40}
    options |= {"kind": "recurrent", "width": 16, "cell": {"kind": "gru"}, "attention": {"kind": attention}}
    return build(options, VOCABULARY).eval()


@pytest.fixture
def network() -> Seq2Seq:
    return transformer()


def test_the_observer_sees_every_core_by_module_name(network: Seq2Seq) -> None:
    with observe(network) as seen:
        network(*INPUTS)
    stacks = {"encoder": ["self_attention"], "decoder": ["self_attention", "cross_attention"]}
    assert set(seen) == {
        f"{stack}.{layer}.{attention}.core"
        for stack, attentions in stacks.items()
        for layer in range(LAYERS)
        for attention in attentions
    }
    assert [weights.shape for weights in seen["decoder.0.cross_attention.core"]] == [(2, HEADS, 4, 5)]


@pytest.mark.parametrize("kind", ["scaled_dot_product", "dot_product", "additive", "uniform"])
def test_rows_sum_to_1_and_masked_keys_get_0(kind: str) -> None:
    option = {"kind": kind}
    network = transformer(encoder_attention=option, decoder_attention=option, cross_attention=option)
    with observe(network) as seen:
        network(*INPUTS)
    for (weights,) in seen.values():
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    for name in ("encoder.1.self_attention.core", "decoder.1.cross_attention.core"):
        (weights,) = seen[name]
        assert (weights[1, :, :, 3:] == 0).all()  # padding
        assert (weights[0] > 0).all()
    assert (seen["decoder.1.self_attention.core"][0].triu(1) == 0).all()  # words to come


def outputs(network: nn.Module) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Run the network -> by module name, the values that each core was given each time and what it returned."""
    given: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def keep(name: str):  # type: ignore[no-untyped-def]
        return lambda core, inputs, output: given.setdefault(name, []).append((inputs[2], output))

    named = [(name, core) for name, core in network.named_modules() if isinstance(core, AttentionCore)]
    handles = [core.register_forward_hook(keep(name)) for name, core in named]
    network(*INPUTS)
    for handle in handles:
        handle.remove()
    return given


@pytest.mark.parametrize(
    "network", [transformer(), recurrent("additive"), recurrent("dot")], ids=["transformer", "additive", "dot"]
)
def test_visible_weights_times_values_are_what_the_network_uses(network: Seq2Seq) -> None:
    with observe(network) as seen:
        given = outputs(network)
    assert given.keys() == seen.keys()
    for name, runs in given.items():
        for weights, (values, output) in zip(seen[name], runs, strict=True):
            torch.testing.assert_close(weights @ values, output, rtol=1e-5, atol=1e-6)


def test_observing_changes_nothing_and_leaves_no_hook(network: Seq2Seq) -> None:
    before = network(*INPUTS)
    with observe(network) as seen:
        during = network(*INPUTS)
    assert torch.equal(before, during)
    network(*INPUTS)
    assert {len(runs) for runs in seen.values()} == {1}
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_layers_are_stacked_by_kind(network: Seq2Seq) -> None:
    with observe(network) as seen:
        network(*INPUTS)
    weights = stacked(seen)
    assert tuple(weights) == tuple(cores(network)) == KINDS
    assert {kind: tuple(own.shape) for kind, own in weights.items()} == {
        "encoder_self_attention": (LAYERS, 2, HEADS, 5, 5),
        "decoder_self_attention": (LAYERS, 2, HEADS, 4, 4),
        "cross_attention": (LAYERS, 2, HEADS, 4, 5),
    }
    assert torch.equal(weights["cross_attention"][1], seen["decoder.1.cross_attention.core"][0])


def test_an_rnn_looks_once_for_each_target_word() -> None:
    network = recurrent("additive")
    with observe(network) as seen:
        network(*INPUTS)
    weights = stacked(seen)
    assert {kind: tuple(own.shape) for kind, own in weights.items()} == {"cross_attention": (1, 2, 1, 4, 5)}
    for word, own in enumerate(seen["decoder.cross_attention.core"]):
        assert torch.equal(weights["cross_attention"][0, :, :, word : word + 1], own)


def test_a_network_without_attention_shows_none() -> None:
    network = recurrent("none")
    with observe(network) as seen:
        network(*INPUTS)
    assert stacked(seen) == cores(network) == {}
