"""Ablations against the baseline: means over seeds, differences, and what chance alone could make of them.

Two things could have fallen out otherwise. The sentences are drawn anew, the same for both networks (paired
bootstrap, Koehn 2004, W04-3250). The seeds' share is drawn from the t distribution of their mean, as a t-test
would: drawing a handful of seeds anew understates it (three that agree in sign could never do otherwise).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct, t

from entente.errors import EntenteError
from entente.evaluation.outcomes import Outcome, Sample, sample
from entente.evaluation.scores import Floats

BASELINE = "baseline"
LEVEL, POWER = 0.05, 0.8
RESAMPLES = 2000
_LOGGED = "parameters", "train/tokens_per_second", "decode/sentences_per_second"
_SEED = 1  # of the bootstrap: the same outcomes make the same report
_CHUNK = 250  # resamples held in memory at a time
_TIE = 1 - 1e-9  # what differs by rounding only is a tie

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One ablation by one measure, 0 to 100. Intervals are 95%; the baseline is compared with nothing.

    interval: of the mean over seeds, by t; none with one seed. difference_interval, p (two-sided) and p_holm (p
    corrected for the rows of the table): over seeds and sentences. Where both sides have one seed they speak
    of these two networks alone: another seed may turn them. Speeds: tokens a second in training, sentences a
    second in decoding. Figures that were not logged are None.
    """

    ablation: str
    seeds: int
    mean: float
    interval: Interval | None
    difference: float
    difference_interval: Interval | None
    p: float | None
    p_holm: float | None
    parameters: float | None
    training_speed: float | None
    decoding_speed: float | None

    @property
    def verdict(self) -> str:
        """Say `better` or `worse` than the baseline, `undecided`, or `baseline`."""
        if self.p_holm is None:
            return BASELINE
        if self.p_holm >= LEVEL:
            return "undecided"
        return "better" if self.difference > 0 else "worse"

    @property
    def p_text(self) -> str:
        """Write the corrected p for people; nothing for the baseline."""
        return "" if self.p_holm is None else p_text(self.p_holm)


def compare(outcomes: Sequence[Outcome], measure: str, resamples: int = RESAMPLES) -> list[Row]:
    """Compare every ablation with the baseline: its row first, then the others, the best on top.

    `measure` is the name of the figure that evaluation logs: `test/{test set}/bleu`,
    `test/{test set}/all_references/bleu`, `probes/mean`, `probes/mean_longer` (every phenomenon weighs the same),
    `probes/within/{phenomenon}` or `probes/longer/{phenomenon}`; also `test/{test set}/bleu/over/{words}` for
    sources of more words, and `choices/...` for `probes/...` by what is preferred to its foil. Raises EntenteError
    for any other, where there is no baseline, a network stands twice, or one was asked something else.
    """
    samples = _samples(outcomes, measure)
    figures: dict[str, dict[int, Floats]] = {}  # ablation -> seed -> (1 + R,)
    columns = zip(outcomes, _drawn(samples, resamples).T, strict=True)
    for outcome, column in sorted(columns, key=lambda pair: pair[0].seed):
        figures.setdefault(outcome.ablation, {})[outcome.seed] = column
    others = [name for name in figures if name != BASELINE]
    found = {name: _difference(figures[name], figures[BASELINE]) for name in others}
    corrected = dict(zip(others, holm([found[name][2] for name in others]), strict=True))
    rows = []
    for name, own in figures.items():
        of_seeds = [float(column[0]) for column in own.values()]
        difference, around, p = found.get(name, (0.0, None, None))
        logged = [outcome.figures for outcome in outcomes if outcome.ablation == name]
        means = [_mean(logged, figure) for figure in _LOGGED]
        chance = difference, around, p, corrected.get(name)
        rows.append(Row(name, len(own), fmean(of_seeds), interval(of_seeds), *chance, *means))
    return sorted(rows, key=lambda row: (row.ablation != BASELINE, -row.mean, row.ablation))


def holm(values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, in their order (Holm 1979, Scandinavian Journal of Statistics 6)."""
    corrected = [0.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = highest
    return corrected


def interval(of_seeds: Sequence[float]) -> Interval | None:
    """Return the 95% interval of a mean over seeds, by t; none with one seed."""
    if len(of_seeds) == 1:
        return None
    mean = fmean(of_seeds)
    half = float(t.isf(LEVEL / 2, len(of_seeds) - 1)) * stdev(of_seeds) / len(of_seeds) ** 0.5
    return mean - half, mean + half


def p_text(p: float) -> str:
    """Write a p-value for people: three digits, and never 0."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def detectable(seeds: int, comparisons: int, deviation: float) -> float:
    """Return the least difference between two means of so many seeds that is found 8 times in 10; inf for one seed.

    Found: by a two-sided t-test at 5%, corrected for so many comparisons (Holm's first step, which is Bonferroni's).
    deviation: the standard deviation between seeds, in the unit of the result. Power by the noncentral t (Cohen 1988).
    """
    if seeds < 2:
        return float("inf")
    freedom = 2 * (seeds - 1)
    critical = t.isf(LEVEL / comparisons / 2, freedom)

    def shortfall(shift: float) -> float:
        return float(nct.sf(critical, freedom, shift) - POWER)  # the other tail adds nothing at such a power

    shift = brentq(shortfall, 0, 10 * (critical + 1))
    return float(shift * deviation * np.sqrt(2 / seeds))


def _samples(outcomes: Sequence[Outcome], measure: str) -> list[Sample]:
    """Sample every network, sure that all were asked the same as the baseline and that none stands twice."""
    names = [outcome.ablation for outcome in outcomes]
    if BASELINE not in names:
        there = ", ".join(sorted(set(names))) or "none"
        raise EntenteError(f"no {BASELINE!r} to compare with: train it too, on the same corpus; ablations: {there}")
    twice = [outcome for outcome, count in Counter(map(str, outcomes)).items() if count > 1]
    if twice:
        raise EntenteError(f"{', '.join(twice)} stands twice among the networks to compare: keep one of them")
    samples = [sample(outcome, measure) for outcome in outcomes]
    first = names.index(BASELINE)
    asked = samples[first].asked
    for outcome, own in zip(outcomes, samples, strict=True):
        if len(own.asked) != len(asked):
            sizes = f"{len(own.asked)} sentences and {len(asked)}"
            raise EntenteError(f"{measure}: {outcome} and {outcomes[first]} were evaluated on {sizes}")
        for number, (one, other) in enumerate(zip(own.asked, asked, strict=True), start=1):
            if one != other:
                where = f"number {number} is another"
                raise EntenteError(f"{measure}: {outcome} and {outcomes[first]} were not asked the same: {where}")
    return samples


def _drawn(samples: Sequence[Sample], resamples: int) -> Floats:
    """Return figures (1 + R, networks): as they are, then over R draws of sentences, the same for all networks."""
    groups = np.array(samples[0].groups)
    members = [np.flatnonzero(groups == group) for group in sorted(set(samples[0].groups))]
    random = np.random.default_rng(_SEED)
    figures = [_figures(samples, np.ones((1, len(groups))))]
    for start in range(0, resamples, _CHUNK):
        count = min(_CHUNK, resamples - start)
        drawn = [rows[random.integers(len(rows), size=(count, len(rows)))] for rows in members]
        places = np.concatenate(drawn, axis=1) + len(groups) * np.arange(count)[:, None]  # (count, N) in a flat table
        weights = np.bincount(places.ravel(), minlength=count * len(groups)).reshape(count, len(groups))
        figures.append(_figures(samples, weights.astype(np.float64)))
    return np.concatenate(figures)


def _figures(samples: Sequence[Sample], weights: Floats) -> Floats:
    """Return figures (R, networks) where each sentence counts as often as weights (R, N) say."""
    return np.stack([sample.figure(weights @ sample.statistics) for sample in samples], axis=1)


def _difference(one: Mapping[int, Floats], other: Mapping[int, Floats]) -> tuple[float, Interval, float]:
    """Compare figures (1 + R,) by seed -> difference of the means, its interval, and p of so large a one by chance.

    Interval and p agree: the interval leaves out 0 where p < 0.05, and only there. p is never 0 (Davison and
    Hinkley 1997, 4.2.5).
    """
    differences = np.mean(list(one.values()), axis=0) - np.mean(list(other.values()), axis=0)  # (1 + R,)
    difference, resampled = float(differences[0]), differences[1:]
    error, freedom = _seeds_error(one, other)
    if error > 0:
        # Evenly spaced quantiles in random order: as drawn from t, but without luck in its tails.
        levels = (np.random.default_rng(_SEED).permutation(len(resampled)) + 0.5) / len(resampled)
        resampled = resampled + error * t.ppf(levels, freedom)
    off = np.abs(resampled - difference)
    p = float(1 + np.sum(off >= abs(difference) * _TIE)) / (1 + len(off))
    half = float(np.quantile(off, 1 - LEVEL, method="higher"))
    return difference, (difference - half, difference + half), p


def _seeds_error(one: Mapping[int, Floats], other: Mapping[int, Floats]) -> tuple[float, float]:
    """Return the standard error that seeds give a difference of means, and its degrees of freedom.

    Welch's (1947): the same seed in two architectures makes no pair. A side with one seed is taken to vary as the
    other does; where both have one nothing is known, and the error is 0.
    """
    sides = [[float(column[0]) for column in side.values()] for side in (one, other)]
    sizes = [len(side) for side in sides]
    if max(sizes) == 1:
        return 0.0, 1.0
    if min(sizes) == 1:
        most = sides[sizes.index(max(sizes))]
        return stdev(most) * (1 + 1 / len(most)) ** 0.5, len(most) - 1.0
    squares = [variance(side) / len(side) for side in sides]
    parts = sum(square**2 / (size - 1) for square, size in zip(squares, sizes, strict=True))
    return sum(squares) ** 0.5, sum(squares) ** 2 / parts if parts else 1.0


def _mean(logged: Sequence[Mapping[str, float]], name: str) -> float | None:
    """Return the mean of a figure over the seeds that have it."""
    values = [figures[name] for figures in logged if name in figures]
    return fmean(values) if values else None
