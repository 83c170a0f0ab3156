"""Laws of random segmentations."""

from collections import Counter

import numpy as np
import pytest

from entente.errors import EntenteError
from entente.text.segmentation import Sampler, Segmentation
from entente.text.subwords import Subwords, learn

SENTENCES = [
    f"{start} {noun}s que {name} a {verb}s : l'{noun} n'est pas {verb} !"
    for start in ("Les", "Voilà les")
    for noun in ("oiseau", "animal", "ours", "éléphant", "œuf")
    for name in ("Anna", "Paul", "Noémie", "Zoé")
    for verb in ("mangé", "regardé", "cherché", "oublié")
]


def learnt(kind: str, factory: pytest.TempPathFactory) -> Subwords:
    folder = factory.mktemp(kind)
    (folder / "text").write_text("\n".join(SENTENCES), encoding="utf-8")
    learn([folder / "text"], folder, kind=kind, vocabulary=305, threads=1, sample=1000)
    return Subwords(folder / "subwords.model")


@pytest.fixture(scope="module")
def unigram(tmp_path_factory: pytest.TempPathFactory) -> Subwords:
    return learnt("unigram", tmp_path_factory)


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory) -> Subwords:
    return learnt("bpe", tmp_path_factory)


@pytest.fixture(params=["unigram", "bpe"])
def subwords(request: pytest.FixtureRequest) -> Subwords:
    found: Subwords = request.getfixturevalue(request.param)
    return found


def draw(subwords: Subwords, sentences: list[str], alpha: float, seed: int = 0) -> list[list[int]]:
    return Sampler(subwords, alpha).draw(sentences, np.random.default_rng(seed))


def test_a_draw_says_what_the_sentence_says(subwords: Subwords) -> None:
    odd = ["", "😀 inconnu\u00a0: ß", "Zoé", "x" * 200]
    for alpha in (0.0, 0.3, 1.0):
        assert subwords.decode(draw(subwords, SENTENCES + odd, alpha)) == SENTENCES + odd


def test_merges_without_dropout_are_sentencepieces(bpe: Subwords) -> None:
    assert draw(bpe, SENTENCES, alpha=0.0) == bpe.encode(SENTENCES)


def test_without_any_merge_byte_pairs_are_letters(bpe: Subwords) -> None:
    assert draw(bpe, ["Anna"], alpha=1.0) == [[bpe.merges[symbol] for symbol in "▁Anna"]]


def test_the_more_dropout_the_more_pieces(bpe: Subwords) -> None:
    sizes = [sum(map(len, draw(bpe, SENTENCES, alpha))) for alpha in (0.0, 0.1, 0.5, 1.0)]
    assert sizes == sorted(set(sizes))


def test_words_cut_apart_are_a_sentence_cut_as_suits_best(unigram: Subwords) -> None:
    apart = [
        [piece for word in sentence.split(" ") for piece in unigram.likeliest(word, 1)[0][0]] for sentence in SENTENCES
    ]
    assert apart == unigram.encode(SENTENCES)


def test_draws_differ_by_seed_and_only_by_it(subwords: Subwords) -> None:
    once, again, other = (draw(subwords, SENTENCES, 0.2, seed) for seed in (1, 1, 2))
    assert once == again
    assert once != other
    # What a sentence is drawn beside is no matter of a word's segmentations, but of its chance alone.
    assert draw(subwords, SENTENCES[:3], 0.2, 1) == once[:3]


def test_a_unigram_draw_has_its_probability_to_the_power_of_alpha(unigram: Subwords) -> None:
    words = {word for sentence in SENTENCES for word in sentence.split()}
    word = max(sorted(words), key=lambda word: len(unigram.likeliest(word, 64)[0]))
    cuts, log_probabilities = unigram.likeliest(word, 64)
    expected = np.exp(0.5 * np.array(log_probabilities))
    expected /= expected.sum()
    drawn = Counter(map(tuple, draw(unigram, [word] * 20_000, alpha=0.5)))
    found = np.array([drawn[tuple(cut)] for cut in cuts]) / 20_000
    assert len(cuts) > 2
    assert np.abs(found - expected).max() < 0.015  # four standard deviations
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize(("each", "alpha", "message"), [(0, 0.1, "each is 0"), (2, 1.5, r"alpha is 1\.5")])
def test_a_segmentation_that_cuts_nothing_is_refused(each: int, alpha: float, message: str) -> None:
    with pytest.raises(EntenteError, match=message):
        Segmentation(each=each, alpha=alpha)
