"""Minimum Bayes risk decoding: not the likeliest translation, but the one that the others agree with most."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from entente.decoding.translator import Translation, Translator

Utility = Callable[[str, str], float]  # how good a translation is where another is right


def least_risk(candidates: Sequence[Translation], utility: Utility) -> Translation:
    """Return the candidate with the highest expected `utility` (Kumar and Byrne 2004, N04-1022, over n-best lists).

    What is expected is weighed by the candidates' own probabilities, made to sum to 1; of equals the first.
    """
    top = max(candidate.log_probability for candidate in candidates)
    weights = [math.exp(candidate.log_probability - top) for candidate in candidates]

    def expected(candidate: Translation) -> float:
        return math.fsum(
            weight * utility(candidate.text, other.text) for weight, other in zip(weights, candidates, strict=True)
        )

    return max(candidates, key=expected)


def translate(translator: Translator, sentences: Iterable[str], utility: Utility) -> Iterator[str]:
    """Yield of each sentence, in order, the translation of least risk among those that the beam ended with."""
    for candidates in translator.hypotheses(sentences, translator.decoding.beam):
        yield least_risk(candidates, utility).text
