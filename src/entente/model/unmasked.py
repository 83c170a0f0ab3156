"""The Transformer whose decoder may look ahead: what the causal mask is there to prevent."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from entente.model.cache import sentences
from entente.model.masks import padding_mask
from entente.model.transformer import TransformerNetwork

PAD = 0  # as seq2seq's contract has it


@dataclass(frozen=True)
class Prefix:
    """The targets so far, ids (R, t), with the memory (R/N, S, D) and its mask (R/N, 1, 1, S)."""

    ids: Tensor
    memory: Tensor
    src_mask: Tensor
    hypotheses: int = 1  # N

    def expand(self, hypotheses: int) -> Self:
        """Make `hypotheses` of each."""
        ids = self.ids.repeat_interleave(hypotheses, 0)
        return replace(self, ids=ids, hypotheses=self.hypotheses * hypotheses)

    def reorder(self, rows: Tensor) -> Self:
        """Keep `rows` (R,), each from its own sentence."""
        return replace(self, ids=self.ids.index_select(0, rows))

    def select(self, rows: Tensor) -> Self:
        """Keep `rows` (A N,) and their sources."""
        whose = sentences(rows, self.hypotheses)
        memory, src_mask = self.memory.index_select(0, whose), self.src_mask.index_select(0, whose)
        return replace(self.reorder(rows), memory=memory, src_mask=src_mask)


class UnmaskedTransformer(TransformerNetwork[Prefix]):
    """A Transformer without a causal mask: in training, word t sees the word t + 1 that it is asked for.

    Earlier states change as words are added, so there is no cache: each step reads the whole prefix again.
    """

    causal = False

    def target_mask(self, tgt_in: Tensor) -> Tensor:
        """Hide padding alone: tgt_in (B, T) -> (B, 1, 1, T)."""
        return padding_mask(tgt_in, PAD)

    def start(self, memory: Tensor, src_mask: Tensor) -> Prefix:
        """Begin with nothing read: memory (B, S, D), src_mask (B, 1, 1, S)."""
        return Prefix(torch.empty(len(memory), 0, dtype=torch.int64, device=memory.device), memory, src_mask)

    def step(self, tokens: Tensor, state: Prefix) -> tuple[Tensor, Prefix]:
        """tokens (B,) int64 -> logits (B, V) after the whole prefix, read anew."""
        ids = torch.cat((state.ids, tokens[:, None]), 1)  # (B, t + 1)
        x = self.read(ids, state.memory, state.src_mask)[:, -1]  # (B, D): only the newest word is scored
        return self.score(x), replace(state, ids=ids)
