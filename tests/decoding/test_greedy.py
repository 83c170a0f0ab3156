from pathlib import Path

import pytest
import torch

from entente.decoding.greedy import greedy, translate
from entente.text.subwords import Subwords
from tests.conftest import SENTENCES
from tests.decoding.networks import BOS, EOS, PAD, VOCABULARY, Copy, Table


def decode(network: Table, sentences: list[int], max_lengths: list[int]) -> list[list[int] | None]:
    src = torch.tensor(sentences, dtype=torch.int64)[:, None]
    lengths = torch.tensor(max_lengths, dtype=torch.int64)
    return greedy(network, src, src, bos=BOS, eos=EOS, forbidden=(PAD, BOS), max_lengths=lengths)


def test_every_piece_is_the_likeliest_after_those_before_it() -> None:
    network = Table(sentences=50, max_length=5, seed=0)
    network.table[:, :, [PAD, BOS]] = 100.0
    for sentence, ids in enumerate(decode(network, list(range(50)), [5] * 50)):
        node, expected = 0, []
        for _ in range(4):
            word = max((1, 3, 4, 5), key=lambda word: float(network.table[sentence, node, word]))
            if word == EOS:
                break
            expected.append(word)
            node = node * VOCABULARY + word + 1
        assert ids == expected


def test_lengths_count_eos_and_hold_for_each_sentence() -> None:
    network = Table(sentences=1, max_length=5, seed=1)
    network.table[:, :, 4] = 9.0
    assert decode(network, [0, 0, 0], [5, 1, 3]) == [[4, 4, 4, 4], [], [4, 4]]


@pytest.mark.parametrize(("sentences", "rows"), [(5, [5, 4, 4, 4]), (6, [6, 6, 6, 6])])
def test_finished_sentences_leave_the_batch_when_they_are_a_fifth_of_it(sentences: int, rows: list[int]) -> None:
    network = Table(sentences=2, max_length=5, seed=2)
    network.table[0, :, 4] = 9.0
    network.table[1, :, EOS] = 9.0
    others = sentences - 1
    assert decode(network, [1, *[0] * others], [5] * sentences) == [[], *[[4, 4, 4, 4]] * others]
    assert network.rows == rows


def test_the_search_stops_when_all_have_ended() -> None:
    network = Table(sentences=1, max_length=5, seed=3)
    network.table[:, :, EOS] = 9.0
    assert decode(network, [0, 0], [5, 5]) == [[], []]
    assert network.rows == [2]


def test_of_logits_that_are_no_numbers_nothing_is_said_and_the_others_are_as_ever() -> None:
    network = Table(sentences=2, max_length=5, seed=3)
    [alone] = decode(network, [0], [5])
    network.table[1, 0, 4] = torch.nan
    assert decode(network, [0, 1], [5, 5]) == [alone, None]


@pytest.mark.parametrize("training", [True, False])
def test_sentences_are_translated_in_order_and_the_mode_of_the_network_is_kept(
    subwords_model: Path, training: bool
) -> None:
    subwords = Subwords(subwords_model)
    network = Copy(len(subwords), 60).train(training)
    sentences = [f"{SENTENCES[i % 4]} {i}" for i in range(300)]
    found = translate(network, subwords, sentences, torch.device("cpu"), max_length_factor=1.0, max_length_offset=0)
    assert found == sentences
    assert network.training == training


def test_no_sentence_is_no_work() -> None:
    network = Table(sentences=1, max_length=2, seed=0)
    assert decode(network, [], []) == []
    assert network.rows == []
