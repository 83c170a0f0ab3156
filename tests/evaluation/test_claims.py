import re
from collections.abc import Mapping, Sequence

import pytest

from entente.evaluation.claims import CLAIMS, Claim, Comparison, Evidence, Threshold, examine, verdict
from entente.evaluation.outcomes import Answer, Outcome

CLAIM = Claim("It helps.", "It does not.", [Comparison("without", "probes/mean", "worse")], [])


def outcome(ablation: str, seed: int, right: float) -> Outcome:
    answers = [Answer("negation", False, number < right * 200 + seed, True) for number in range(200)]
    return Outcome(ablation, seed, {}, {}, answers)


def outcomes(baseline: float, without: float, seeds: int) -> list[Outcome]:
    return [
        outcome(name, seed, right)
        for name, right in (("baseline", baseline), ("without", without))
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(
    ("baseline", "without", "seeds", "expected"),
    [
        (0.9, 0.3, 3, "holds"),
        (0.3, 0.9, 3, "refuted"),
        (0.5, 0.5, 3, "undecided"),
        (0.9, 0.3, 1, "undecided"),  # another seed might turn it
    ],
)
def test_a_verdict_follows_from_the_runs(baseline: float, without: float, seeds: int, expected: str) -> None:
    assert verdict(examine(CLAIM, outcomes(baseline, without, seeds), {})) == expected


def test_what_was_not_run_is_undecided_and_says_so() -> None:
    for claim in CLAIMS:
        evidence = examine(claim, [outcome("baseline", 1, 0.9)], {})
        assert verdict(evidence) == "undecided"
        assert all(one.figure in ("not run", "not measured") for one in evidence)


@pytest.mark.parametrize(
    ("figures", "finding"),
    [
        ({"x": [0.39, 0.4, 0.41]}, "supports"),
        ({"x": [0.59, 0.6, 0.61]}, "contradicts"),
        ({"x": [0.3, 0.4, 0.55]}, "undecided"),  # on its side by the mean, but chance reaches across
        ({"x": [0.4]}, "undecided"),  # another seed might turn it
        ({"x": []}, "undecided"),
        ({}, "undecided"),
        ({"exact": [0.5]}, "supports"),
        ({"exact": [0.51]}, "contradicts"),
    ],
)
def test_a_threshold_decides(figures: Mapping[str, Sequence[float]], finding: str) -> None:
    name = next(iter(figures), "x")
    (evidence,) = examine(Claim("", "", [], [Threshold("x", name, most=0.5, exact=name == "exact")]), [], figures)
    assert evidence.finding == finding


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (["supports", "supports"], "holds"),
        (["supports", "undecided"], "holds in part"),
        (["supports", "contradicts"], "holds in part"),
        (["undecided", "contradicts"], "refuted"),
        (["undecided"], "undecided"),
    ],
)
def test_the_rule(findings: Sequence[str], expected: str) -> None:
    assert verdict([Evidence("", "", finding) for finding in findings]) == expected  # type: ignore[arg-type]


def test_comparisons_of_a_claim_are_corrected_for_their_number() -> None:
    several = Claim("", "", [Comparison(name, "probes/mean", "worse") for name in ("without", "other", "third")], [])
    alone, corrected = (
        examine(claim, [*outcomes(0.5, 0.46, 3), *(outcome("other", seed, 0.46) for seed in range(3))], {})
        for claim in (CLAIM, several)
    )
    assert [one.finding for one in corrected] == ["supports", "supports", "undecided"]
    found, multiplied = (re.search(r"p (?:< )?([\d.]+)", one[0].figure) for one in (alone, corrected))
    assert found is not None
    assert multiplied is not None
    assert float(found[1]) < float(multiplied[1])
