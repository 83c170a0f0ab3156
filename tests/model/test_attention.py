import pytest
import torch

from entente.model.attention import (
    ATTENTIONS,
    Additive,
    CrossAttention,
    Identity,
    ScaledDotProduct,
    SelfAttention,
    Uniform,
)
from entente.model.masks import CAUSAL, padding_mask
from entente.model.positions import NoPositions


def heads(rows: int, length: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, 2, length, 8, generator=torch.Generator().manual_seed(seed))  # (B, H, T, K)


@pytest.mark.parametrize("kind", sorted(ATTENTIONS.keys() - {"identity"}))
def test_attention_is_visible_weights_times_values(kind: str) -> None:
    core = ATTENTIONS[kind](heads=2, width=8)
    q, k, v = heads(3, 5, 0), heads(3, 7, 1), heads(3, 7, 2)
    some = padding_mask(torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1] + [0] * 6]), 0)
    bias = torch.randn(1, 2, 5, 7, generator=torch.Generator().manual_seed(3))
    for mask in (None, some, bias, CAUSAL):
        weights = core.weights(q, k, mask)
        torch.testing.assert_close(core(q, k, v, mask), weights @ v, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 5))


@pytest.mark.parametrize("kind", sorted(ATTENTIONS.keys() - {"identity"}))
def test_dropped_weights_take_their_values_with_them_and_the_mean_stays(kind: str) -> None:
    core = ATTENTIONS[kind](heads=2, width=8, dropout=0.25).train()
    q, k = heads(1, 200, 0), heads(1, 64, 1)
    weights = core.weights(q, k, None)
    values = torch.eye(64).expand(1, 2, 64, 64)  # what comes out is the weights themselves
    torch.manual_seed(5)
    out = core(q, k, values, None)
    kept = out != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(out[kept], weights[kept] / 0.75)
    torch.testing.assert_close(core.eval()(q, k, values, None), weights)


@pytest.mark.parametrize("kind", ["scaled_dot_product", "dot_product"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_with_weights_dropped_masks_hold_and_scores_are_as_exact(kind: str, dtype: torch.dtype) -> None:
    core = ATTENTIONS[kind](heads=2, width=8, dropout=0.25).train()
    q, k, values = (
        tensor.to(dtype) for tensor in (heads(1, 64, 0), heads(1, 64, 1), torch.eye(64).expand(1, 2, 64, 64))
    )
    exact = torch.promote_types(dtype, torch.float32)
    weights = core.weights(q.to(exact), k.to(exact), CAUSAL)
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        out = core(q, k, values, CAUSAL)
    assert not out.triu(1).any()
    kept = out != 0
    torch.testing.assert_close(out[kept].to(exact), weights[kept] / 0.75)


@pytest.mark.parametrize("kind", sorted(ATTENTIONS))
@pytest.mark.parametrize("low", [False, True])
def test_the_causal_rule_is_its_table_in_value_and_gradients(kind: str, low: bool) -> None:
    torch.manual_seed(0)
    core = ATTENTIONS[kind](heads=2, width=8)
    found = []
    for mask in (CAUSAL, CAUSAL.laid_out(6, 6)):
        q, k, v = (heads(3, 6, seed).requires_grad_() for seed in range(3))
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            out = core(q, k, v, mask)
        torch.autograd.backward([out.float().square().sum()])
        found.append([out, v.grad] if kind in ("identity", "uniform") else [out, q.grad, k.grad, v.grad])
    for rule, table in zip(*found, strict=True):
        torch.testing.assert_close(rule, table)


@pytest.mark.parametrize("kind", ["scaled_dot_product", "dot_product"])
def test_in_bfloat16_results_and_gradients_are_those_of_float32_within_its_precision(kind: str) -> None:
    core = ATTENTIONS[kind](heads=2, width=8)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        q, k, v = (heads(3, 5, seed).div(2).bfloat16().to(dtype).requires_grad_() for seed in range(3))
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            out = core(q, k, v, None)
        torch.autograd.backward([out.float().square().sum()])
        found.append([out, q.grad, k.grad, v.grad])
    for exact, rounded in zip(*found, strict=True):
        assert exact is not None
        assert rounded is not None
        torch.testing.assert_close(rounded.float(), exact, rtol=0.02, atol=0.02)


def test_identity_is_each_word_its_own_value() -> None:
    core = Identity(heads=2, width=8)
    q, k, v = heads(3, 2, 0), heads(3, 7, 1), heads(3, 7, 2)
    assert torch.equal(core(q, k, v, None), v[:, :, 5:])
    assert torch.equal(core.weights(q, k, None) @ v, v[:, :, 5:])


def test_uniform_weighs_what_it_may_see_alike() -> None:
    weights = Uniform(heads=2, width=8).weights(heads(1, 4, 0), heads(1, 4, 1), CAUSAL)
    torch.testing.assert_close(weights[0, 0], torch.ones(4, 4).tril() / torch.arange(1, 5)[:, None])


def test_additive_is_the_formula_of_the_paper() -> None:
    core = Additive(heads=2, width=8)
    q, k = heads(1, 3, 0), heads(1, 4, 1)
    for head in range(2):
        for query in range(3):
            scores = torch.stack([core.v[head] @ torch.tanh(q[0, head, query] + key) for key in k[0, head]])
            torch.testing.assert_close(core.weights(q, k, None)[0, head, query], scores.softmax(0))


def test_masked_keys_get_nothing() -> None:
    weights = ScaledDotProduct(heads=2, width=8).weights(heads(1, 6, 0), heads(1, 6, 1), CAUSAL)
    assert weights.triu(1).count_nonzero() == 0
    assert (weights.tril() > 0).sum() == 2 * 21


def test_scores_are_divided_by_the_root_of_the_width() -> None:
    q, k = heads(1, 3, 0), heads(1, 4, 1)
    expected = torch.einsum("bhqk,bhsk->bhqs", q, k).div(8**0.5).softmax(-1)
    torch.testing.assert_close(ScaledDotProduct(heads=2, width=8).weights(q, k, None), expected)


def test_with_fixed_weights_attention_is_linear_in_the_values() -> None:
    core = ScaledDotProduct(heads=2, width=8)
    q, k, v, w = heads(2, 4, 0), heads(2, 4, 1), heads(2, 4, 2), heads(2, 4, 3)
    torch.testing.assert_close(
        core(q, k, 2 * v - 3 * w, None), 2 * core(q, k, v, None) - 3 * core(q, k, w, None), rtol=1e-4, atol=1e-5
    )


def test_self_attention_is_cross_attention_over_itself() -> None:
    torch.manual_seed(0)
    over_itself = SelfAttention(width=16, heads=2, core=ScaledDotProduct(heads=2, width=8))
    over_memory = CrossAttention(width=16, heads=2, core=ScaledDotProduct(heads=2, width=8))
    q, kv = over_itself.qkv.weight[:16], over_itself.qkv.weight[16:]
    over_memory.q.weight.data, over_memory.kv.weight.data = q.data, kv.data
    over_memory.out.load_state_dict(over_itself.out.state_dict())
    x = torch.randn(2, 5, 16)
    mask = padding_mask(torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]), 0)
    positions = NoPositions(width=16, heads=2, max_length=5, causal=False)
    torch.testing.assert_close(over_itself(x, mask, positions), over_memory(x, *over_memory.read(x), mask))
