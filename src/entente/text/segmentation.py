"""Sentences cut into pieces in more ways than one: subword regularisation.

No piece crosses a space, so a random segmentation of a sentence is one of each of its words. SentencePiece's own
sampling is not used: what it draws differs from process to process, whatever the seed (0.2.3).
"""

import random
import zlib
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from entente.errors import EntenteError
from entente.text.subwords import SPACE, Subwords

LIKELIEST = 64  # segmentations of a word that can be drawn (Kudo's l, 2018, section 3.3, counts those of a sentence)
DRAWS = 32  # of byte-pair merges with dropout that stand for all of a word's
WORDS = 2**13  # whose segmentations are remembered, some 10 KiB each


@dataclass(frozen=True)
class Segmentation:
    """How to cut sentences into pieces: once, as suits best, and `each` - 1 times more at random, by `alpha`."""

    each: int
    alpha: float

    def __post_init__(self) -> None:
        """Refuse what cuts nothing."""
        if self.each < 1:
            raise EntenteError(f"segmentation.each is {self.each}; choose at least 1")
        if not 0 <= self.alpha <= 1:
            raise EntenteError(f"segmentation.alpha is {self.alpha}; choose a number from 0 to 1")


BEST = Segmentation(each=1, alpha=0.0)


class Sampler:
    """Draws segmentations.

    A unigram model's with their probability to the power of `alpha` (Kudo 2018, P18-1007, section 3.3); of byte pairs
    those in which each merge was left out with probability `alpha` (Provilkov et al. 2020, 2020.acl-main.170).
    """

    def __init__(self, subwords: Subwords, alpha: float) -> None:
        self.subwords, self.alpha = subwords, alpha
        self._cuts = lru_cache(WORDS)(self._of_word)

    def draw(self, sentences: Sequence[str], generator: np.random.Generator) -> list[list[int]]:
        """Return the ids of a random segmentation of each sentence, without BOS or EOS; sentences come normalised."""
        rows = []
        for sentence in sentences:
            words = [word for word in sentence.replace(SPACE, " ").split(" ") if word]
            ids: list[int] = []
            for word, chance in zip(words, generator.random(len(words)).tolist(), strict=True):
                cuts, sums = self._cuts(word)
                ids += cuts[bisect(sums, chance)]
            rows.append(ids)
        return rows

    def _of_word(self, word: str) -> tuple[list[list[int]], list[float]]:
        """Return ways to cut a word, and the sums of the probabilities of all but the last from the first on."""
        if self.subwords.merges:
            chance = random.Random(zlib.crc32(word.encode()))
            cuts = [self.subwords.merge(word, lambda: chance.random() >= self.alpha) for _ in range(DRAWS)]
            shares = np.full(DRAWS, 1 / DRAWS)
        else:
            cuts, log_probabilities = self.subwords.likeliest(word, LIKELIEST)
            shares = np.exp(self.alpha * (np.array(log_probabilities) - max(log_probabilities)))
        return cuts, np.cumsum(shares / shares.sum())[:-1].tolist()
