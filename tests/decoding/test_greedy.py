import torch

from entente.decoding.greedy import greedy
from tests.decoding.networks import BOS, EOS, PAD, VOCABULARY, Table


def decode(network: Table, sentences: list[int], max_lengths: list[int]) -> list[list[int]]:
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


def test_finished_sentences_leave_the_batch_when_they_are_half_of_it() -> None:
    network = Table(sentences=2, max_length=5, seed=2)
    network.table[0, :, 4] = 9.0
    network.table[1, :, EOS] = 9.0
    assert decode(network, [0, 1, 0, 0], [5, 5, 3, 5]) == [[4, 4, 4, 4], [], [4, 4], [4, 4, 4, 4]]
    assert network.rows == [4, 4, 2, 2]


def test_no_sentence_is_no_work() -> None:
    network = Table(sentences=1, max_length=2, seed=0)
    assert decode(network, [], []) == []
    assert network.rows == []
