"""Recurrent sequence-to-sequence networks, plain (Sutskever et al. 2014) and with attention (Luong et al. 2015)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from entente.errors import EntenteError
from entente.model.cache import SharedSource
from entente.model.cells import CELLS, READERS, Cell, Kept
from entente.model.dropout import Dropout
from entente.model.maps import Map
from entente.model.recurrent_attention import RECURRENT_ATTENTIONS, RecurrentAttention
from entente.model.seq2seq import Layers, Length, Seq2Seq, Vocabulary, Width, new_table
from entente.options import Option, Share, choose

Reader = nn.GRU | nn.LSTM


@dataclass(frozen=True)
class RecurrentState(SharedSource):
    """What the decoder remembers: what its cells kept, bottom first, its last output, and the source it looks at."""

    cells: tuple[Kept, ...]  # (R, D) each
    output: Tensor  # (R, D)
    k: Tensor  # (R/N, 1, S, D)
    v: Tensor  # (R/N, 1, S, D)

    def reorder(self, rows: Tensor) -> Self:
        """Keep what is of the targets `rows` (R,)."""
        cells = tuple(tuple(tensor.index_select(0, rows) for tensor in kept) for kept in self.cells)
        return replace(self, cells=cells, output=self.output.index_select(0, rows))

    def of_sources(self, rows: Tensor) -> Self:
        """Keep the keys and values `rows` (A,)."""
        return replace(self, k=self.k.index_select(0, rows), v=self.v.index_select(0, rows))


class RecurrentEncoder(nn.Module):
    """Reads the source from both ends, half of the width each way (Bahdanau et al. 2015, section 3.2)."""

    def __init__(self, *, width: int, layers: int, dropout: float, reader: Callable[..., Reader]) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.layers = cast("Sequence[Reader]", nn.ModuleList(reader(width=width) for _ in range(layers)))

    def forward(self, x: PackedSequence) -> PackedSequence:
        """Read packed embeddings (words, D) -> (words, D)."""
        for number, layer in enumerate(self.layers):
            x = layer(mapped(self.dropout, x) if number else x)[0]
        return x


class RecurrentDecoder(nn.Module):
    """Cells that also read what they last put out: input feeding (Luong et al. 2015, section 3.3)."""

    def __init__(
        self, *, width: int, layers: int, dropout: float, cell: Callable[..., Cell], attention: RecurrentAttention
    ) -> None:
        super().__init__()
        self.dropout, self.cross_attention = Dropout(dropout), attention
        self.cells = cast("Sequence[Cell]", nn.ModuleList(cell(inputs=width, width=width) for _ in range(layers)))
        self.feed = Map(width, self.cells[0].gates * width, bias=False)
        self.begin = Map(width, layers * self.cells[0].keeps * width)
        self.out = Map(2 * width, width)
        for linear, maps in (
            (self.feed, self.cells[0].gates),
            (self.begin, layers * self.cells[0].keeps),
            (self.out, 1),
        ):
            for weight in linear.weight.chunk(maps):
                nn.init.xavier_uniform_(weight)
        nn.init.zeros_(self.begin.bias)
        nn.init.zeros_(self.out.bias)

    def start(self, memory: Tensor, src_mask: Tensor) -> RecurrentState:
        """Begin where the encoder ended: memory (B, S, D), src_mask (B, 1, 1, S)."""
        summary = summarise(memory, src_mask)  # (B, D)
        kept = iter(self.begin(summary).tanh().split(memory.shape[2], dim=1))  # (B, D) each
        cells = tuple(tuple(next(kept) for _ in range(cell.keeps)) for cell in self.cells)
        return RecurrentState(src_mask, cells, torch.zeros_like(summary), *self.cross_attention.read(memory, summary))

    def forward(self, x: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Read embedded words x (B, T, D) in turn -> the outputs (B, T, D), and the state after the last one."""
        outputs = []
        for gates in self.cells[0].into(x).unbind(1):  # all that does not depend on earlier steps, in one product
            state = self._read(gates, state)
            outputs.append(state.output)
        return torch.stack(outputs, dim=1), state

    def _read(self, gates: Tensor, state: RecurrentState) -> RecurrentState:
        x = gates + self.feed(state.output)
        cells = [self.cells[0](x, state.cells[0])]
        for cell, kept in zip(self.cells[1:], state.cells[1:], strict=True):
            cells.append(cell(cell.into(self.dropout(cells[-1][0])), kept))
        h = cells[-1][0]  # (B, D)
        context = self.cross_attention(h, state.k, state.v, state.src_mask)  # (B, D)
        output = self.out(torch.cat((context, h), dim=1)).tanh()  # Luong et al. 2015, equation 5
        return replace(state, cells=tuple(cells), output=output)


class Recurrent(Seq2Seq[RecurrentState]):
    """Encoder and decoder."""

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        width: Width,
        encoder_layers: Layers,
        decoder_layers: Annotated[Layers, Field(ge=1)],
        dropout: Share,
        max_length: Length,
        cell: Option,
        attention: Option,
        shared_embeddings: bool = True,  # models that were saved before there was a choice lack it
    ) -> None:
        super().__init__()
        if width % 2:
            raise EntenteError(f"model: the encoder reads both ways, half of the width each: make width {width} even")
        self.vocabulary, self.width, self.max_length = vocabulary, width, max_length
        self.embedding = new_table(vocabulary, width)
        self.source_embedding = None if shared_embeddings else new_table(vocabulary, width)
        self.dropout = Dropout(dropout)
        self.encoder = RecurrentEncoder(
            width=width, layers=encoder_layers, dropout=dropout, reader=choose(READERS, cell, "model.cell")
        )
        self.decoder = RecurrentDecoder(
            width=width,
            layers=decoder_layers,
            dropout=dropout,
            cell=choose(CELLS, cell, "model.cell"),
            attention=choose(RECURRENT_ATTENTIONS, attention, "model.attention")(width=width),
        )

    def encode(self, src: Tensor, src_mask: Tensor) -> Tensor:
        """src (B, S) int64, src_mask (B, 1, 1, S) -> memory (B, S, D), 0 at padding, which is never read."""
        lengths = src_mask.flatten(1).sum(1).cpu()  # (B,)
        words = pack_padded_sequence(src, lengths, batch_first=True, enforce_sorted=False)
        memory = self.encoder(mapped(partial(self._embed, table=self.source_table), words))
        return pad_packed_sequence(memory, batch_first=True, total_length=src.shape[1])[0]

    def read(self, tgt_in: Tensor, memory: Tensor, src_mask: Tensor) -> Tensor:
        """tgt_in (B, T) int64, memory (B, S, D), src_mask (B, 1, 1, S) -> (B, T, D)."""
        outputs, _ = self.decoder(self._embed(tgt_in, self.embedding), self.start(memory, src_mask))
        return self.dropout(outputs)

    def start(self, memory: Tensor, src_mask: Tensor) -> RecurrentState:
        """Begin where the encoder ended, and make the keys of the memory (B, S, D) once for all words to come."""
        return self.decoder.start(memory, src_mask)

    def step(self, tokens: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """tokens (B,) int64 -> logits (B, V), and the state that has read them."""
        outputs, state = self.decoder(self._embed(tokens[:, None], self.embedding), state)
        return self.score(self.dropout(outputs[:, 0])), state

    def _embed(self, ids: Tensor, table: nn.Embedding) -> Tensor:
        # Scaled to variance 1, on which the gates act; the output wants the table small.
        return self.dropout(table(ids) * math.sqrt(self.width))


def summarise(memory: Tensor, src_mask: Tensor) -> Tensor:
    """Join what either direction ends with: memory (B, S, D), src_mask (B, 1, 1, S) -> (B, D)."""
    half = memory.shape[2] // 2
    last = src_mask.flatten(1).sum(1) - 1  # (B,)
    rows = torch.arange(len(memory), device=memory.device)
    return torch.cat((memory[rows, last, :half], memory[:, 0, half:]), dim=1)


def mapped(change: Callable[[Tensor], Tensor], words: PackedSequence) -> PackedSequence:
    """Change the words of packed sentences, each by itself."""
    return PackedSequence(change(words.data), words.batch_sizes, words.sorted_indices, words.unsorted_indices)
