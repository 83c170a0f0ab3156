"""Batches: pairs of like length together, so that nearly every computed position is a real word."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from entente.text.encoded import Encoded
from entente.text.subwords import BOS, PAD

POOL, STRETCH = 1 << 20, 1 << 10  # pairs


@dataclass(frozen=True)
class Batch:
    """Padded pairs: src (B, S), src_mask (B, 1, 1, S) True = a word, tgt_in (B, T) from BOS on, tgt_out (B, T).

    `words` counts those of tgt_out, EOS among them: known before a GPU has to be asked for it.
    """

    src: Tensor
    src_mask: Tensor
    tgt_in: Tensor
    tgt_out: Tensor
    words: int

    def times(self, copies: int) -> Self:
        """Put `copies` of all pairs one after another; `words` counts each once."""
        return self if copies == 1 else self._each(lambda tensor: tensor.repeat(copies, *[1] * (tensor.ndim - 1)))

    def to(self, device: torch.device | str) -> Self:
        """Move all tensors to `device`."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """Lay all tensors where a GPU fetches them fast."""
        return self._each(Tensor.pin_memory)

    def _each(self, move: Callable[[Tensor], Tensor]) -> Self:
        src, src_mask, tgt_in, tgt_out = map(move, (self.src, self.src_mask, self.tgt_in, self.tgt_out))
        return replace(self, src=src, src_mask=src_mask, tgt_in=tgt_in, tgt_out=tgt_out)


def pad(sentences: Sequence[Sequence[int] | NDArray[np.integer]]) -> Tensor:
    """Lay sentences of ids side by side, padded at the end -> (B, longest) int64."""
    lengths = np.fromiter((len(sentence) for sentence in sentences), np.int64, len(sentences))
    ids = np.full((len(sentences), int(lengths.max(initial=0))), PAD, np.int64)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate(sentences) if len(sentences) else []
    return torch.from_numpy(ids)


def collate(pairs: Sequence[tuple[NDArray[np.integer], NDArray[np.integer]]]) -> Batch:
    """Make a batch of (source, target) ids, each ending with EOS."""
    src, tgt_out = pad([source for source, _ in pairs]), pad([target for _, target in pairs])
    tgt_in = torch.cat((torch.full((len(pairs), 1), BOS), tgt_out[:, :-1]), dim=1)
    tgt_in[tgt_out == PAD] = PAD  # where EOS would be read, which asks for nothing
    words = sum(len(target) for _, target in pairs)
    return Batch(src, (src != PAD)[:, None, None, :], tgt_in, tgt_out, words)


class Pairs(torch.utils.data.Dataset[tuple[NDArray[np.integer], NDArray[np.integer]]]):
    """Encoded sentence pairs, by number."""

    def __init__(self, source: Encoded, target: Encoded) -> None:
        self.source, self.target = source, target

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        return self.source[index], self.target[index]


class TokenBudgetBatches:
    """Batches, as numbers of rows, of at most `tokens` padded words on either side.

    A pair has `segmentations` rows, one after another, of which every epoch has one, at random.

    Pairs are sorted by target length, and those of one by source length, upwards and downwards in turn, so that
    sources are alike too where one target length ends and the next begins; ties are in random order. They are cut
    into batches, and the batches shuffled: a pure function of seed and epoch, so that an interrupted training goes on
    where it stopped. Where an update takes several batches (`multiple`), the last ones that do not fill an update
    wait for another epoch.

    Of a large corpus not more than about `POOL` pairs are sorted together, drawn from everywhere in stretches of
    `STRETCH`: the first batch is there within a second, however many pairs there are.
    """

    def __init__(
        self,
        source_lengths: NDArray[np.integer],
        target_lengths: NDArray[np.integer],
        *,
        tokens: int,
        seed: int,
        multiple: int,
        segmentations: int = 1,
    ) -> None:
        self.source_lengths, self.target_lengths = source_lengths, target_lengths
        self.tokens, self.seed, self.multiple, self.segmentations = tokens, seed, multiple, segmentations

    def epoch(self, number: int) -> list[list[int]]:
        """Return all batches of epoch 0, 1, 2, ..., in order."""
        return list(self.stream(number))

    def stream(self, number: int) -> Iterator[list[int]]:
        """Yield the batches of an epoch, in order, planning one pool of pairs after another."""
        for planned in self._pools(number):
            yield from (batch.tolist() for batch in planned)

    def _pools(self, number: int) -> Iterator[list[NDArray[np.intp]]]:
        pairs = len(self.source_lengths) // self.segmentations
        if pairs <= POOL:
            yield self._plan(np.arange(pairs), np.random.default_rng((self.seed, number)))
            return
        stretches = np.random.default_rng((self.seed, number)).permutation(-(-pairs // STRETCH))
        for pool, drawn in enumerate(np.array_split(stretches, -(-pairs // POOL))):
            members = (drawn[:, None] * STRETCH + np.arange(STRETCH)).ravel()
            yield self._plan(members[members < pairs], np.random.default_rng((self.seed, number, pool)))

    def _plan(self, pairs: NDArray[np.intp], random: np.random.Generator) -> list[NDArray[np.intp]]:
        rows = pairs * self.segmentations  # the first of each pair
        if self.segmentations > 1:
            rows += random.integers(self.segmentations, size=len(rows))
        source, target = self.source_lengths[rows], self.target_lengths[rows]
        there_and_back = np.where(target % 2, 1, -1) * source.astype(np.int64)
        order = np.lexsort((random.random(len(rows)), there_and_back, target))
        batches = list(self._cut(rows[order]))  # views of one array: numbers as Python has them take five times as much
        random.shuffle(batches)
        whole = len(batches) - len(batches) % self.multiple
        return batches[: whole or len(batches)]

    def _cut(self, order: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        source, target = self.source_lengths[order], self.target_lengths[order]
        start = 0
        while start < len(order):
            most = max(1, self.tokens // max(1, int(source[start]), int(target[start])))  # if none was longer
            window = slice(start, start + most)
            longest = np.maximum.accumulate(np.maximum(source[window], target[window]))
            rows = np.arange(1, len(longest) + 1)
            fit = max(1, int(np.searchsorted(longest * rows, self.tokens, side="right")))
            yield order[start : start + fit]
            start += fit


class EndlessBatches(Sampler[list[int]]):
    """The batches of epoch after epoch: number `start`, counted from the first of the first, and each `step`th on."""

    def __init__(self, batches: TokenBudgetBatches, start: int, step: int = 1) -> None:
        self.batches, self.start, self.step = batches, start, step

    def __iter__(self) -> Iterator[list[int]]:
        endless = chain.from_iterable(map(self.batches.stream, count()))
        return islice(endless, self.start, None, self.step)
