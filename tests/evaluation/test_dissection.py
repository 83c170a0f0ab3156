from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from entente.errors import EntenteError
from entente.evaluation.dissection import Head, cut, heads, mass, parts, without
from entente.evaluation.observer import KINDS, observe, stacked
from tests.model.networks import prefixes, sentences, transformer

LAYERS, HEADS, WIDTH = 2, 4, 16
INPUTS = (*sentences([5, 5]), prefixes(2, 4))
EDGES = [(0, 3), (2, 1), (2, 4)]


def hooks(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


def attentions(network: nn.Module, kind: str) -> list[Any]:
    stack, _, name = kind.partition("_") if kind != "cross_attention" else ("decoder", "", kind)
    return [getattr(layer, name) for layer in getattr(network, stack)]


def forget(attention: Any, head: int) -> None:
    """Let nothing of a head through the output map."""
    size = WIDTH // HEADS
    with torch.no_grad():
        attention.out.weight[:, (head - 1) * size : head * size] = 0


def test_heads_are_listed_in_order() -> None:
    assert heads(transformer()) == [
        Head(kind, layer, head) for kind, layer, head in product(KINDS, range(1, LAYERS + 1), range(1, HEADS + 1))
    ]


def test_parts_are_heads_then_layers_then_kinds() -> None:
    found = parts(transformer())
    assert [len(own) for own in found.values()] == [1] * 24 + [HEADS] * 6 + [LAYERS * HEADS] * 3
    assert found["cross_attention", "2", "3"] == [Head("cross_attention", 2, 3)]
    assert {one.layer for one in found["encoder_self_attention", "2", "all"]} == {2}
    assert {one.kind for one in found["decoder_self_attention", "all", "all"]} == {"decoder_self_attention"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_put_out_is_its_columns_of_the_output_map_at_0(kind: str) -> None:
    network, changed = transformer(), transformer()
    forget(attentions(changed, kind)[1], 3)
    before = network(*INPUTS)
    with without(network, [Head(kind, 2, 3)]):
        torch.testing.assert_close(network(*INPUTS), changed(*INPUTS))
        assert not torch.equal(network(*INPUTS), before)
    assert torch.equal(network(*INPUTS), before)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_without_any_head_is_its_bias(kind: str) -> None:
    network = transformer()
    outs: list[Tensor] = []
    for attention in attentions(network, kind):
        nn.init.normal_(attention.out.bias)
        attention.out.register_forward_hook(lambda module, inputs, output: outs.append(output - module.bias))
    with without(network, parts(network)[kind, "all", "all"]):
        network(*INPUTS)
    assert len(outs) == LAYERS
    assert not torch.cat(outs).any()


def test_step_by_step_the_same_heads_are_out() -> None:
    network = transformer()
    src, src_mask, tgt_in = INPUTS
    with without(network, [Head("decoder_self_attention", 1, 2), Head("cross_attention", 2, 4)]):
        forced = network(*INPUTS)
        state = network.start(network.encode(src, src_mask), src_mask)
        for position in range(tgt_in.shape[1]):
            logits, state = network.step(tgt_in[:, position], state)
            torch.testing.assert_close(logits, forced[:, position], rtol=1e-4, atol=1e-5)


def test_a_head_that_is_not_there_is_named_with_those_that_are() -> None:
    network = transformer()
    message = "no head 5 in layer 1 of cross_attention; it has .*encoder_self_attention: 2 x 4"
    with pytest.raises(EntenteError, match=message), without(network, [Head("cross_attention", 1, 5)]):
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_edge_has_weight_0_and_rows_still_sum_to_1(kind: str) -> None:
    network = transformer()
    edges = [(3, 1), (3, 3)] if kind == "decoder_self_attention" else [(3, 1), (0, 4), (0, 0)]
    queries, keys = map(list, zip(*edges, strict=True))
    with cut(network, edges, kind), observe(network) as seen:
        network(*INPUTS)
    for weights in stacked(seen).values():
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert (stacked(seen)[kind][..., queries, keys] == 0).all()
    with observe(network) as seen:
        network(*INPUTS)
    assert (stacked(seen)[kind][..., queries, keys] > 0).all()


@pytest.mark.parametrize("positions", ["sinusoidal", "relative"])
def test_what_a_mask_hides_stays_hidden(positions: str) -> None:
    network = transformer(encoder_positions={"kind": positions})  # relative ones make a mask of floats
    src, src_mask = sentences([5, 3])
    with cut(network, [(0, 1)], "encoder_self_attention"), observe(network) as seen:
        network.encode(src, src_mask)
    weights = stacked(seen)["encoder_self_attention"]
    hidden = torch.zeros(2, 5, 5, dtype=torch.bool)
    hidden[:, 0, 1] = hidden[1, :, 3:] = True
    assert ((weights == 0) == hidden[:, None]).all()


def test_a_core_without_a_mask_is_cut_too() -> None:
    network = transformer()
    core = attentions(network, "encoder_self_attention")[0].core
    q = k = v = torch.randn(1, HEADS, 3, 4)
    with cut(network, [(1, 0), (1, 2)], "encoder_self_attention"):
        out = core(q, k, v, None)
    torch.testing.assert_close(out[:, :, 1], v[:, :, 1])
    torch.testing.assert_close(out[:, :, [0, 2]], core(q, k, v, None)[:, :, [0, 2]])


def test_cutting_nothing_changes_nothing() -> None:
    network = transformer()
    with cut(network, [], "encoder_self_attention"), without(network, []):
        assert hooks(network) == 0
        changed = network(*INPUTS)
    assert torch.equal(changed, network(*INPUTS))


@pytest.mark.parametrize(
    ("edges", "kind", "message"),
    [
        ([(1, key) for key in range(5)], "encoder_self_attention", "nothing to look at"),
        ([(0, 0)], "decoder_self_attention", "nothing to look at"),  # the first word sees itself alone
        ([(5, 0)], "encoder_self_attention", r"no edge \(5, 0\).*5 queries and 5 keys"),
        ([(0, 0)], "attention", "no attention to cut; it has encoder_self_attention, "),
    ],
)
def test_what_cannot_be_cut_is_named(edges: list[tuple[int, int]], kind: str, message: str) -> None:
    network = transformer()
    with pytest.raises(EntenteError, match=message), cut(network, edges, kind):
        network(*INPUTS)
    assert hooks(network) == 0


@pytest.mark.parametrize(
    "changed",
    [lambda network: without(network, heads(network)), lambda network: cut(network, EDGES, "encoder_self_attention")],
    ids=["without", "cut"],
)
def test_after_an_exception_the_network_is_what_it_was(changed: Callable[[nn.Module], Any]) -> None:
    network = transformer()
    before = network(*INPUTS)
    before.sum().backward()
    gradients = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
    with changed(network):
        assert not torch.equal(network(*INPUTS), before)
    with pytest.raises(ZeroDivisionError), changed(network):
        raise ZeroDivisionError
    assert hooks(network) == 0
    network.zero_grad()
    network(*INPUTS).sum().backward()
    left = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert all(torch.equal(one, other) for one, other in zip(gradients, left, strict=True))


def test_masses_over_all_words_sum_to_1() -> None:
    weights = torch.rand(LAYERS, HEADS, 6, 6).softmax(-1)
    words = [(0,), (1, 2), (3, 4, 5)]
    masses = sum(mass(weights, (1, 2), word) for word in words)
    torch.testing.assert_close(masses, torch.ones(LAYERS, HEADS))
    expected = (weights[1, 2, 1, 3:].sum() + weights[1, 2, 2, 3:].sum()) / 2
    torch.testing.assert_close(mass(weights, (1, 2), (3, 4, 5))[1, 2], expected)


def test_cores_that_ignore_masks_ignore_cuts() -> None:
    network = transformer(encoder_attention={"kind": "identity"})
    before = network(*INPUTS)
    with cut(network, EDGES, "encoder_self_attention"):
        assert torch.equal(network(*INPUTS), before)
