from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from entente.text.batches import Batch, EndlessBatches, TokenBudgetBatches, collate, pad
from entente.text.subwords import BOS, EOS, PAD


def lengths(seed: int = 0, pairs: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    source = random.integers(3, 40, pairs)
    return source, np.maximum(2, source + random.integers(-3, 6, pairs))


def batches(seed: int = 1, multiple: int = 1) -> TokenBudgetBatches:
    return TokenBudgetBatches(*lengths(), tokens=500, seed=seed, multiple=multiple)


def test_every_pair_stands_in_exactly_one_batch() -> None:
    numbers = [number for batch in batches().epoch(0) for number in batch]
    assert sorted(numbers) == list(range(3000))


def test_no_batch_is_over_the_budget_and_nearly_all_of_it_is_words() -> None:
    source, target = lengths()
    padded = real = 0
    for batch in batches().epoch(0):
        sizes = [max(side[batch]) * len(batch) for side in (source, target)]
        assert max(sizes) <= 500
        padded += sizes[1]
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


def test_the_stream_goes_on_from_any_batch() -> None:
    plan = batches()
    one = len(plan.epoch(0))
    whole = list(islice(EndlessBatches(plan, 0), 2 * one))
    for start in (0, 1, one - 1, one, one + 5):
        assert list(islice(EndlessBatches(plan, start), 4)) == (whole + plan.epoch(2))[start : start + 4]


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


@pytest.mark.parametrize("sentences", [[], [[EOS]], [[5, 6, EOS], [EOS]]])
def test_pad_keeps_every_id(sentences: list[list[int]]) -> None:
    padded = pad(sentences)
    assert [[i for i in row if i != PAD] for row in padded.tolist()] == sentences


def test_an_epoch_is_made_of_whole_updates() -> None:
    whole = len(batches(multiple=4).epoch(0))
    assert whole % 4 == 0
    assert len(batches().epoch(0)) - 4 < whole <= len(batches().epoch(0))


def sampled() -> TokenBudgetBatches:
    """1,000 pairs of three segmentations each."""
    return TokenBudgetBatches(*lengths(), tokens=500, seed=1, multiple=1, segmentations=3)


def test_every_epoch_has_one_segmentation_of_each_pair_and_another_epoch_another() -> None:
    first, second = ([row for batch in sampled().epoch(number) for row in batch] for number in (0, 1))
    assert sorted(row // 3 for row in first) == sorted(row // 3 for row in second) == list(range(1000))
    assert {row % 3 for row in first} == {0, 1, 2}
    assert len(set(first) & set(second)) < 500  # a third, by chance


def test_sampled_batches_keep_the_budget_by_their_own_lengths() -> None:
    source, target = lengths()
    assert max(max(side[batch]) * len(batch) for batch in sampled().epoch(4) for side in (source, target)) <= 500


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
