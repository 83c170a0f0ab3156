"""Subword models, in a model's folder and as the stages find them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from entente.errors import EntenteError
from entente.text import subwords
from entente.translator import Translator
from pipelines import encode
from tests.conftest import SENTENCES
from tests.rubbish.table import refused, table


def foreign(**changes: int) -> bytes:
    model = io.BytesIO()
    settings: dict[str, Any] = {"vocab_size": 60, "minloglevel": 2, "hard_vocab_limit": False} | changes
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES), model_writer=model, **settings)
    return model.getvalue()


@table(
    ("an empty file", lambda own: b"", r"subwords\.model is no SentencePiece model, or is damaged: learn it anew"),
    (
        "a model cut short",
        lambda own: own[: len(own) // 2],
        r"subwords\.model is no SentencePiece model, or is damaged",
    ),
    (
        "a model with a byte turned",
        lambda own: own[:100] + bytes([own[100] ^ 255]) + own[101:],
        r"subwords\.model is no SentencePiece model, or is damag",
    ),
    ("zeros", lambda own: bytes(len(own)), r"subwords\.model is no SentencePiece model, or is damaged: learn it anew"),
    ("a page", lambda own: b"<html>Please log in.</html>", r"subwords\.model is no SentencePiece model, or is damaged"),
    (
        "a list of pieces",
        lambda own: b"<pad>\t0\n<unk>\t0\n",
        r"subwords\.model is no SentencePiece model, or is damaged",
    ),
    (
        "a zip",
        lambda own: b"PK\x03\x04" + own,
        r"subwords\.model is no SentencePiece model, or is damaged: learn it anew",
    ),
    (
        "a model of another house",
        lambda own: foreign(),
        r"numbers pad, unk, bos, eos \[-1, 0, 1, 2\], expected \[0, 1, 2",
    ),
    (
        "a model without an end",
        lambda own: foreign(pad_id=0, unk_id=1, bos_id=2, eos_id=-1),
        r"eos \[0, 1, 2, -1\], exp",
    ),
)
def test_a_subword_model(tmp_path: Path, subwords_model: Path, put_in: Callable[[bytes], bytes], said: str) -> None:
    path = tmp_path / "subwords.model"
    path.write_bytes(put_in(subwords_model.read_bytes()))
    with pytest.raises(EntenteError, match=said):
        subwords.Subwords(path)


def learnt(folder: Path, sentences: list[str], vocabulary: int) -> bytes:
    (folder / "text").write_text("\n".join(sentences * 5) + "\n", encoding="utf-8")
    subwords.learn([folder / "text"], folder, kind="bpe", vocabulary=vocabulary, threads=1, sample=1000)
    return (folder / "subwords.model").read_bytes()


@table(
    ("another vocabulary", (SENTENCES, 330), "they know sha256 .*, this file has .*`dvc checkout` restores"),
    (
        "another training",
        ([text[::-1] for text in SENTENCES], 340),
        "does not belong to the weights beside it: they know",
    ),
)
def test_subwords_that_are_not_those_of_the_weights(
    tmp_path: Path, model_folder: Path, put_in: tuple[list[str], int], said: str
) -> None:
    for file in model_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "subwords.model").write_bytes(learnt(other, *put_in))
    with pytest.raises(EntenteError, match=said):
        Translator.load(tmp_path, "cpu")


@table(
    ("no model", None, r"no subword model at \S*subwords\.model .*`dvc repro learn_subwords` learns one"),
    ("a folder for a model", {}, r"no subword model at \S*subwords\.model \(Is a directory\)"),
)
def test_a_stage_without_subwords(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, put_in: object, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("segmentation: {each: 1, alpha: 0.0}\nsynthetic: []\n")
    if put_in is not None:
        Path("artifacts/subwords/subwords.model").mkdir(parents=True)
    with refused(said):
        encode.main()
    assert not Path("data").exists()
