from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from entente.text.batches import Batch, EndlessBatches, TokenBudgetBatches, collate, pad
from entente.text.subwords import BOS, EOS, PAD


def lengths(seed: int = 0, pairs: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    source = random.integers(3, 40, pairs)
    return source, np.maximum(2, source + random.integers(-3, 6, pairs))


def batches(seed: int = 1, multiple: int = 1) -> TokenBudgetBatches:
    return TokenBudgetBatches(*lengths(), tokens=500, seed=seed, multiple=multiple)


@st.composite
def plans(draw: st.DrawFn) -> tuple[TokenBudgetBatches, TokenBudgetBatches]:
    """Any plan, and the same where an update takes one batch."""
    segmentations = draw(st.integers(1, 3))
    pairs = draw(st.integers(1, 60)) * segmentations
    sides = [draw(arrays(np.int32, pairs, elements=st.integers(1, 40))) for _ in range(2)]
    tokens, seed, multiple = draw(st.integers(1, 300)), draw(st.integers(0, 2**32)), draw(st.integers(1, 5))

    def plan(multiple: int) -> TokenBudgetBatches:
        return TokenBudgetBatches(*sides, tokens=tokens, seed=seed, multiple=multiple, segmentations=segmentations)

    return plan(multiple), plan(1)


@given(plans(), st.integers(0, 5))
def test_every_pair_stands_in_exactly_one_batch(
    made: tuple[TokenBudgetBatches, TokenBudgetBatches], epoch: int
) -> None:
    plan = made[1]
    rows = [row for batch in plan.epoch(epoch) for row in batch]
    pairs = len(plan.source_lengths) // plan.segmentations
    assert sorted(row // plan.segmentations for row in rows) == list(range(pairs))


@given(plans(), st.integers(0, 5))
def test_no_batch_of_several_is_over_the_budget(
    made: tuple[TokenBudgetBatches, TokenBudgetBatches], epoch: int
) -> None:
    plan = made[0]
    for batch in plan.epoch(epoch):
        longest = max(plan.source_lengths[batch].max(), plan.target_lengths[batch].max())
        assert len(batch) == 1 or longest * len(batch) <= plan.tokens


@given(plans(), st.integers(0, 5))
def test_an_epoch_is_made_of_whole_updates(made: tuple[TokenBudgetBatches, TokenBudgetBatches], epoch: int) -> None:
    (plan, single), found = made, made[0].epoch(epoch)
    every = single.epoch(epoch)
    assert found == every[: len(found)]
    assert len(found) == len(every) if len(every) < plan.multiple else len(found) % plan.multiple == 0
    assert len(every) - len(found) < plan.multiple


@given(plans(), st.integers(0, 40))
def test_the_stream_goes_on_from_any_batch(made: tuple[TokenBudgetBatches, TokenBudgetBatches], start: int) -> None:
    plan = made[0]
    whole = list(islice(EndlessBatches(plan, 0), start + 5))
    assert list(islice(EndlessBatches(plan, start), 5)) == whole[start:]


@given(plans(), st.integers(1, 30), st.integers(1, 7))
def test_of_a_large_corpus_pools_are_planned_one_after_another(
    made: tuple[TokenBudgetBatches, TokenBudgetBatches], pool: int, stretch: int
) -> None:
    each = made[1]  # an update takes one batch: none is left for another epoch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("entente.text.batches.POOL", pool)
        patch.setattr("entente.text.batches.STRETCH", stretch)
        epoch = each.epoch(3)
        pairs = len(each.source_lengths) // each.segmentations
        assert sorted(row // each.segmentations for batch in epoch for row in batch) == list(range(pairs))
        assert epoch == each.epoch(3)
        for batch in epoch:
            longest = max(max(each.source_lengths[batch]), max(each.target_lengths[batch]))
            assert longest * len(batch) <= each.tokens or len(batch) == 1


def test_the_first_batch_of_many_pairs_asks_for_the_lengths_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entente.text.batches.POOL", 1000)
    monkeypatch.setattr("entente.text.batches.STRETCH", 10)
    asked: list[int] = []

    class Lengths(np.ndarray):
        def __getitem__(self, rows: Any) -> Any:
            asked.append(len(rows))
            return np.asarray(self)[rows]

    many = np.full(50_000, 5).view(Lengths)
    plan = TokenBudgetBatches(many, many, tokens=100, seed=1, multiple=1)
    first = next(iter(EndlessBatches(plan, 0)))
    assert len(first) == 20
    assert sum(asked) < 5000
    assert max(first) - min(first) > 10_000  # from everywhere


@given(plans(), st.integers(0, 40), st.integers(1, 4))
def test_processes_share_the_stream_and_each_always_has_a_batch(
    made: tuple[TokenBudgetBatches, TokenBudgetBatches], start: int, processes: int
) -> None:
    plan = made[0]
    shares = [list(islice(EndlessBatches(plan, start + rank, processes), 5)) for rank in range(processes)]
    assert [batch for row in zip(*shares, strict=True) for batch in row] == list(
        islice(EndlessBatches(plan, start), 5 * processes)
    )


def test_nearly_all_of_a_batch_is_words() -> None:
    _, target = lengths()
    padded = real = 0
    for batch in batches().epoch(0):
        padded += max(target[batch]) * len(batch)
        real += target[batch].sum()
    assert real / padded > 0.98


def test_sources_that_go_up_and_down_in_turn_are_padded_less() -> None:
    source, target = lengths()

    def padding(cut: Iterable[Sequence[int] | np.ndarray]) -> int:
        return sum(int((source[batch].max() - source[batch]).sum()) for batch in map(list, cut))

    always_up = batches()._cut(np.lexsort((source, target)))
    assert padding(batches().epoch(0)) < 0.9 * padding(always_up)


def test_a_sentence_beyond_the_budget_travels_alone() -> None:
    cut = TokenBudgetBatches(np.array([5, 90, 5]), np.array([5, 5, 5]), tokens=20, seed=0, multiple=1).epoch(0)
    assert [1] in cut
    assert sorted(map(len, cut)) == [1, 2]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert batches().epoch(0) == batches().epoch(0)
    assert batches().epoch(0) != batches(seed=2).epoch(0)
    first, second = batches().epoch(0), batches().epoch(1)
    assert len(first) == len(second)
    # Not only the order of batches: which pairs stand together changes too.
    assert {tuple(sorted(batch)) for batch in first} != {tuple(sorted(batch)) for batch in second}


def test_epoch_follows_epoch_each_in_its_own_order() -> None:
    plan = batches()
    one = len(plan.epoch(0))
    stream = list(islice(EndlessBatches(plan, 0), 2 * one + 3))
    assert stream == plan.epoch(0) + plan.epoch(1) + plan.epoch(2)[:3]


def test_collate_shifts_the_target_by_one() -> None:
    batch = collate([(np.array([7, 8, EOS]), np.array([9, EOS])), (np.array([5, EOS]), np.array([4, 6, 10, EOS]))])
    assert batch.src.tolist() == [[7, 8, EOS], [5, EOS, PAD]]
    assert batch.src_mask[:, 0, 0].tolist() == [[True, True, True], [True, True, False]]
    assert batch.tgt_out.tolist() == [[9, EOS, PAD, PAD], [4, 6, 10, EOS]]
    assert batch.words == 2 + 4
    assert batch.tgt_in[1].tolist() == [BOS, 4, 6, 10]
    assert batch.tgt_in[0].tolist() == [BOS, 9, PAD, PAD]  # a decoder that may look ahead sees no EOS to count by


def test_a_batch_moves_as_one(tmp_path: Path) -> None:
    batch = collate([(np.array([7, EOS]), np.array([9, EOS]))]).to("cpu")
    assert isinstance(batch, Batch)
    assert all(isinstance(tensor, torch.Tensor) for tensor in (batch.src, batch.src_mask, batch.tgt_in, batch.tgt_out))


IDS = st.lists(st.integers(EOS + 1, 100), max_size=8).map(lambda ids: np.array([*ids, EOS]))


@given(st.lists(IDS))
def test_pad_keeps_every_id(sentences: list[np.ndarray]) -> None:
    padded = pad(sentences)
    assert [[i for i in row if i != PAD] for row in padded.tolist()] == [ids.tolist() for ids in sentences]
    assert padded.shape == (len(sentences), max(map(len, sentences), default=0))


@given(st.lists(st.tuples(IDS, IDS), min_size=1))
def test_a_batch_masks_padding_alone_and_shows_the_decoder_what_came_before(
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    batch = collate(pairs)
    for row, (source, target) in enumerate(pairs):
        assert batch.src_mask[row, 0, 0].tolist() == [place < len(source) for place in range(batch.src.shape[1])]
        assert batch.src[row, : len(source)].tolist() == source.tolist()
        assert batch.tgt_in[row, : len(target)].tolist() == [BOS, *target[:-1]]
        assert batch.tgt_out[row, : len(target)].tolist() == target.tolist()
        assert not batch.tgt_in[row, len(target) :].any()  # PAD is 0
        assert not batch.tgt_out[row, len(target) :].any()
    assert batch.words == sum(len(target) for _, target in pairs) == int((batch.tgt_out != PAD).sum())


def sampled() -> TokenBudgetBatches:
    """1,000 pairs of three segmentations each."""
    return TokenBudgetBatches(*lengths(), tokens=500, seed=1, multiple=1, segmentations=3)


def test_every_epoch_has_one_segmentation_of_each_pair_and_another_epoch_another() -> None:
    first, second = ([row for batch in sampled().epoch(number) for row in batch] for number in (0, 1))
    assert sorted(row // 3 for row in first) == sorted(row // 3 for row in second) == list(range(1000))
    assert {row % 3 for row in first} == {0, 1, 2}
    assert len(set(first) & set(second)) < 500  # a third, by chance


def test_a_resumed_training_goes_on_where_epochs_differ_in_their_batches() -> None:
    sizes = [len(sampled().epoch(number)) for number in range(4)]
    assert len(set(sizes)) > 1
    whole = list(islice(EndlessBatches(sampled(), 0), sum(sizes)))
    for start in (1, sizes[0], sizes[0] + sizes[1] + 2):
        assert list(islice(EndlessBatches(sampled(), start), 5)) == whole[start : start + 5]


def test_copies_stand_one_after_another_and_words_count_once() -> None:
    batch = collate([(np.array([5, EOS]), np.array([6, 7, EOS])), (np.array([8, 9, EOS]), np.array([4, EOS]))])
    double = batch.times(2)
    assert torch.equal(double.src, torch.cat([batch.src, batch.src]))
    assert double.src_mask.shape == (4, 1, 1, 3)
    assert torch.equal(double.tgt_out[2:], batch.tgt_out)
    assert double.words == batch.words == 5
    assert batch.times(1) is batch
