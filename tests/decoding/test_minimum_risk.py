"""The translation that the others agree with most."""

import math

from entente.decoding.minimum_risk import least_risk
from entente.decoding.translator import Translation


def candidates(**probabilities: float) -> list[Translation]:
    return [Translation(text, 0.0, math.log(probability)) for text, probability in probabilities.items()]


def shared(one: str, other: str) -> float:
    return len(set(one) & set(other)) / len(set(one) | set(other))


def test_two_that_agree_outweigh_a_likelier_one_that_stands_alone() -> None:
    assert least_risk(candidates(xyz=0.4, abc=0.3, abd=0.29), shared).text == "abc"


def test_one_that_is_nearly_certain_stays() -> None:
    assert least_risk(candidates(xyz=0.9, abc=0.05, abd=0.05), shared).text == "xyz"


def test_where_only_sameness_counts_the_likeliest_is_chosen() -> None:
    assert least_risk(candidates(b=0.2, a=0.5, c=0.3), lambda one, other: float(one == other)).text == "a"


def test_expectations_are_exact_however_small_probabilities_are() -> None:
    tiny = [Translation(text, 0.0, log) for text, log in (("xyz", -5000.0), ("abc", -5000.1), ("abd", -5000.2))]
    assert least_risk(tiny, shared).text == "abc"


def test_of_equals_the_first_is_chosen() -> None:
    assert least_risk(candidates(b=0.5, a=0.5), lambda one, other: 1.0).text == "b"
