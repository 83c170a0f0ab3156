"""Several networks that translate as one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor, nn

from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator, load_subwords
from entente.device import find_device
from entente.errors import EntenteError
from entente.model import weights
from entente.model.seq2seq import Seq2Seq, State


@dataclass(frozen=True)
class Together:
    """The states of all members, which hold the same hypotheses."""

    states: tuple[State, ...]

    def expand(self, hypotheses: int) -> Self:
        """Make `hypotheses` of each, in every state."""
        return type(self)(tuple(state.expand(hypotheses) for state in self.states))

    def reorder(self, rows: Tensor) -> Self:
        """Keep the hypotheses `rows` (R,) of every state."""
        return type(self)(tuple(state.reorder(rows) for state in self.states))

    def select(self, rows: Tensor) -> Self:
        """Keep the hypotheses `rows` (A N,) of every state, and their sentences."""
        return type(self)(tuple(state.select(rows) for state in self.states))


class Ensemble(Seq2Seq[Together]):
    """Expects of the next word the mean of what its members expect (Sutskever et al. 2014, section 3.6).

    Members may be of any kind and size, with one vocabulary. Raises EntenteError where they differ in it, or there are
    none. What members make of a sentence lies side by side in the last dimension. It translates; it is not trained.
    """

    def __init__(self, members: Sequence[Seq2Seq]) -> None:
        super().__init__()
        if len({member.vocabulary for member in members}) != 1:
            raise EntenteError(
                f"an ensemble of networks with {', '.join(str(member.vocabulary) for member in members) or 'no'} "
                "pieces: its members must share one vocabulary"
            )
        self.members = cast("Sequence[Seq2Seq]", nn.ModuleList(members))
        self.vocabulary = members[0].vocabulary
        self.max_length = min(member.max_length for member in members)
        self.widths = [member.width for member in members]
        self.width = sum(self.widths)

    def encode(self, src: Tensor, src_mask: Tensor) -> Tensor:
        """src (B, S) int64, src_mask (B, 1, 1, S) -> memories (B, S, D)."""
        return torch.cat([member.encode(src, src_mask) for member in self.members], -1)

    def read(self, tgt_in: Tensor, memory: Tensor, src_mask: Tensor) -> Tensor:
        """tgt_in (B, T) int64, memory (B, S, D), src_mask (B, 1, 1, S) -> (B, T, D)."""
        memories = self._apart(memory)
        return torch.cat(
            [member.read(tgt_in, own, src_mask) for member, own in zip(self.members, memories, strict=True)], -1
        )

    def start(self, memory: Tensor, src_mask: Tensor) -> Together:
        """Begin each: memory (B, S, D), src_mask (B, 1, 1, S)."""
        memories = self._apart(memory)
        return Together(tuple(member.start(own, src_mask) for member, own in zip(self.members, memories, strict=True)))

    def step(self, tokens: Tensor, state: Together) -> tuple[Tensor, Together]:
        """tokens (B,) int64 -> log-probabilities (B, V), and the states that have read them."""
        found = [member.step(tokens, own) for member, own in zip(self.members, state.states, strict=True)]
        return _mean([logits for logits, _ in found]), Together(tuple(own for _, own in found))

    def score(self, x: Tensor) -> Tensor:
        """Score every word of the vocabulary: x (..., D) -> log-probabilities (..., V)."""
        return _mean([member.score(own) for member, own in zip(self.members, self._apart(x), strict=True)])

    def _apart(self, joined: Tensor) -> tuple[Tensor, ...]:
        return joined.split(self.widths, -1)  # type: ignore[no-untyped-call]


def load_together(folders: Sequence[Path], device: str, decoding: Decoding) -> Translator:
    """Load one training, or several that translate together, onto `device` as Translator.load does.

    Raises EntenteError as that does, and where the subwords of several differ.
    """
    where = find_device(device)
    subwords = [load_subwords(folder) for folder in folders]
    for folder, own in zip(folders, subwords, strict=True):
        if own.digest != subwords[0].digest:
            raise EntenteError(
                f"{folder} has other subwords than {folders[0]}: those that translate together are trained on the same"
            )
    networks = [weights.load(folder) for folder in folders]
    return Translator(networks[0] if len(networks) == 1 else Ensemble(networks), subwords[0], decoding, where)


def _mean(logits: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean of the probabilities that each of the logits (..., V) gives."""
    return torch.stack([one.log_softmax(-1, dtype=torch.float32) for one in logits]).logsumexp(0) - math.log(
        len(logits)
    )
