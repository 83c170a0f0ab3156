import io
import random
import re
from itertools import pairwise
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from entente.errors import EntenteError
from entente.text.cleaning import normalise
from entente.text.subwords import BOS, EOS, PAD, SPACE, UNK, Subwords, learn

# Sentences of invented words, so that there are enough different pieces to learn.
CHANCE = random.Random(1)
WORDS = ["".join(CHANCE.choices("aeioubdlmnprstéèçœ", k=6)) for _ in range(150)]
ENGLISH = [f"The {one} and the {other}." for one, other in pairwise(WORDS)]
FRENCH = [f"L'été, {one} et {other} !" for one, other in pairwise(reversed(WORDS))]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("texts")
    paths = [folder / "train.en", folder / "train.fr"]
    for path, lines in zip(paths, (ENGLISH, FRENCH), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return paths


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def subwords(request: pytest.FixtureRequest, texts: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Subwords:
    folder = tmp_path_factory.mktemp(request.param)
    learn(texts, folder, kind=request.param, vocabulary=360, threads=1, sample=1000)
    return Subwords(folder / "subwords.model")


@pytest.mark.parametrize(
    "sentence",
    [
        "L'été, mon cœur bat à l'hôpital.",
        "Ça ? Là-bas, où naïf Noël rêvait : « aïe » !",
        "l’apostrophe courbe et l'apostrophe droite",
        "ﬁn ﬂot Œuvre æther",
        "😀 👨‍👩‍👧 🇫🇷 ✈️",
        "北京 Москва αβγ",
        "<s> </s> <pad> <unk> <0x41>",
        "5²+3½=…",
        "",
    ],
)
def test_every_text_round_trips(subwords: Subwords, sentence: str) -> None:
    ids = subwords.encode([sentence])
    assert subwords.decode(ids) == [sentence]
    assert not {PAD, UNK, BOS, EOS} & set(ids[0])


# But for U+2581, which SentencePiece writes for a space.
NORMALISED = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=SPACE)).map(normalise)


@given(st.lists(NORMALISED, max_size=3))
def test_any_normalised_text_round_trips_in_pieces_of_the_vocabulary(subwords: Subwords, sentences: list[str]) -> None:
    ids = subwords.encode(sentences)
    assert subwords.decode(ids) == sentences
    assert all(EOS < piece < len(subwords) for row in ids for piece in row)


def test_special_symbols_leave_no_trace_in_text(subwords: Subwords) -> None:
    [ids] = subwords.encode(["The cat is in the garden."])
    assert subwords.decode([[BOS, *ids, EOS, PAD, PAD], [EOS], []]) == ["The cat is in the garden.", "", ""]


def test_a_decoded_sentence_stays_on_one_line(subwords: Subwords) -> None:
    line_feed = next(i for i in range(len(subwords)) if subwords.pieces([i]) == ["<0x0A>"])
    cat, garden = subwords.encode(["cat", "garden"])
    assert subwords.decode([[*cat, line_feed, *garden]])[0].splitlines() == ["cat  garden"]


def test_pieces_spell_the_sentence(subwords: Subwords) -> None:
    [ids] = subwords.encode(["The house is in the street."])
    assert "".join(subwords.pieces(ids)).replace("\u2581", " ").strip() == "The house is in the street."


def test_ids_fill_the_vocabulary_and_stay_within(subwords: Subwords) -> None:
    assert len(subwords) == 360
    used = {piece for row in subwords.encode(ENGLISH + FRENCH) for piece in row}
    assert max(used) < 360


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_learning_again_elsewhere_gives_the_same_bytes(texts: list[Path], tmp_path: Path, kind: str) -> None:
    for name in ("one", "other"):
        copies = [tmp_path / f"{name}-{text.name}" for text in texts]
        for text, copy in zip(texts, copies, strict=True):
            copy.write_bytes(text.read_bytes())
        learn(copies, tmp_path / name, kind=kind, vocabulary=350, threads=2, sample=150)
    for file in ("subwords.model", "subwords.vocab"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()
    models = [Subwords(tmp_path / name / "subwords.model") for name in ("one", "other")]
    assert models[0].digest == models[1].digest


def test_digest_tells_vocabularies_apart(texts: list[Path], tmp_path: Path, subwords: Subwords) -> None:
    learn(texts, tmp_path, kind="unigram", vocabulary=340, threads=1, sample=1000)
    assert Subwords(tmp_path / "subwords.model").digest != subwords.digest


def test_a_vocabulary_the_corpus_cannot_fill_names_the_largest_that_it_can(texts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match=r"vocabulary of 8000 pieces .* at most (\d+).*`subwords=") as caught:
        learn(texts, tmp_path, kind="unigram", vocabulary=8000, threads=1, sample=1000)
    largest = int(str(caught.value).split("subwords.vocabulary=")[1].split(",")[0])
    learn(texts, tmp_path, kind="unigram", vocabulary=largest, threads=1, sample=1000)
    assert len(Subwords(tmp_path / "subwords.model")) == largest


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"kind": "words"}, "`words`: choose one of unigram, bpe"),
        ({"vocabulary": 50}, "too small .* at least"),
    ],
)
def test_an_impossible_request_is_refused_and_writes_nothing(
    texts: list[Path], tmp_path: Path, arguments: dict[str, str | int], complaint: str
) -> None:
    possible = {"kind": "bpe", "vocabulary": 350, "threads": 1, "sample": 1000}
    with pytest.raises(EntenteError, match=complaint):
        learn(texts, tmp_path / "subwords", **(possible | arguments))  # type: ignore[arg-type]
    assert not (tmp_path / "subwords").exists()


def test_text_that_is_not_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    text = tmp_path / "train.fr"
    text.write_bytes("été\n".encode() + "été\n".encode("latin-1"))
    with pytest.raises(EntenteError, match=r"^\S*train\.fr, line 2: byte 1 \(0xe9\) is not UTF-8"):
        learn([text], tmp_path, kind="bpe", vocabulary=300, threads=1, sample=1000)


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.en").touch()
    with pytest.raises(EntenteError, match="no sentence to learn subwords from"):
        learn([tmp_path / "train.en"], tmp_path, kind="bpe", vocabulary=300, threads=1, sample=1000)


def test_missing_broken_and_foreign_models_are_told_apart(tmp_path: Path, texts: list[Path]) -> None:
    with pytest.raises(EntenteError, match="no subword model at"):
        Subwords(tmp_path / "absent.model")
    (tmp_path / "broken.model").write_bytes(b"not a model")
    with pytest.raises(EntenteError, match="damaged"):
        Subwords(tmp_path / "broken.model")
    foreign = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(ENGLISH), model_writer=foreign, vocab_size=30, minloglevel=2
    )
    (tmp_path / "foreign.model").write_bytes(foreign.getvalue())
    with pytest.raises(EntenteError, match="numbers pad, unk, bos, eos"):
        Subwords(tmp_path / "foreign.model")


def test_a_model_with_another_digest_is_not_even_parsed(tmp_path: Path) -> None:
    (tmp_path / "subwords.model").write_bytes(b"not a model")
    with pytest.raises(EntenteError, match="does not belong to the weights"):
        Subwords(tmp_path / "subwords.model", digest="0" * 64)


def test_a_model_whose_pieces_are_no_text_is_damaged(tmp_path: Path, texts: list[Path]) -> None:
    learn(texts, tmp_path, kind="bpe", vocabulary=350, threads=1, sample=1000)
    model = tmp_path / "subwords.model"
    twice = re.sub(rb"<0x4[12]>", b"<\xff\xff\xff\xff>", model.read_bytes())  # SentencePiece complains in such bytes
    model.write_bytes(twice)
    with pytest.raises(EntenteError, match="damaged"):
        Subwords(model)
