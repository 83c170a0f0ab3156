"""A sentence's translation does not depend on what is translated beside it, nor on how much of it is padding."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from entente.decoding.translator import Translation, Translator

BATCHES = (100, 1000, 10000)  # source pieces of a batch, padding included
IDENTICAL = 0.999  # of the sentences at least: a beam may meet a tie, which rounding decides
WITHIN = 1e-4  # scores of identical translations


@dataclass(frozen=True)
class Compared:
    """How many of `sentences` are translated as they are alone, and how far the scores of those are apart at most."""

    way: str
    sentences: int
    identical: int
    apart: float

    def holds(self) -> bool:
        """Say whether that is as it has to be."""
        return self.identical >= IDENTICAL * self.sentences and self.apart <= WITHIN


def compare(translator: Translator, sentences: Sequence[str], seed: int) -> list[Compared]:
    """Translate sentences one by one, then in batches of several sizes, in order and shuffled by `seed`."""
    alone = [_best(translator, [sentence])[0] for sentence in tqdm(sentences, "translating alone", unit=" sentences")]
    shuffled = list(range(len(sentences)))
    random.Random(seed).shuffle(shuffled)
    found = []
    for tokens in BATCHES:
        decoding = replace(translator.decoding, batch_tokens=tokens)
        batched = Translator(translator.network, translator.subwords, decoding, translator.device)
        for name, order in (("in order", range(len(sentences))), ("shuffled", shuffled)):
            together = _best(batched, [sentences[number] for number in order])
            pairs = [(alone[number], one) for number, one in zip(order, together, strict=True)]
            apart = [abs(one.score - other.score) for one, other in pairs if one.text == other.text]
            found.append(Compared(f"{tokens} pieces, {name}", len(pairs), len(apart), max(apart, default=0.0)))
    return found


def _best(translator: Translator, sentences: Sequence[str]) -> list[Translation]:
    return [best for (best,) in translator.hypotheses(sentences, 1)]
