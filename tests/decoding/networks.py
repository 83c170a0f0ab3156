"""Networks whose right answers are known: one made of a table, one that copies."""

from dataclasses import dataclass
from itertools import product

import pytest
import torch
from torch import Tensor

from entente.decoding.beam import Hypothesis, beam_search
from entente.model.seq2seq import Seq2Seq, State

PAD, UNK, BOS, EOS = 0, 1, 2, 3
VOCABULARY = 6  # the four above and two words


@dataclass(frozen=True)
class Prefix:
    """Which prefix of words each row has read, as a node of the tree of all prefixes."""

    sentence: Tensor  # (R,)
    node: Tensor  # (R,)
    moves: list[int]  # rows after every selection

    def expand(self, hypotheses: int) -> "Prefix":
        return self.select(torch.arange(len(self.node)).repeat_interleave(hypotheses))

    def reorder(self, rows: Tensor) -> "Prefix":
        moved = self.select(rows)
        assert moved.sentence.equal(self.sentence)
        return moved

    def select(self, rows: Tensor) -> "Prefix":
        self.moves.append(len(rows))
        return Prefix(self.sentence[rows], self.node[rows], self.moves)


class Table(Seq2Seq):
    """The logits of the next word after every prefix, in a table drawn from a seed; a source is a row number."""

    vocabulary = VOCABULARY

    def __init__(self, sentences: int, max_length: int, seed: int) -> None:
        super().__init__()
        self.max_length = max_length
        nodes = sum(VOCABULARY**depth for depth in range(max_length + 1))
        generator = torch.Generator().manual_seed(seed)
        self.table = 2 * torch.randn(sentences, nodes, VOCABULARY, generator=generator)
        self.rows: list[int] = []  # rows of every step taken
        self.moves: list[int] = []

    def encode(self, src: Tensor, src_mask: Tensor) -> Tensor:
        return src[:, :1, None]

    def read(self, tgt_in: Tensor, memory: Tensor, src_mask: Tensor) -> Tensor:
        raise NotImplementedError

    def start(self, memory: Tensor, src_mask: Tensor) -> Prefix:
        return Prefix(memory[:, 0, 0], torch.zeros(len(memory), dtype=torch.int64), self.moves)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, Prefix]:
        assert isinstance(state, Prefix)
        self.rows.append(len(tokens))
        # BOS is read first, at the root; word v of node n is node n * V + v + 1.
        node = torch.where(tokens == BOS, state.node, state.node * VOCABULARY + tokens + 1)
        return self.table[state.sentence, node], Prefix(state.sentence, node, self.moves)

    def begin(self, *sentences: int) -> Prefix:
        src = torch.tensor(sentences)[:, None]
        return self.start(self.encode(src, src), src)

    def exhaust(self, sentence: int, max_length: int, length_penalty: float) -> list[Hypothesis]:
        """Score every possible hypothesis, one word at a time, best first."""
        scores = self.table[sentence].float().log_softmax(-1).double()
        found = []
        for words in range(max_length):
            for ids in product((UNK, 4, 5), repeat=words):
                node, total = 0, 0.0
                for word in ids:
                    total += float(scores[node, word])
                    node = node * VOCABULARY + word + 1
                total += float(scores[node, EOS])
                normalised = total / ((5 + words + 1) / 6) ** length_penalty
                found.append(Hypothesis(list(ids), normalised, total))
        possible = [hypothesis for hypothesis in found if hypothesis.score > -torch.inf]
        return sorted(possible, key=lambda hypothesis: -hypothesis.score)


def search(
    network: Table, *sentences: int, beam: int, n_best: int, length_penalty: float, max_lengths: list[int]
) -> list[list[Hypothesis]]:
    return beam_search(
        network.step,
        network.begin(*sentences),
        bos=BOS,
        eos=EOS,
        forbidden=(PAD, BOS),
        beam=beam,
        n_best=n_best,
        length_penalty=length_penalty,
        max_lengths=torch.tensor(max_lengths),
    )


def assert_equal(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [hypothesis.ids for hypothesis in found] == [hypothesis.ids for hypothesis in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)


@dataclass(frozen=True)
class Reader:
    """The source (R, S) of each row and how far it is read."""

    src: Tensor
    position: int

    def expand(self, hypotheses: int) -> "Reader":
        return Reader(self.src.repeat_interleave(hypotheses, 0), self.position)

    def reorder(self, rows: Tensor) -> "Reader":
        return self.select(rows)

    def select(self, rows: Tensor) -> "Reader":
        return Reader(self.src[rows], self.position)


class Copy(Seq2Seq):
    """Finds the source's next word e**5 times likelier than any other."""

    def __init__(self, vocabulary: int, max_length: int) -> None:
        super().__init__()
        self.vocabulary, self.max_length = vocabulary, max_length

    def encode(self, src: Tensor, src_mask: Tensor) -> Tensor:
        assert src.shape[1] <= self.max_length
        return src[:, :, None]

    def read(self, tgt_in: Tensor, memory: Tensor, src_mask: Tensor) -> Tensor:
        state = self.start(memory, src_mask)
        return torch.stack([self._next(Reader(state.src, i)) for i in range(tgt_in.shape[1])], 1)

    def score(self, x: Tensor) -> Tensor:
        return x  # it reads scores

    def start(self, memory: Tensor, src_mask: Tensor) -> Reader:
        return Reader(memory[:, :, 0], 0)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, Reader]:
        assert isinstance(state, Reader)
        return self._next(state), Reader(state.src, state.position + 1)

    def _next(self, state: Reader) -> Tensor:
        wanted = state.src[:, min(state.position, state.src.shape[1] - 1)]
        return 5.0 * torch.nn.functional.one_hot(wanted, self.vocabulary)
