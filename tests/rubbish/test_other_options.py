"""Corpora, searches, evaluations and runs as a person may describe them."""

from pathlib import Path
from typing import Any

import pytest

from tests.rubbish.configurations import GONE, NAN, changed, refuse
from tests.rubbish.table import table


@table(
    ("a beam of nothing", {"decoding.beam": 0}, "decoding: beam is 0; choose from 1 to 1024"),
    ("a beam of everything", {"decoding.beam": 10**6}, "decoding: beam is 1000000; choose from 1 to 1024"),
    (
        "a penalty in a letter",
        {"decoding.length_penalty": "x"},
        r"decoding\.length_penalty is 'x'; it should be a valid n",
    ),
    (
        "a penalty that is no number",
        {"decoding.length_penalty": NAN},
        r"decoding\.length_penalty is nan; it should be a fi",
    ),
    (
        "a penalty that leaves no score",
        {"decoding.length_penalty": 1e30},
        "decoding: length_penalty is 1e.30; choose from",
    ),
    (
        "translations below nothing",
        {"decoding.max_length_factor": -1},
        "decoding: max_length_factor is -1; choose from 0",
    ),
    ("batches of no piece", {"decoding.batch_tokens": 0}, "decoding: batch_tokens is 0; choose from 1"),
    (
        "lengths that fall",
        {"evaluation.length_bounds": [10, 5]},
        r"length_bounds are \[10, 5\]: let each be larger than",
    ),
    ("lengths of none", {"evaluation.length_bounds": []}, r"length_bounds is \[\]; it should have at least 1 item"),
    (
        "a number for a sentence",
        {"evaluation.sentences": [3]},
        r"evaluation\.sentences\.0 is 3; it should be a valid stri",
    ),
    (
        "an experiment without a name",
        {"tracking.experiment": ""},
        "tracking.experiment is ''; it should have at least 1",
    ),
    (
        "a store asked without pause",
        {"tracking.flush_every_seconds": 0},
        r"flush_every_seconds is 0; it should be greater",
    ),
    ("a seed below 0", {"seed": -1}, "seed is -1; it should be at least 0"),
    ("a seed in words", {"seed": "lucky"}, "seed is 'lucky'; it should be a valid integer"),
    ("a seed beyond 64 bits", {"seed": 10**26}, "seed is 100000000000000000000000000; it should be less than"),
    ("a group that nobody reads", {"colour": "red"}, "the configuration has no group colour; it has corpus, subwords"),
    ("no test", {"corpus.tests": []}, r"corpus\.tests is \[\]; it should have at least 1 item"),
    ("one test twice", {"corpus.tests": ["test", "test"]}, "corpus.tests names test twice, or as what is learnt"),
    ("a test that is learnt from", {"corpus.tests": ["train"]}, "corpus.tests names train twice, or as what is learnt"),
    (
        "a test that climbs out",
        {"corpus.tests": ["../../x"]},
        r"corpus\.tests\.0 is '\.\./\.\./x'; it should be a name for",
    ),
    ("a word for a list of tests", {"corpus.tests": "test"}, r"corpus\.tests is 'test'; it should be a list"),
    (
        "a text of the machine",
        {"corpus.texts.0.file": "/etc/passwd"},
        r"corpus\.texts\.0\.file is '/etc/passwd'; it should",
    ),
    ("columns in a word", {"corpus.texts.0.columns": "en"}, r"corpus\.texts\.0\.columns is 'en'; it should be a list"),
    (
        "columns of other languages",
        {"corpus.texts.0.columns": ["de", "nl"]},
        "the columns of train.en are de, nl; write",
    ),
    (
        "no words allowed",
        {"corpus.cleaning.max_words": 0},
        r"corpus\.cleaning\.max_words is 0; it should be at least 1",
    ),
    (
        "a ratio that none has",
        {"corpus.cleaning.max_ratio": 0.5},
        r"corpus\.cleaning\.max_ratio is 0\.5; it should be at l",
    ),
    ("a grammar of no pairs", {"corpus.download.pairs": -1}, r"corpus\.download\.pairs is -1; it should be at least 1"),
    (
        "a download of another kind",
        {"corpus.download.kind": "ftp"},
        "corpus.download: unknown kind 'ftp'; there are files",
    ),
    ("a grammar without a size", {"corpus.download.pairs": GONE}, "corpus.download lacks pairs; conf/ has an example"),
)
def test_a_configuration(
    put_in: Any, said: str, default: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse(changed(default, put_in), said, monkeypatch, tmp_path)


@table(
    (
        "an unknown unit of a split",
        {"corpus.split.unit": "sentence"},
        "corpus.split.unit is `sentence`: choose one of comp",
    ),
    ("pairs below 0", {"corpus.split.val": -3}, r"corpus\.split\.val is -3; it should be at least 1"),
    ("a share of more than all", {"corpus.split.largest": 2}, r"corpus\.split\.largest is 2; it should be at most 1"),
    ("two tests of a split", {"corpus.tests": ["test", "more"]}, "corpus.tests names test, more, but corpus.split div"),
    ("a split by a number", {"corpus.split": 3}, r"corpus\.split is 3; it should be a group of options"),
    ("no file", {"corpus.download.files": []}, r"corpus\.download\.files is \[\]; it should have at least 1 item"),
    (
        "an address of another kind",
        {"corpus.download.files.0.url": "ftp://h/f"},
        "ftp://h/f is no address of a file on",
    ),
    ("an address cut short", {"corpus.download.files.0.url": "http://[h/f"}, r"http://\[h/f is no address \(Invalid"),
    (
        "an address that climbs out",
        {"corpus.download.files.0.url": "http://h/../../f"},
        "is no address of a file on a ser",
    ),
    ("a sum of another kind", {"corpus.download.files.0.sha256": "abc"}, r"files\.0\.sha256 is 'abc'; it should match"),
)
def test_a_corpus_that_is_downloaded(
    put_in: Any, said: str, rnn: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse(changed(rnn, put_in), said, monkeypatch, tmp_path)
