import torch

from entente.model.attention import CrossAttention, ScaledDotProduct, SelfAttention
from entente.model.masks import causal_mask, padding_mask
from entente.model.positions import NoPositions


def heads(rows: int, length: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, 2, length, 8, generator=torch.Generator().manual_seed(seed))  # (B, H, T, K)


def test_fused_attention_is_visible_weights_times_values() -> None:
    core = ScaledDotProduct()
    q, k, v = heads(3, 5, 0), heads(3, 7, 1), heads(3, 7, 2)
    some = padding_mask(torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1] + [0] * 6]), 0)
    bias = torch.randn(1, 2, 5, 7, generator=torch.Generator().manual_seed(3))
    for mask in (None, some, bias):
        weights = core.weights(q, k, mask)
        torch.testing.assert_close(core(q, k, v, mask), weights @ v, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 5))


def test_masked_keys_get_nothing() -> None:
    weights = ScaledDotProduct().weights(heads(1, 6, 0), heads(1, 6, 1), causal_mask(6))
    assert weights.triu(1).count_nonzero() == 0
    assert (weights.tril() > 0).sum() == 2 * 21


def test_scores_are_divided_by_the_root_of_the_width() -> None:
    q, k = heads(1, 3, 0), heads(1, 4, 1)
    expected = torch.einsum("bhqk,bhsk->bhqs", q, k).div(8**0.5).softmax(-1)
    torch.testing.assert_close(ScaledDotProduct().weights(q, k, None), expected)


def test_with_fixed_weights_attention_is_linear_in_the_values() -> None:
    core = ScaledDotProduct()
    q, k, v, w = heads(2, 4, 0), heads(2, 4, 1), heads(2, 4, 2), heads(2, 4, 3)
    torch.testing.assert_close(
        core(q, k, 2 * v - 3 * w, None), 2 * core(q, k, v, None) - 3 * core(q, k, w, None), rtol=1e-4, atol=1e-5
    )


def test_self_attention_is_cross_attention_over_itself() -> None:
    torch.manual_seed(0)
    over_itself = SelfAttention(width=16, heads=2, core=ScaledDotProduct())
    over_memory = CrossAttention(width=16, heads=2, core=ScaledDotProduct())
    q, kv = over_itself.qkv.weight[:16], over_itself.qkv.weight[16:]
    over_memory.q.weight.data, over_memory.kv.weight.data = q.data, kv.data
    over_memory.out.load_state_dict(over_itself.out.state_dict())
    x = torch.randn(2, 5, 16)
    mask = padding_mask(torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]), 0)
    positions = NoPositions(width=16, heads=2, max_length=5)
    torch.testing.assert_close(over_itself(x, mask, positions), over_memory(x, *over_memory.read(x), mask))
