import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from entente.errors import EntenteError
from entente.model.positions import POSITIONS, Alibi, RelativeBuckets, Rotary, sinusoids


@given(st.integers(1, 59), st.integers(1, 32))
def test_a_shift_is_one_fixed_rotation(shift: int, pairs: int) -> None:
    table = sinusoids(60, 2 * pairs).double()
    sines, cosines = table[:, 0::2], table[:, 1::2]  # (T, D/2) each
    # The rotation that takes the first position to its successor takes every position to its successor.
    s, c = sines[shift], cosines[shift]
    torch.testing.assert_close(sines[:-shift] * c + cosines[:-shift] * s, sines[shift:], rtol=0, atol=1e-5)
    torch.testing.assert_close(cosines[:-shift] * c - sines[:-shift] * s, cosines[shift:], rtol=0, atol=1e-5)


def test_sinusoids_are_those_of_the_paper() -> None:
    table = sinusoids(50, 8)
    position, i = 7, 2
    angle = torch.tensor(position / 10_000 ** (2 * i / 8))
    torch.testing.assert_close(table[position, 2 * i], angle.sin())
    torch.testing.assert_close(table[position, 2 * i + 1], angle.cos())


def test_no_two_positions_look_alike() -> None:
    table = sinusoids(1024, 128)
    distances = torch.cdist(table, table) + torch.eye(1024) * 100
    assert distances.min() > 0.1


@given(st.sampled_from(sorted(POSITIONS)), st.integers(1, 12), st.integers(0, 11))
def test_marking_from_a_start_is_marking_the_whole_and_cutting(kind: str, length: int, start: int) -> None:
    positions = POSITIONS[kind](width=16, heads=2, max_length=12, causal=False)
    x, heads = torch.randn(2, length, 16), torch.randn(2, 2, length, 8)
    torch.testing.assert_close(positions.embed(x, 0)[:, start:], positions.embed(x[:, start:], start))
    whole, rest = positions.turn(heads, heads, 0), positions.turn(heads[:, :, start:], heads[:, :, start:], start)
    for one, other in zip(whole, rest, strict=True):
        torch.testing.assert_close(one[:, :, start:], other)


def test_only_positions_tell_equal_words_apart() -> None:
    x = torch.ones(1, 6, 16)
    apart = {
        name: bool((kind(width=16, heads=2, max_length=8, causal=False).embed(x, 0).std(1) > 0).any())
        for name, kind in POSITIONS.items()
    }
    assert {name for name, told in apart.items() if told} == {"sinusoidal", "learned"}


@given(st.sampled_from(["rotary", "relative", "alibi"]), st.booleans(), *[st.integers(0, 19)] * 3)
def test_relative_kinds_see_distances_alone(kind: str, causal: bool, one: int, other: int, shift: int) -> None:
    query, key = max(one, other), min(one, other)
    torch.manual_seed(1)
    positions = POSITIONS[kind](width=16, heads=2, max_length=40, causal=causal)
    for parameter in positions.parameters():
        nn.init.normal_(parameter)
    q, k = torch.randn(1, 2, 1, 8), torch.randn(1, 2, 1, 8)

    def score(query: int, key: int) -> Tensor:
        turned = positions.turn(q, k, query)[0] @ positions.turn(q, k, key)[1].mT
        bias = positions.bias(1, key + 1, query)
        return turned if bias is None else turned + bias[..., -1:]

    torch.testing.assert_close(score(query, key), score(query + shift, key + shift), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(score(9, 4), score(9, 5))


@given(st.sampled_from(["relative", "alibi"]), st.booleans(), st.integers(1, 12), st.integers(0, 11))
def test_scores_to_add_from_a_start_are_rows_of_the_whole(kind: str, causal: bool, length: int, start: int) -> None:
    start = min(start, length - 1)
    positions = POSITIONS[kind](width=16, heads=2, max_length=12, causal=causal)
    for parameter in positions.parameters():
        nn.init.normal_(parameter)
    whole, last = positions.bias(length, length, 0), positions.bias(length - start, length, start)
    assert whole is not None
    assert last is not None
    torch.testing.assert_close(whole[:, :, start:], last)


def test_a_turn_keeps_lengths() -> None:
    q, k = torch.randn(2, 2, 9, 8), torch.randn(2, 2, 9, 8)
    turned = Rotary(width=16, heads=2, max_length=20, causal=False).turn(q, k, 5)
    torch.testing.assert_close(turned[0].norm(dim=-1), q.norm(dim=-1))
    torch.testing.assert_close(turned[1].norm(dim=-1), k.norm(dim=-1))


def test_buckets_are_those_of_t5() -> None:
    # Distances of the key from the query and their buckets, as Hugging Face's T5 computes them (32 buckets, 128).
    offsets = torch.tensor([-200, -128, -64, -20, -9, -8, -7, -1, 0, 1, 7, 8, 20, 200])
    both = RelativeBuckets(width=16, heads=2, max_length=300, causal=False)
    assert both.distances[offsets + 299].tolist() == [15, 15, 14, 10, 8, 8, 7, 1, 0, 17, 23, 24, 26, 31]
    before = RelativeBuckets(width=16, heads=2, max_length=300, causal=True)
    assert before.distances[offsets + 299].tolist() == [31, 31, 26, 17, 9, 8, 7, 1, 0, 0, 0, 0, 0, 0]


def test_alibi_falls_with_the_distance_and_tells_the_sides_apart() -> None:
    back = Alibi(width=16, heads=4, max_length=12, causal=True).bias(1, 5, 4)[0, :, 0]  # (H, S)
    assert back[0].tolist() == [-1.0, -0.75, -0.5, -0.25, 0.0]  # 2 ** (-8 / 4), Press et al. 2022, section 3
    both = Alibi(width=16, heads=4, max_length=12, causal=False).bias(1, 5, 2)[0, :, 0]
    seen = both > -100
    assert seen.tolist() == [[True, True, True, False, False]] * 2 + [[False, False, True, True, True]] * 2


@pytest.mark.parametrize(("kind", "heads", "named"), [("rotary", 16, "odd width"), ("alibi", 1, "even number")])
def test_heads_that_do_not_suit_are_refused(kind: str, heads: int, named: str) -> None:
    with pytest.raises(EntenteError, match=named):
        POSITIONS[kind](width=16, heads=heads, max_length=8, causal=False)
