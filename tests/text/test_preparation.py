import gzip
import json
import random
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pytest

from entente.errors import EntenteError
from entente.text import preparation
from entente.text.cleaning import Cleaning, key
from entente.text.corpus import read_lines, read_pairs
from entente.text.preparation import Text, prepare
from entente.text.splits import Split

LIMITS = Cleaning(max_characters=100, max_words=20, max_ratio=3.0, ratio_slack=10)
DIVIDED = [Text("pairs.txt", None, ["en", "fr"], None)]
SPLIT = Split("component", val=30, test=60, largest=0.05)


def published(*splits: str) -> list[Text]:
    return [Text(f"{split}.{side}", None, [side], split) for split in splits for side in ("en", "fr")]


def write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def references(path: Path) -> list[list[str]]:
    return [json.loads(line) for line in read_lines(path)]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Hold a corpus in which sentences have several translations, with a credit that nobody asked for."""
    chance = random.Random(1)
    lines = []
    for _ in range(1000):
        number = chance.randrange(600)
        lines.append(f"Sentence number {number}{chance.choice('.!')}\tPhrase {number} {chance.randrange(9)}.\tcredit")
    folder = tmp_path / "raw"
    folder.mkdir()
    write(folder / "pairs.txt", lines)
    return folder


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """Hold a corpus with published splits: of train two pairs repeat, of the test one is empty, one in train."""
    folder = tmp_path / "official"
    folder.mkdir()
    for side, train, test in (
        ("en", ["One.", "Two.", "One.", "Three."], ["A\u00a0test.", "ONE!", ""]),
        ("fr", ["Un.", "Deux.", "Un.", "Trois."], ["Un\u202ftest.", "Unique.", "Vide."]),
    ):
        write(folder / f"train.{side}", train)
        write(folder / f"val.{side}", ["Four." if side == "en" else "Quatre."])
        write(folder / f"test2016.{side}", test)
    return folder


def test_no_sentence_held_out_is_shown_in_training(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tally = prepare(raw, out, texts=DIVIDED, tests=["test"], probes=None, cleaning=LIMITS, split=SPLIT)
    for side in ("en", "fr"):
        shown = set(map(key, read_lines(out / f"train.{side}")))
        for split in ("val", "test"):
            answers = references(out / f"{split}.references.jsonl")
            sentences = read_lines(out / f"{split}.en") if side == "en" else chain.from_iterable(answers)
            held = set(map(key, sentences))
            assert held
            assert not shown & held
    assert tally["test"]["sources_in_train"] == tally["test"]["targets_in_train"] == 0


def test_the_number_of_processes_and_the_blocks_change_nothing(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {}
    for name, processes, block in (("whole", 1, 60_000), ("blocks", 1, 7), ("processes", 2, 7)):
        monkeypatch.setattr(preparation, "_BLOCK", block)
        given = {"texts": DIVIDED, "tests": ["test"], "probes": None, "cleaning": LIMITS, "split": SPLIT}
        tally = prepare(raw, tmp_path / name, **given, processes=processes)  # type: ignore[arg-type]
        made[name] = tally, {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
    assert made["whole"] == made["blocks"] == made["processes"]


def test_splitting_pair_by_pair_leaks_and_the_tally_says_so(raw: Path, tmp_path: Path) -> None:
    split = Split("pair", val=30, test=60, largest=0.05)
    tally = prepare(raw, tmp_path / "o", texts=DIVIDED, tests=["test"], probes=None, cleaning=LIMITS, split=split)
    assert tally["test"]["sources_in_train"] > 0


def test_every_pair_that_is_kept_stands_in_one_split(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tally = prepare(raw, out, texts=DIVIDED, tests=["test"], probes=None, cleaning=LIMITS, split=SPLIT)
    found = list(read_pairs(out / "train.en", out / "train.fr"))
    assert len(found) == tally["train"]["pairs"]
    for split in ("val", "test"):
        sources = list(read_lines(out / f"{split}.en"))
        answers = references(out / f"{split}.references.jsonl")
        assert len(set(sources)) == len(sources) == len(answers) == tally[split]["sentences"]
        assert [answer[0] for answer in answers] == list(read_lines(out / f"{split}.fr"))
        assert sum(map(len, answers)) == tally[split]["references"]
        found += [(source, target) for source, answer in zip(sources, answers, strict=True) for target in answer]
    wanted = {tuple(line.split("\t")[:2]) for line in read_lines(raw / "pairs.txt")}
    assert sorted(found) == sorted(wanted)
    assert tally["dropped"]["duplicate"] == tally["read"] - len(wanted)


def test_judged_by_val_nothing_else_changes_and_the_test_is_held_out_unwritten(raw: Path, tmp_path: Path) -> None:
    for out, tests in (("test", ["test"]), ("val", ["val"])):
        prepare(raw, tmp_path / out, texts=DIVIDED, tests=tests, probes=None, cleaning=LIMITS, split=SPLIT)
    left = {path.name for path in (tmp_path / "val").iterdir()}
    assert left == {path.name for path in (tmp_path / "test").iterdir() if not path.name.startswith("test.")}
    assert all((tmp_path / "val" / name).read_bytes() == (tmp_path / "test" / name).read_bytes() for name in left)


def test_preparing_again_gives_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        prepare(raw, tmp_path / name, texts=DIVIDED, tests=["test"], probes=None, cleaning=LIMITS, split=SPLIT)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "other").iterdir())
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_what_is_dropped_is_counted_by_reason(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    pairs = [
        "Hi.\tSalut.",
        "\u200b\tVide.",
        "Long.\t" + "x" * 101,
        "A.\t" + "x" * 60,
        "Hi.\t Salut.\u00a0",
        "Bye.\tCiao.",
    ]
    write(raw / "pairs.txt", pairs)
    write(raw / "val.en", ["V."])
    write(raw / "val.fr", ["V."])
    texts = [Text("pairs.txt", None, ["en", "fr"], "train"), *published("val")]
    tally = prepare(raw, tmp_path / "out", texts=texts, tests=[], probes=None, cleaning=LIMITS, split=None)
    assert tally["read"] == 6
    assert tally["dropped"] == {"empty": 1, "too_long": 1, "unequal": 1, "duplicate": 1}
    assert list(read_pairs(tmp_path / "out" / "train.en", tmp_path / "out" / "train.fr")) == [
        ("Hi.", "Salut."),
        ("Bye.", "Ciao."),
    ]


def test_published_tests_keep_every_sentence_and_their_order(official: Path, tmp_path: Path) -> None:
    tally = prepare(
        official,
        tmp_path / "out",
        texts=published("train", "val", "test2016"),
        tests=["test2016"],
        probes=None,
        cleaning=LIMITS,
        split=None,
    )
    assert list(read_lines(tmp_path / "out" / "test2016.en")) == ["A test.", "ONE!", ""]
    assert references(tmp_path / "out" / "test2016.references.jsonl") == [["Un test."], ["Unique."], ["Vide."]]
    assert tally["test2016"] == {
        "sentences": 3,
        "references": 3,
        "sources_in_train": 1,
        "targets_in_train": 0,
        "unclean": 1,
    }
    assert tally["train"]["pairs"] == 3


def test_sides_may_be_compressed(official: Path, tmp_path: Path) -> None:
    for path in list(official.iterdir()):
        (official / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    texts = [Text(f"{t.file}.gz", None, t.columns, t.split) for t in published("train", "val", "test2016")]
    prepare(official, tmp_path / "out", texts=texts, tests=["test2016"], probes=None, cleaning=LIMITS, split=None)
    assert list(read_lines(tmp_path / "out" / "train.fr")) == ["Un.", "Deux.", "Trois."]


def test_probes_are_normalised_and_looked_for_in_training(official: Path, tmp_path: Path) -> None:
    probe = {"phenomenon": "number", "source": "Two!", "target": "Deux\u202f!", "foil": "Trois !", "longer": False}
    write(official / "probes.jsonl", [json.dumps(probe)])
    tally = prepare(
        official,
        tmp_path / "out",
        texts=published("train", "val"),
        tests=[],
        probes="probes.jsonl",
        cleaning=LIMITS,
        split=None,
    )
    [line] = read_lines(tmp_path / "out" / "probes.jsonl")
    assert json.loads(line) == probe | {"target": "Deux !"}
    assert tally["probes"] == {"sentences": 1, "sources_in_train": 1, "targets_in_train": 1}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the corpus is empty"),
        (b"\t\n\t\n", r"cleaning leaves nothing of 2 pairs \(2 empty"),
        (b"one\tun\ntwo\n", r"pairs\.txt, line 2: 1 columns .* expected en, fr"),
        (b"one\tun\ntwo\td\xe9ux\n", r"pairs\.txt, line 2: byte 6 \(0xe9\) is not UTF-8"),
        (b"one\tun\ntwo\tdeux\n", "more than half of the 2"),
    ],
)
def test_a_bad_corpus_is_refused_and_what_was_prepared_stays(tmp_path: Path, content: bytes, complaint: str) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    out.mkdir()
    (out / "train.en").write_text("of an earlier run\n")
    (raw / "pairs.txt").write_bytes(content)
    with pytest.raises(EntenteError, match=complaint):
        prepare(raw, out, texts=DIVIDED, tests=["test"], probes=None, cleaning=LIMITS, split=SPLIT)
    assert [path.name for path in out.iterdir()] == ["train.en"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "raw"]


def test_sides_that_do_not_match_are_refused_with_both_counts(official: Path, tmp_path: Path) -> None:
    write(official / "val.fr", ["Quatre.", "Cinq."])
    with pytest.raises(EntenteError, match=r"val\.en has 1 lines and \S*val\.fr 2:"):
        prepare(
            official,
            tmp_path / "out",
            texts=published("train", "val"),
            tests=[],
            probes=None,
            cleaning=LIMITS,
            split=None,
        )


@pytest.mark.parametrize(
    ("texts", "split", "complaint"),
    [
        (published("train", "val"), SPLIT, "corpus.split must divide"),
        (DIVIDED, None, "corpus.split must divide"),
        (published("train"), None, "must give split `val`"),
        (published("train", "val")[:-1], None, "must give split `val`"),
    ],
)
def test_texts_that_do_not_make_a_corpus_are_refused(
    official: Path, tmp_path: Path, texts: list[Text], split: Split | None, complaint: str
) -> None:
    with pytest.raises(EntenteError, match=complaint):
        prepare(official, tmp_path / "out", texts=texts, tests=["test"], probes=None, cleaning=LIMITS, split=split)


@pytest.mark.parametrize("line", ["{", "[]", '{"source": "a"}', '{"source": 1, "target": "b", "foil": "c"}'])
def test_probes_of_another_shape_are_refused_with_their_line(official: Path, tmp_path: Path, line: str) -> None:
    write(official / "probes.jsonl", [line])
    texts = published("train", "val", "test2016")
    with pytest.raises(EntenteError, match=r"probes\.jsonl, line 1: (not JSON|expected an object)"):
        prepare(
            official,
            tmp_path / "out",
            texts=texts,
            tests=["test2016"],
            probes="probes.jsonl",
            cleaning=LIMITS,
            split=None,
        )
