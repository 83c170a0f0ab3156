"""What trained networks answered, and the samples of it that a measure is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from entente.errors import EntenteError
from entente.evaluation.scores import Floats, bleu_of
from entente.evaluation.translations import Translations


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network made of one probe: whether it wrote the right answer, and finds it likelier than the foil."""

    phenomenon: str
    longer: bool
    right: bool
    preferred: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trained and evaluated network: its figures as logged, its translations by test set, its answers."""

    ablation: str
    seed: int
    figures: Mapping[str, float]
    translations: Mapping[str, Translations]
    answers: Sequence[Answer]

    def __str__(self) -> str:
        return f"{self.ablation} (seed {self.seed})"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a figure is made of, sentence by sentence."""

    asked: Sequence[object]  # (N,) the same of every network
    groups: Sequence[str]  # (N,) they keep their size when sentences are drawn anew
    statistics: Floats  # (N, C)
    figure: Callable[[Floats], Floats]  # sums of statistics (..., C) -> (...), 0 to 100

    @property
    def value(self) -> float:
        """The figure of the sentences as they are."""
        return float(self.figure(self.statistics.sum(0)))


def sample(outcome: Outcome, measure: str) -> Sample:
    """Return what a figure is made of; EntenteError for an unknown measure, and where there is nothing to measure."""
    match measure.split("/"):
        case ["test", test, "bleu"]:
            return _translated(outcome, test)
        case ["test", test, "bleu", "over", words]:
            return _translated(outcome, test, over=int(words))
        case ["test", test, "all_references", "bleu"]:
            return _translated(outcome, test, every=True)
        case ["probes", "mean" | "mean_longer" as mean]:
            return _answered(outcome, mean == "mean_longer", None)
        case ["probes" | "choices" as asked, "within" | "longer" as lengths, phenomenon]:
            return _answered(outcome, lengths == "longer", phenomenon, choices=asked == "choices")
    known = (
        "test/TEST_SET/bleu, test/TEST_SET/bleu/over/WORDS, test/TEST_SET/all_references/bleu, probes/mean, "
        "probes/mean_longer, probes/within/PHENOMENON, probes/longer/PHENOMENON, and choices/ in place of probes/"
    )
    raise EntenteError(f"no measure {measure!r}: there are {known}")


def _translated(outcome: Outcome, test: str, every: bool = False, over: int = -1) -> Sample:
    """Sample the BLEU of a test set's sources of more than `over` words, by the first reference or by every one."""
    if test not in outcome.translations:
        there = ", ".join(sorted(outcome.translations)) or "none"
        raise EntenteError(f"{outcome} has no translations of test set {test!r}; it has: {there}")
    own = outcome.translations[test]
    rows = [row for row, words in enumerate(own.words) if words > over]
    if not rows:
        raise EntenteError(f"{outcome}: no source of test set {test!r} has more than {over} words")
    statistics = (own.every if every else own.first)[rows].astype(np.float64)  # (N, 10)
    return Sample([own.asked[row] for row in rows], [test] * len(rows), statistics, bleu_of)


def _answered(outcome: Outcome, longer: bool, phenomenon: str | None, choices: bool = False) -> Sample:
    """Sample the accuracy in one phenomenon or the mean over all, within the lengths seen or beyond.

    Of answers as they were written, or of `choices` between the right one and its foil.
    """
    there = [answer for answer in outcome.answers if answer.longer == longer]
    answers = [answer for answer in there if phenomenon in (None, answer.phenomenon)]
    if not answers:
        names = ", ".join(sorted({answer.phenomenon for answer in there})) or "none"
        of, where = f" of {phenomenon!r}" if phenomenon else "", "beyond" if longer else "within"
        raise EntenteError(f"{outcome} has no answers to probes{of} {where} the lengths seen; it has: {names}")
    groups = [answer.phenomenon for answer in answers]
    asked = np.array([[group == name for name in sorted(set(groups))] for group in groups], np.float64)
    right = asked * np.array([[answer.preferred if choices else answer.right] for answer in answers])
    return Sample(groups, groups, np.concatenate([right, asked], axis=1), _accuracy)


def _accuracy(sums: Floats) -> Floats:
    """Return the mean over P phenomena (...), 0 to 100, of right answers and of probes (..., 2 P)."""
    right, asked = np.split(sums, 2, axis=-1)
    return np.asarray(100 * (right / asked).mean(axis=-1))
