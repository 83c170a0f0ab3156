"""The contract that every sequence-to-sequence network signs: the Transformer and the RNNs are one thing to the beam.

Alphabet: B batch, S source length, T target length, D model width, H heads, K width of a head, V vocabulary.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Any, Generic, Protocol, Self

from pydantic import Field
from torch import Tensor, nn
from typing_extensions import TypeVar

from entente.model.maps import linear


class State(Protocol):
    """What a decoder remembers between two steps: of R hypotheses, N side by side for each of R / N sentences.

    What is of the source is there once for each sentence, and all its hypotheses look at it. A state starts with N = 1.
    """

    def expand(self, hypotheses: int) -> Self:
        """Make N `hypotheses` of each, side by side."""
        ...

    def reorder(self, rows: Tensor) -> Self:
        """Keep the hypotheses `rows` (R,) int64, in that order, each from among those of its own sentence."""
        ...

    def select(self, rows: Tensor) -> Self:
        """Keep the hypotheses `rows` (A N,) int64, in that order, of A sentences, N of each side by side."""
        ...


# Of what can be computed with at all: beyond it a number is a slip.
Vocabulary = Annotated[int, Field(ge=4, le=2**24)]  # pieces, the special ones among them
Width = Annotated[int, Field(ge=1, le=2**16)]
Layers = Annotated[int, Field(ge=0, le=1000)]
Length = Annotated[int, Field(ge=2, le=2**16)]  # pieces, EOS counted

StateT = TypeVar("StateT", bound=State, default=Any)


class Seq2Seq(nn.Module, ABC, Generic[StateT]):
    """An encoder-decoder network. Sources end with EOS, `tgt_in` begins with BOS; padding is 0.

    One table serves source, target and output (Press and Wolf 2017), or the source has one of its own.
    """

    vocabulary: int
    width: int  # D
    embedding: nn.Embedding  # (V, D) of target and output, and of the source where that has none of its own
    source_embedding: nn.Embedding | None  # (V, D)
    max_length: int  # longest source or target, in pieces with EOS, that the network can read

    @property
    def source_table(self) -> nn.Embedding:
        """The embeddings that the source is read by (V, D)."""
        return self.source_embedding or self.embedding

    @abstractmethod
    def encode(self, src: Tensor, src_mask: Tensor) -> Tensor:
        """Read the source: src (B, S) int64, src_mask (B, 1, 1, S) True = may be attended -> memory (B, S, D)."""

    @abstractmethod
    def read(self, tgt_in: Tensor, memory: Tensor, src_mask: Tensor) -> Tensor:
        """Read the target at once (teacher forcing): tgt_in (B, T) int64 -> what scores its next words (B, T, D)."""

    @abstractmethod
    def start(self, memory: Tensor, src_mask: Tensor) -> StateT:
        """Return the decoder's state before the first word: memory (B, S, D), src_mask (B, 1, 1, S)."""

    @abstractmethod
    def step(self, tokens: Tensor, state: StateT) -> tuple[Tensor, StateT]:
        """Read one more word: tokens (B,) int64 -> logits (B, V) of the word after it, and the state after it.

        The logits are the caller's to write over.
        """

    def score(self, x: Tensor) -> Tensor:
        """Score every word of the vocabulary: x (..., D) -> logits (..., V)."""
        return linear(x, self.embedding.weight)

    def decode(self, tgt_in: Tensor, memory: Tensor, src_mask: Tensor) -> Tensor:
        """Read the target and score its next words: tgt_in (B, T) int64 -> logits (B, T, V)."""
        return self.score(self.read(tgt_in, memory, src_mask))

    def forward(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor:
        """Encode, then decode by teacher forcing: (B, S), (B, 1, 1, S), (B, T) -> logits (B, T, V)."""
        return self.decode(tgt_in, self.encode(src, src_mask), src_mask)


def new_table(vocabulary: int, width: int) -> nn.Embedding:
    """Return a table (V, D) of embeddings, drawn so that a product with one has about the size of what it scores."""
    table = nn.Embedding(vocabulary, width)
    nn.init.normal_(table.weight, std=width**-0.5)
    return table
