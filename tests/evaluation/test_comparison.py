import random
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from entente.errors import EntenteError
from entente.evaluation.comparison import Row, compare, detectable, holm
from entente.evaluation.outcomes import Answer, Outcome
from entente.evaluation.scores import bleu, bleu_of, bleu_statistics
from entente.evaluation.translations import Translations, translations

BLEU = "test/test/bleu"
FRENCH = [
    "Le chat noir, qui est doux, dort sur le vieux lit.",
    "Je t'aime.",
    "L'homme ne mange pas de pommes ce matin.",
    "Où est-ce que les enfants sont allés hier soir ?",
    "Elle n'est pas contente de sa nouvelle maison.",
    "Les 3 500 élèves ont lu « Le Petit Prince » à l'école.",
    "Oui.",
    "M. Martin prend-il le train de 8 h 15, comme d'habitude ?",
] * 10
WORDS = sorted({word for sentence in FRENCH for word in sentence.split()})


def garbled(seed: int, share: float) -> list[str]:
    """Put other words in place of a share of those of each sentence."""
    drawn = random.Random(seed)
    return [
        " ".join(drawn.choice(WORDS) if drawn.random() < share else word for word in sentence.split())
        for sentence in FRENCH
    ]


def translated(ablation: str, seed: int, hypotheses: Sequence[str]) -> Outcome:
    references = [[sentence, f"Ou : {sentence}"] for sentence in FRENCH]
    return Outcome(ablation, seed, {}, {"test": translations(FRENCH, hypotheses, references)}, [])


def answered(ablation: str, seed: int, right: Sequence[bool], longer: bool = False) -> Outcome:
    """Answer probes, the first three of every four about order, the last about negation."""
    names = ["negation" if number % 4 == 3 else "order" for number in range(len(right))]
    return Outcome(
        ablation, seed, {}, {}, [Answer(name, longer, one, one) for name, one in zip(names, right, strict=True)]
    )


def fixed(ablation: str, hits: Sequence[int]) -> list[Outcome]:
    """Answer so many of 20 probes right, by seed; each is a phenomenon of its own, so that none is drawn anew."""
    return [
        Outcome(ablation, seed, {}, {}, [Answer(f"{place:02}", False, place < hit, place < hit) for place in range(20)])
        for seed, hit in enumerate(hits)
    ]


def row(rows: Sequence[Row], ablation: str) -> Row:
    return next(row for row in rows if row.ablation == ablation)


def test_sums_of_statistics_give_the_bleu_of_any_choice_of_sentences() -> None:
    drawn = random.Random(1)
    others = garbled(7, 0.3)
    references = [[one, *([other] if drawn.random() < 0.5 else [])] for one, other in zip(FRENCH, others, strict=True)]
    for share in (0, 0.2, 0.6, 0.9, 1):
        hypotheses = [text if drawn.random() < 0.9 else "" for text in garbled(3, share)]
        statistics = bleu_statistics(hypotheses, references)
        for count in (1, 2, 5, 40, 80, 80):
            chosen = drawn.choices(range(len(FRENCH)), k=count)
            expected = bleu([hypotheses[one] for one in chosen], [references[one] for one in chosen])
            assert bleu_of(statistics[chosen].sum(axis=0)) == pytest.approx(expected, abs=1e-9)


def test_bleu_of_many_sums_at_once_is_that_of_each() -> None:
    statistics = bleu_statistics(garbled(1, 0.4), [[sentence] for sentence in FRENCH])
    sums = statistics.reshape(4, 2, 10, 10).sum(axis=2)
    assert bleu_of(sums).tolist() == [[float(bleu_of(one)) for one in pair] for pair in sums]
    assert bleu_of(np.zeros((1, 10))).tolist() == [0]
    assert bleu_of(bleu_statistics(["Non !"], [["Oui."]])).tolist() == [bleu(["Non !"], [["Oui."]])]


def test_identical_networks_differ_by_exactly_0_with_p_1() -> None:
    texts = [garbled(seed, 0.3) for seed in range(3)]
    outcomes = [translated(name, seed, texts[seed]) for name in ("baseline", "twin") for seed in range(3)]
    twin = row(compare(outcomes, BLEU), "twin")
    assert (twin.difference, twin.p, twin.p_holm) == (0, 1, 1)
    alone = row(compare([outcome for outcome in outcomes if outcome.seed == 0], BLEU), "twin")
    assert (alone.difference, alone.difference_interval, alone.p) == (0, (0, 0), 1)  # the same, sentence by sentence
    assert twin.verdict == "undecided"


def test_a_clearly_better_network_is_found_and_its_interval_leaves_out_0() -> None:
    outcomes = [translated("baseline", seed, garbled(seed, 0.4)) for seed in range(5)]
    outcomes += [translated("better", seed, garbled(seed + 9, 0.1)) for seed in range(5)]
    first, better = compare(outcomes, BLEU)
    assert better.p is not None
    assert 0 < better.p < 0.01
    assert better.difference_interval is not None
    assert better.difference_interval[0] > 0
    assert (first.verdict, better.verdict) == ("baseline", "better")
    assert better.difference == pytest.approx(better.mean - first.mean)
    assert (first.difference, first.difference_interval, first.p, first.p_holm) == (0, None, None, None)


def test_the_mean_is_that_of_sacrebleu_with_the_first_reference_or_all() -> None:
    texts = [garbled(seed, 0.3) for seed in range(3)]
    outcomes = [translated("baseline", seed, text) for seed, text in enumerate(texts)]
    references = [[sentence, f"Ou : {sentence}"] for sentence in FRENCH]
    first = [bleu(text, [own[:1] for own in references]) for text in texts]
    assert compare(outcomes, BLEU)[0].mean == pytest.approx(np.mean(first))
    every = [bleu(text, references) for text in texts]
    assert compare(outcomes, "test/test/all_references/bleu")[0].mean == pytest.approx(np.mean(every))


def test_the_interval_of_a_mean_is_that_of_scipy_and_one_seed_has_none() -> None:
    texts = [garbled(seed, 0.3) for seed in range(4)]
    values = [bleu(text, [[sentence] for sentence in FRENCH]) for text in texts]
    (whole,) = compare([translated("baseline", seed, text) for seed, text in enumerate(texts)], BLEU)
    expected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert whole.interval == pytest.approx(expected)
    (alone,) = compare([translated("baseline", 0, texts[0])], BLEU)
    assert (alone.seeds, alone.interval) == (1, None)


def test_where_only_seeds_matter_p_and_interval_are_those_of_a_t_test() -> None:
    one, other = [12, 15, 13, 16, 11], [15, 17, 13, 18, 15]
    found = row(compare(fixed("baseline", one) + fixed("other", other), "probes/mean"), "other")
    welch = stats.ttest_ind(other, one, equal_var=False)
    interval = welch.confidence_interval()
    assert found.p == pytest.approx(welch.pvalue, abs=2e-3)
    assert found.difference_interval == pytest.approx((5 * interval.low, 5 * interval.high), rel=0.02)
    strangers = [replace(outcome, seed=outcome.seed + 10) for outcome in fixed("other", other)]
    assert row(compare(fixed("baseline", one) + strangers, "probes/mean"), "other").p == found.p


def test_three_seeds_of_like_networks_seldom_seem_to_differ() -> None:
    # By chance 5 in 100; seeds that were drawn anew with replacement would make it more than 25.
    drawn = np.random.default_rng(5)
    found = 0
    for _ in range(200):
        one, other = drawn.integers(2, 19, size=(2, 3)).tolist()
        p = row(compare(fixed("baseline", one) + fixed("twin", other), "probes/mean", resamples=200), "twin").p
        found += p is not None and p < 0.05
    assert 2 <= found <= 20


def test_one_seed_against_many_is_taken_to_vary_as_they_do() -> None:
    many, near, far = fixed("baseline", [12, 15, 13, 16, 11]), fixed("near", [16]), fixed("far", [2])
    rows = compare(many + near + far, "probes/mean")
    assert (row(rows, "near").seeds, row(rows, "near").verdict, row(rows, "far").verdict) == (1, "undecided", "worse")


def test_one_seed_each_is_told_apart_by_sentences_alone() -> None:
    first = translated("baseline", 0, garbled(0, 0.3))
    slightly = [*first.translations["test"].hypotheses[:-2], "Oui.", "Non."]
    rows = compare([first, translated("near", 0, slightly), translated("far", 0, garbled(1, 0.7))], BLEU)
    assert (row(rows, "near").verdict, row(rows, "far").verdict) == ("undecided", "worse")


def test_p_is_never_0_and_no_more_than_1() -> None:
    rows = compare(fixed("baseline", [0]) + fixed("all", [20]) + fixed("none", [0]), "probes/mean", resamples=99)
    assert (row(rows, "all").p, row(rows, "none").p) == (1 / 100, 1)


def test_interval_and_p_agree() -> None:
    for seed in range(30):
        outcomes = [translated("baseline", 0, garbled(seed, 0.3)), translated("other", 0, garbled(seed + 50, 0.4))]
        found = row(compare(outcomes, BLEU, resamples=199), "other")
        assert found.p is not None
        assert found.difference_interval is not None
        low, high = found.difference_interval
        assert (found.p < 0.05) == (low > 0 or high < 0)


def test_neither_the_order_of_networks_nor_that_of_sentences_matters() -> None:
    outcomes = [translated(name, seed, garbled(seed, share)) for name, share in (("baseline", 0.3), ("other", 0.4))
                for seed in range(3)]  # fmt: skip
    rows = compare(outcomes, BLEU)
    assert compare(outcomes[::-1], BLEU) == rows
    order = random.Random(2).sample(range(len(FRENCH)), len(FRENCH))

    def mixed(own: Translations) -> Translations:
        return Translations(
            [own.asked[one] for one in order],
            [own.words[one] for one in order],
            [own.hypotheses[one] for one in order],
            own.first[order],
            own.every[order],
        )

    turned = [replace(outcome, translations={"test": mixed(outcome.translations["test"])}) for outcome in outcomes]
    for one, other in zip(rows, compare(turned, BLEU), strict=True):
        assert (one.ablation, one.mean, one.interval) == (other.ablation, other.mean, other.interval)
        assert one.p_holm == pytest.approx(other.p_holm, abs=0.02)


def test_a_row_hangs_on_no_other_row_but_for_the_correction() -> None:
    first, *others = [translated(name, 0, garbled(seed, 0.4)) for seed, name in enumerate(["baseline", "a", "b", "c"])]
    whole = compare([first, *others], BLEU)
    alone = row(compare([first, others[0]], BLEU), "a")
    assert replace(row(whole, "a"), p_holm=None) == replace(alone, p_holm=None)
    assert [row(whole, name).p_holm for name in "abc"] == holm([row(whole, name).p or 0 for name in "abc"])


def test_every_phenomenon_weighs_the_same_and_lengths_are_kept_apart() -> None:
    seen, beyond = answered("baseline", 0, [True, True, True, False] * 5), answered("", 0, [False] * 8, longer=True)
    both = replace(seen, answers=[*seen.answers, *beyond.answers])
    means = {name: compare([both], f"probes/{name}")[0].mean for name in ("mean", "within/order", "within/negation")}
    assert means == {"mean": 50, "within/order": 100, "within/negation": 0}
    assert compare([both], "probes/mean_longer")[0].mean == compare([both], "probes/longer/order")[0].mean == 0


def test_size_and_speed_are_means_of_what_was_logged() -> None:
    logged: list[dict[str, float]] = [{"parameters": 10, "train/tokens_per_second": 3}, {"parameters": 10}]
    outcomes = [replace(one, figures=own) for one, own in zip(fixed("baseline", [1, 2]), logged, strict=True)]
    (first,) = compare(outcomes, "probes/mean")
    assert (first.parameters, first.training_speed, first.decoding_speed) == (10, 3, None)


def test_holm_by_hand_and_never_against_the_order_of_p() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    drawn = np.random.default_rng(0).random(25) ** 4
    corrected = np.array(holm(drawn.tolist()))
    assert (np.diff(corrected[drawn.argsort()]) >= 0).all()
    assert (corrected >= drawn).all()
    assert corrected.max() <= 1


@pytest.mark.parametrize(("seeds", "comparisons"), [(3, 1), (7, 10)])
def test_a_detectable_difference_is_found_8_times_in_10(seeds: int, comparisons: int) -> None:
    least = detectable(seeds, comparisons, deviation=0.5)
    drawn = np.random.default_rng(1).normal(scale=0.5, size=(2, 4000, seeds))
    p = stats.ttest_ind(drawn[0] + least, drawn[1], axis=1).pvalue
    assert np.mean(p < 0.05 / comparisons) == pytest.approx(0.8, abs=0.03)


def test_more_seeds_detect_less_and_one_seed_nothing() -> None:
    assert detectable(1, 1, 0.5) == float("inf")
    several = [detectable(seeds, 24, 0.5) for seeds in (2, 3, 5, 7, 20)]
    assert several == sorted(several, reverse=True)
    assert detectable(3, 24, 1.0) == pytest.approx(2 * detectable(3, 24, 0.5))
    assert detectable(3, 24, 0.5) > detectable(3, 1, 0.5)


def test_what_cannot_be_compared_is_named() -> None:
    first, other = (translated(name, 0, FRENCH) for name in ("baseline", "other"))
    short = translations(FRENCH[:5], FRENCH[:5], [[sentence] for sentence in FRENCH[:5]])
    changed = translations(FRENCH, FRENCH, [["Bonjour."], *([sentence] for sentence in FRENCH[1:])])
    for outcomes, measure, message in [
        ([other], BLEU, "no 'baseline' .* ablations: other"),
        ([], BLEU, "ablations: none"),
        ([first, other, first], BLEU, r"baseline \(seed 0\) stands twice"),
        ([first, replace(other, translations={"val": short})], BLEU, r"other \(seed 0\) has no .* 'test'; it has: val"),
        ([first, replace(other, translations={"test": short})], BLEU, "other .* evaluated on 5 sentences and 80"),
        ([first, replace(other, translations={"test": changed})], BLEU, "not asked the same: number 1 is another"),
        ([first, other], f"{BLEU}/over/99", "no source of test set 'test' has more than 99 words"),
        ([first], "probes/mean", "no answers to probes within the lengths seen; it has: none"),
        (fixed("baseline", [3]), "probes/longer/order", "of 'order' beyond the lengths seen"),
        ([first], "bleu", "no measure 'bleu': there are test/TEST_SET/bleu"),
    ]:
        with pytest.raises(EntenteError, match=message):
            compare(outcomes, measure)


def test_a_bootstrap_of_2000_sentences_and_7_seeds_is_quick() -> None:
    answers = np.random.default_rng(0).random((2, 7, 2000)) < 0.7
    names = "baseline", "other"
    outcomes = [answered(name, seed, own) for name, seeds in zip(names, answers, strict=True)
                for seed, own in enumerate(seeds.tolist())]  # fmt: skip
    start = time.process_time()
    compare(outcomes, "probes/mean")
    assert time.process_time() - start < 4  # about 0.3 on a free machine
