"""The Transformer whose decoder may look ahead: what the causal mask is there to prevent."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from entente.model.cache import SharedSource
from entente.model.masks import padding_mask
from entente.model.transformer import TransformerNetwork

PAD = 0  # as seq2seq's contract has it


@dataclass(frozen=True)
class Prefix(SharedSource):
    """The targets so far, ids (R, t), and the memory (R/N, S, D)."""

    memory: Tensor
    ids: Tensor

    def reorder(self, rows: Tensor) -> Self:
        """Keep the targets `rows` (R,)."""
        return replace(self, ids=self.ids.index_select(0, rows))

    def of_sources(self, rows: Tensor) -> Self:
        """Keep the memories `rows` (A,)."""
        return replace(self, memory=self.memory.index_select(0, rows))


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
        return Prefix(src_mask, memory, torch.empty(len(memory), 0, dtype=torch.int64, device=memory.device))

    def step(self, tokens: Tensor, state: Prefix) -> tuple[Tensor, Prefix]:
        """tokens (B,) int64 -> logits (B, V) after the whole prefix, read anew."""
        ids = torch.cat((state.ids, tokens[:, None]), 1)  # (B, t + 1)
        x = self.read(ids, state.memory, state.src_mask)[:, -1]  # (B, D): only the newest word is scored
        return self.score(x), replace(state, ids=ids)
