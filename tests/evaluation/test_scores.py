import random
import tracemalloc
import warnings

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from entente.errors import EntenteError
from entente.evaluation import scores
from entente.evaluation.scores import bleu, bleu_by_length, score

FRENCH = [
    "Le chat noir, qui est doux, dort sur le vieux lit.",
    "Je t'aime.",
    "L'homme ne mange pas de pommes ce matin.",
    "Où est-ce que les enfants sont allés hier soir ?",
    "Elle n'est pas contente de sa nouvelle maison.",
]
SHUFFLED = [" ".join(reversed(sentence.split())) for sentence in FRENCH]


def alone(sentences: list[str]) -> list[list[str]]:
    return [[sentence] for sentence in sentences]


def test_a_perfect_translation_scores_100_and_needs_no_edit() -> None:
    scores = score(FRENCH, alone(FRENCH))
    values = {name: round(one.value, 6) for name, one in scores.items()}
    assert values == {"bleu": 100, "chrf": 100, "ter": 0, "bleu_lower_tokenised": 100}


def test_signatures_name_library_version_tokenisation_case_and_references() -> None:
    signatures = {name: one.signature for name, one in score(SHUFFLED, alone(FRENCH)).items()}
    assert all("version:" in signature and "nrefs:1|" in signature for signature in signatures.values())
    assert {"case:mixed", "tok:13a", "smooth:exp"} <= set(signatures["bleu"].split("|"))
    assert {"case:lc", "tok:moses-fr"} <= set(signatures["bleu_lower_tokenised"].split("|"))
    assert "tok:none" not in signatures["bleu_lower_tokenised"]


def test_only_the_lower_cased_score_forgives_case() -> None:
    scores = score([sentence.upper() for sentence in FRENCH], alone(FRENCH))
    assert scores["bleu_lower_tokenised"].value == pytest.approx(100)
    assert scores["bleu"].value < 100


def test_moses_splits_elision_as_the_multi30k_files_do() -> None:
    # "l' homme" is two words for Moses: a wrong noun leaves the article right; 13a sees one wrong word.
    references = alone(["l'homme l'homme l'homme l'homme l'homme."])
    scores = score(["l'ami l'homme l'homme l'homme l'homme."], references)
    assert scores["bleu_lower_tokenised"].value > scores["bleu"].value


def test_a_second_reference_that_is_the_hypothesis_makes_it_perfect() -> None:
    references = [[french, shuffled] for french, shuffled in zip(FRENCH, SHUFFLED, strict=True)]
    assert score(SHUFFLED, references)["bleu"].value == pytest.approx(100)
    assert bleu(SHUFFLED, references) > bleu(SHUFFLED, alone(FRENCH))


def test_references_of_the_same_length_never_lower_bleu() -> None:
    # (Of another length they may: the brevity penalty takes the closest one.)
    drawn = random.Random(1)
    words = ["le", "chat", "noir", "dort", "sur", "un", "lit"]
    for _ in range(20):
        hypotheses, first, second = ([" ".join(drawn.choices(words, k=7)) for _ in range(6)] for _ in range(3))
        fewer = bleu(hypotheses, alone(first))
        assert bleu(hypotheses, [list(own) for own in zip(first, second, strict=True)]) >= fewer


def test_sentences_may_differ_in_their_number_of_references() -> None:
    references = [[FRENCH[0]], [FRENCH[1], "Je vous aime."], [FRENCH[2], "Non.", "Si."], [FRENCH[3]], [FRENCH[4]]]
    scores = score(FRENCH, references)
    assert scores["bleu"].value == pytest.approx(100)
    assert all("nrefs:var|" in one.signature for one in scores.values())


def test_ter_is_edits_over_reference_words_times_100() -> None:
    assert score(["un chat dort"], [["un chien dort"]])["ter"].value == pytest.approx(100 / 3)
    assert TER().corpus_score(SHUFFLED, [FRENCH]).score == score(SHUFFLED, alone(FRENCH))["ter"].value


def test_validation_bleu_is_the_headline_bleu() -> None:
    assert bleu(SHUFFLED, alone(FRENCH)) == score(SHUFFLED, alone(FRENCH))["bleu"].value


def test_repetitions_of_an_untrained_network_cause_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bleu(["le le ."] * 200, alone(["Le chat dort ."] * 200)) >= 0
        assert bleu([""] * 3, alone(FRENCH[:3])) == 0
    assert not caplog.records


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "empty"),
        (["Un."], [["Un."], ["Deux."]], "1 hypotheses but references for 2"),
        (["Un.", "Deux."], [["Un."], []], "sentence 2 has no reference"),
    ],
)
def test_what_cannot_be_scored_is_refused(hypotheses: list[str], references: list[list[str]], message: str) -> None:
    with pytest.raises(EntenteError, match=message):
        score(hypotheses, references)


def test_buckets_cover_every_sentence_once_in_order() -> None:
    sources = [" ".join(["word"] * length) for length in (1, 2, 3, 4, 9, 10, 11, 50)]
    sentences = [FRENCH[0]] * len(sources)
    buckets = bleu_by_length(sources, sentences, alone(sentences), [3, 5, 7, 10])
    assert {bucket.length: bucket.count for bucket in buckets} == {"01-03": 3, "04-05": 1, "08-10": 2, "11+": 2}
    assert [bucket.length for bucket in buckets] == sorted(bucket.length for bucket in buckets)


def test_a_bucket_is_scored_on_its_own_sentences() -> None:
    sources = ["short one", "a much longer sentence"]
    buckets = bleu_by_length(sources, [FRENCH[0], SHUFFLED[2]], alone([FRENCH[0], FRENCH[2]]), [3])
    assert buckets[0].bleu == pytest.approx(100)
    assert buckets[1].bleu == pytest.approx(bleu([SHUFFLED[2]], alone([FRENCH[2]])))


def test_a_bucket_too_short_for_4_grams_can_still_be_perfect() -> None:
    (bucket,) = bleu_by_length(["Yes."], ["Oui."], [["Oui."]], [5])
    assert bucket.bleu == pytest.approx(100)


@pytest.mark.parametrize("bounds", [[], [5, 5], [10, 5], [0, 5]])
def test_bounds_that_do_not_rise_are_refused(bounds: list[int]) -> None:
    with pytest.raises(EntenteError, match="rising"):
        bleu_by_length(["a"], ["b"], [["b"]], bounds)


def test_references_read_one_by_one_score_as_sacrebleu_does() -> None:
    hypotheses = ["le chat dort .", "un chien noir court vite", "elle mange"]
    streams = [["le chat dort .", "un chien noir court", "elle mange bien"], [None, "le chien noir court vite", None]]
    references = [[line for line in own if line is not None] for own in zip(*streams, strict=True)]
    found = score(hypotheses, references)
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF()), ("ter", TER())):
        assert found[name].value == metric.corpus_score(hypotheses, streams).score  # type: ignore[arg-type]
        assert found[name].signature == str(metric.get_signature())


def test_scoring_keeps_nothing_large_of_a_sentence() -> None:
    sentences = [f"le chat numéro {number} dort sur le tapis du salon" for number in range(2000)]
    tracemalloc.start()
    for metric in (scores._BLEU(), scores._CHRF(), scores._TER()):
        metric.corpus_score(sentences[:10], [sentences[:10]])
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        metric.corpus_score(sentences, [sentences])
        _, peak = tracemalloc.get_traced_memory()
        assert peak - before < 1000 * len(sentences)
    tracemalloc.stop()
