import math

import pytest
import torch

from entente.decoding.beam import Hypothesis, beam_search
from tests.decoding.networks import BOS, EOS, PAD, UNK, VOCABULARY, Table, assert_equal, search


@pytest.mark.parametrize("length_penalty", [-4.0, 0.0, 0.6, 2.0, 6.0])
@pytest.mark.parametrize("n_best", [1, 3])
def test_stopping_early_loses_none_of_the_best(length_penalty: float, n_best: int) -> None:
    network = Table(sentences=60, max_length=4, seed=1)
    enough = sum(3**words for words in range(4))
    found = search(
        network,
        *range(60),
        beam=enough,
        n_best=n_best,
        length_penalty=length_penalty,
        max_lengths=[4] * 60,
    )
    for sentence in range(60):
        assert_equal(found[sentence], network.exhaust(sentence, 4, length_penalty)[:n_best])


def one_by_one(network: Table, sentence: int, beam: int, length_penalty: float, length: int) -> list[Hypothesis]:
    """Beam search as a textbook writes it: one sentence, lists, no early stop."""
    live: list[tuple[float, list[int], int]] = [(0.0, [], 0)]
    ended: list[Hypothesis] = []
    scores = network.table[sentence].log_softmax(-1).tolist()
    for position in range(1, length + 1):
        words = (UNK, EOS, 4, 5) if position < length else (EOS,)
        candidates = sorted(
            (
                (total + scores[node][word], [*ids, word], node * VOCABULARY + word + 1)
                for total, ids, node in live
                for word in words
            ),
            reverse=True,
        )
        normaliser = ((5 + position) / 6) ** length_penalty
        ended += [
            Hypothesis(ids[:-1], total / normaliser, total) for total, ids, _ in candidates[:beam] if ids[-1] == EOS
        ]
        live = [candidate for candidate in candidates if candidate[1][-1] != EOS][:beam]
        if len(ended) >= beam:
            break
    return sorted(ended, key=lambda hypothesis: -hypothesis.score)[:beam]


@pytest.mark.parametrize("beam", [1, 2, 3, 5])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 6.0])
def test_all_sentences_and_beams_at_once_find_what_one_by_one_finds(beam: int, length_penalty: float) -> None:
    network = Table(sentences=30, max_length=4, seed=10)
    lengths = [sentence % 4 + 1 for sentence in range(30)]
    for n_best in {1, beam}:
        found = search(
            network,
            *range(30),
            beam=beam,
            n_best=n_best,
            length_penalty=length_penalty,
            max_lengths=lengths,
        )
        for sentence, length in enumerate(lengths):
            expected = one_by_one(network, sentence, beam, length_penalty, length)
            assert_equal(found[sentence], expected[:n_best])


def test_the_best_is_the_same_however_many_are_asked_for() -> None:
    network = Table(sentences=50, max_length=5, seed=4)
    best, all_four = (
        search(network, *range(50), beam=4, n_best=n, length_penalty=1.0, max_lengths=[5] * 50) for n in (1, 4)
    )
    assert [sentence[0] for sentence in best] == [sentence[0] for sentence in all_four]
    assert all(len(sentence) == 4 for sentence in all_four)
    for sentence in all_four:
        scores = [hypothesis.score for hypothesis in sentence]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(hypothesis.ids) for hypothesis in sentence}) == 4


def test_what_is_impossible_is_not_found_and_makes_no_nan() -> None:
    network = Table(sentences=1, max_length=3, seed=5)
    network.table[:] = -torch.inf
    network.table[:, :, EOS] = 0.0
    network.table[:, 0, 4] = 1.0  # only the empty sentence and `4` are possible
    found = search(network, 0, beam=5, n_best=5, length_penalty=1.0, max_lengths=[3])
    assert_equal(found[0], network.exhaust(0, 3, 1.0))
    assert [hypothesis.ids for hypothesis in found[0]] == [[4], []]
    assert all(math.isfinite(hypothesis.score) for hypothesis in found[0])


def test_padding_and_bos_are_never_chosen_but_count_as_probability() -> None:
    network = Table(sentences=2, max_length=4, seed=6)
    network.table[:, :, PAD] = network.table[:, :, BOS] = 9.0
    found = search(network, 0, 1, beam=3, n_best=3, length_penalty=0.0, max_lengths=[4, 4])
    hypotheses = [hypothesis for sentence in found for hypothesis in sentence]
    assert {word for hypothesis in hypotheses for word in hypothesis.ids} <= {UNK, 4, 5}
    assert all(hypothesis.log_probability < -8 for hypothesis in hypotheses)


def test_logits_of_half_precision_are_scored_in_float32() -> None:
    network = Table(sentences=1, max_length=3, seed=7)
    network.table = network.table.bfloat16()
    found = search(network, 0, beam=VOCABULARY**3, n_best=5, length_penalty=1.0, max_lengths=[3])
    scores = [hypothesis.score for hypothesis in network.exhaust(0, 3, 1.0)[:5]]
    assert [hypothesis.score for hypothesis in found[0]] == pytest.approx(scores, abs=1e-5)


def test_finished_sentences_leave_the_batch_and_nothing_moves_without_need() -> None:
    network = Table(sentences=3, max_length=4, seed=8)
    network.table[:] = torch.tensor([0.0, 0.0, 0.0, 0.0, 9.0, 0.0])
    for sentence, words in enumerate((0, 1, 3)):
        node = sum(5 * VOCABULARY**depth for depth in range(words))  # after `words` times the word 4
        network.table[sentence, node, EOS] = 19.0
    found = search(network, 0, 1, 2, beam=1, n_best=1, length_penalty=1.0, max_lengths=[4, 4, 4])
    assert [sentence[0].ids for sentence in found] == [[], [4], [4, 4, 4]]
    assert network.rows == [3, 2, 1, 1]
    assert network.moves == [3, 2, 1, 0]  # the first one tiles; none between the last two steps


def test_the_search_stops_when_no_live_hypothesis_can_win() -> None:
    network = Table(sentences=1, max_length=5, seed=9)
    network.table[:, :, EOS] = 9.0
    search(network, 0, beam=4, n_best=1, length_penalty=1.0, max_lengths=[5])
    steps_for_one = len(network.rows)
    search(network, 0, beam=4, n_best=4, length_penalty=1.0, max_lengths=[5])
    assert steps_for_one == 1 < len(network.rows) - steps_for_one


def test_no_sentence_is_no_work() -> None:
    network = Table(sentences=1, max_length=2, seed=0)
    empty = network.begin(0).select(torch.empty(0, dtype=torch.int64))
    found = beam_search(
        network.step,
        empty,
        bos=BOS,
        eos=EOS,
        forbidden=(PAD, BOS),
        beam=2,
        n_best=1,
        length_penalty=1.0,
        max_lengths=torch.empty(0, dtype=torch.int64),
    )
    assert found == []
    assert network.rows == []
