"""Probes: minimal pairs, each sentence with its French and with a foil, a French one that is wrong for it.

A foil is either the French of the other sentence of the pair, or that of a spoilt one (see contrasts).
"""

from dataclasses import dataclass

from entente.text.grammar import english
from entente.text.grammar.coherence import coherent
from entente.text.grammar.contrasts import CONTRASTS
from entente.text.grammar.french import French
from entente.text.grammar.sampling import Sampler
from entente.text.grammar.syntax import Sentence, Undetermined


@dataclass(frozen=True)
class Probe:
    """A source with its one right French answer and a wrong one. `longer`: beyond what training shows."""

    phenomenon: str
    source: str
    target: str
    foil: str
    longer: bool


def _judged(phenomenon: str, sentence: Sentence, other: Sentence, wrong: Sentence | None) -> Probe:
    target = French(sentence).write()
    foil = French(wrong or other, smooth=phenomenon != "elision_contraction").write()
    if foil == target:
        raise Undetermined("a foil that is right")
    return Probe(phenomenon, english.write(sentence), target, foil, phenomenon.endswith("longer"))


def minimal_pair(sampler: Sampler, phenomenon: str, sentence: Sentence) -> tuple[Sentence, Sentence, Probe, Probe]:
    """A sentence, its contrast, and the probe of each; `Undetermined` if this sentence has no good contrast."""
    other, wrong = CONTRASTS[phenomenon](sampler, sentence)
    coherent(other)
    first = _judged(phenomenon, sentence, other, wrong)
    second_wrong = _spoilt_partner(phenomenon, sampler, other) if wrong is not None else None
    second = _judged(phenomenon, other, sentence, second_wrong)
    if first.source == second.source:
        raise Undetermined("no contrast")
    return sentence, other, first, second


def _spoilt_partner(phenomenon: str, sampler: Sampler, other: Sentence) -> Sentence:
    for _ in range(50):
        try:
            wrong = CONTRASTS[phenomenon](sampler, other)[1]
        except Undetermined:
            continue
        assert wrong is not None
        return wrong
    raise Undetermined(phenomenon)
