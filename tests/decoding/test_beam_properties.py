"""What holds of beam search whatever the network, the batch, the beam and the length penalty."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from entente.decoding.greedy import greedy
from tests.decoding.networks import BOS, EOS, PAD, VOCABULARY, Table, assert_equal, search

SEEDS = st.integers(0, 2**32 - 1)
LENGTHS = st.lists(st.integers(1, 3), min_size=1, max_size=4)  # the longest hypothesis of each sentence
BEAMS = st.integers(1, 8)
PENALTIES = st.floats(-2, 4)


@given(SEEDS, LENGTHS, PENALTIES)
def test_a_beam_that_drops_nothing_is_exhaustive_search(seed: int, lengths: list[int], penalty: float) -> None:
    network, everything = Table(len(lengths), 3, seed), VOCABULARY**3
    found = search(
        network,
        *range(len(lengths)),
        beam=everything,
        n_best=everything,
        length_penalty=penalty,
        max_lengths=lengths,
    )
    for sentence, length in enumerate(lengths):
        assert_equal(found[sentence], network.exhaust(sentence, length, penalty))


@given(SEEDS, LENGTHS, PENALTIES)
def test_beam_1_is_greedy_search(seed: int, lengths: list[int], penalty: float) -> None:
    network, src = Table(len(lengths), 3, seed), torch.arange(len(lengths))[:, None]
    expected = greedy(network, src, src, bos=BOS, eos=EOS, forbidden=(PAD, BOS), max_lengths=torch.tensor(lengths))
    found = search(network, *range(len(lengths)), beam=1, n_best=1, length_penalty=penalty, max_lengths=lengths)
    assert [sentence[0].ids for sentence in found] == expected


@given(SEEDS, LENGTHS, BEAMS, PENALTIES)
def test_hypotheses_come_best_first_each_once_with_the_sum_of_its_words(
    seed: int, lengths: list[int], beam: int, penalty: float
) -> None:
    network = Table(len(lengths), 3, seed)
    found = search(network, *range(len(lengths)), beam=beam, n_best=beam, length_penalty=penalty, max_lengths=lengths)
    for sentence, length in enumerate(lengths):
        possible = {tuple(one.ids): one for one in network.exhaust(sentence, length, penalty)}
        scores = [one.score for one in found[sentence]]
        assert scores == sorted(scores, reverse=True)
        assert 1 <= len({tuple(one.ids) for one in found[sentence]}) == len(scores) <= beam
        assert_equal(found[sentence], [possible[tuple(one.ids)] for one in found[sentence]])


@given(SEEDS, LENGTHS.flatmap(lambda lengths: st.permutations(list(enumerate(lengths)))), BEAMS, PENALTIES)
def test_a_sentence_does_not_depend_on_the_others_in_its_batch(
    seed: int, batch: list[tuple[int, int]], beam: int, penalty: float
) -> None:
    network = Table(len(batch), 3, seed)
    sentences, lengths = [sentence for sentence, _ in batch], [length for _, length in batch]
    together = search(network, *sentences, beam=beam, n_best=beam, length_penalty=penalty, max_lengths=lengths)
    for (sentence, length), found in zip(batch, together, strict=True):
        [alone] = search(network, sentence, beam=beam, n_best=beam, length_penalty=penalty, max_lengths=[length])
        assert alone == found


@given(SEEDS, LENGTHS, st.integers(2, 8), PENALTIES)
def test_the_best_is_the_same_however_many_are_asked_for(
    seed: int, lengths: list[int], beam: int, penalty: float
) -> None:
    network = Table(len(lengths), 3, seed)
    for n_best in range(1, beam):
        few, all_of_them = (
            search(network, *range(len(lengths)), beam=beam, n_best=n, length_penalty=penalty, max_lengths=lengths)
            for n in (n_best, beam)
        )
        assert [own[0].score for own in few] == pytest.approx([own[0].score for own in all_of_them])
