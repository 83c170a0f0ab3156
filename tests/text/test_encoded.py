import pickle
from pathlib import Path

import numpy as np
import pytest

from entente.errors import EntenteError
from entente.text import encoding
from entente.text.encoded import Encoded
from entente.text.encoding import encode
from entente.text.segmentation import Segmentation
from entente.text.subwords import BOS, EOS, PAD, Subwords, learn

SENTENCES = [f"The {animal} is {i} years old." for i in range(50) for animal in ("cat", "dog", "œuf")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("subwords")
    (folder / "text").write_text("\n".join(SENTENCES), encoding="utf-8")
    learn([folder / "text"], folder, kind="bpe", vocabulary=310, threads=1, sample=1000)
    return folder / "subwords.model"


def write(path: Path, sentences: list[str]) -> Path:
    path.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
    return path


def test_sentences_come_back_ended_by_eos(model: Path, tmp_path: Path) -> None:
    sentences = [*SENTENCES, "", "😀 unseen"]
    tokens = encode(model, write(tmp_path / "train.en", sentences), tmp_path / "out" / "train.en", processes=1)
    rows = Encoded(tmp_path / "out" / "train.en")
    subwords = Subwords(model)
    assert len(rows) == len(sentences)
    assert subwords.decode([list(row) for row in rows]) == sentences
    assert all(row[-1] == EOS and not {PAD, BOS, EOS} & set(row[:-1].tolist()) for row in rows)
    assert rows.lengths.tolist() == [len(row) for row in rows]
    assert tokens == rows.lengths.sum()
    assert rows[0].dtype == np.uint16
    assert rows.lengths.dtype == np.uint16


def test_the_number_of_processes_and_the_blocks_change_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write(tmp_path / "train.en", SENTENCES)
    encode(model, text, tmp_path / "whole", processes=1)
    monkeypatch.setattr(encoding, "_BLOCK", 7)
    for processes in (1, 2):
        encode(model, text, tmp_path / f"by{processes}", processes=processes)
        for part in ("ids", "offsets"):
            whole = (tmp_path / f"whole.{part}.npy").read_bytes()
            assert (tmp_path / f"by{processes}.{part}.npy").read_bytes() == whole


def test_an_empty_text_gives_an_empty_sequence(model: Path, tmp_path: Path) -> None:
    assert encode(model, write(tmp_path / "empty", []), tmp_path / "empty", processes=2) == 0
    assert list(Encoded(tmp_path / "empty")) == []


def test_what_lies_behind_the_offsets_is_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "text.offsets.npy", np.array([0, 3, 5]))
    np.save(tmp_path / "text.ids.npy", np.arange(5, dtype=np.uint16))
    with (tmp_path / "text.offsets.npy").open("ab") as file:
        file.write(b"\x09" * 8)
    assert [row.tolist() for row in Encoded(tmp_path / "text")] == [[0, 1, 2], [3, 4]]


def test_a_sentence_whose_length_cannot_be_kept_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "text.offsets.npy", np.array([0, 3, 70_003]))
    np.save(tmp_path / "text.ids.npy", np.zeros(70_003, np.uint16))
    with pytest.raises(EntenteError, match="has 70000 ids, more than 65535"):
        Encoded(tmp_path / "text")


def test_indexes_are_those_of_a_sequence(model: Path, tmp_path: Path) -> None:
    encode(model, write(tmp_path / "text", SENTENCES[:5]), tmp_path / "text", processes=1)
    rows = Encoded(tmp_path / "text")
    assert rows[-1].tolist() == rows[4].tolist()
    assert [row.tolist() for row in rows[1:3]] == [rows[1].tolist(), rows[2].tolist()]
    for beyond in (5, -6):
        with pytest.raises(IndexError):
            rows[beyond]


def test_it_travels_to_a_process_as_its_path(model: Path, tmp_path: Path) -> None:
    encode(model, write(tmp_path / "text", SENTENCES), tmp_path / "text", processes=1)
    pickled = pickle.dumps(Encoded(tmp_path / "text"))
    assert len(pickled) < 1000 < (tmp_path / "text.ids.npy").stat().st_size
    assert pickle.loads(pickled)[3].tolist() == Encoded(tmp_path / "text")[3].tolist()


def test_a_failure_leaves_what_was_there_and_no_temporary_file(model: Path, tmp_path: Path) -> None:
    stem = tmp_path / "out" / "train.fr"
    encode(model, write(tmp_path / "train.fr", SENTENCES), stem, processes=1)
    before = {path.name: path.read_bytes() for path in stem.parent.iterdir()}
    (tmp_path / "train.fr").write_bytes(b"fine\n\xff\n")
    with pytest.raises(EntenteError, match=r"train\.fr, line 2"):
        encode(model, tmp_path / "train.fr", stem, processes=1)
    assert {path.name: path.read_bytes() for path in stem.parent.iterdir()} == before


def test_missing_torn_and_foreign_files_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match="is missing: `dvc repro encode`"):
        Encoded(tmp_path / "absent")
    for name, count in (("one", 3), ("other", 4)):
        encode(model, write(tmp_path / name, SENTENCES[:count]), tmp_path / name, processes=1)
    (tmp_path / "other.offsets.npy").replace(tmp_path / "one.offsets.npy")
    with pytest.raises(EntenteError, match=r"ids and .* expects"):
        Encoded(tmp_path / "one")
    (tmp_path / "one.offsets.npy").write_bytes(b"torn")
    with pytest.raises(EntenteError, match=r"one\.offsets\.npy is damaged"):
        Encoded(tmp_path / "one")


SAMPLED = Segmentation(each=4, alpha=0.2)


def test_segmentations_of_a_sentence_follow_its_best_and_say_the_same(model: Path, tmp_path: Path) -> None:
    text = write(tmp_path / "train.en", SENTENCES)
    encode(model, text, tmp_path / "best", processes=1)
    encode(model, text, tmp_path / "sampled", processes=1, segmentation=SAMPLED)
    best, rows, subwords = Encoded(tmp_path / "best"), Encoded(tmp_path / "sampled"), Subwords(model)
    assert len(rows) == 4 * len(SENTENCES)
    assert subwords.decode([list(row) for row in rows]) == [sentence for sentence in SENTENCES for _ in range(4)]
    assert all(np.array_equal(best[i], rows[4 * i]) for i in range(len(best)))
    assert all(row[-1] == EOS for row in rows)
    assert len({tuple(row) for row in rows[:4]}) > 1


def test_segmentations_are_the_same_again_whatever_the_processes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_BLOCK", 20)
    text = write(tmp_path / "train.en", SENTENCES)
    stems = [tmp_path / name for name in ("one", "again", "two")]
    for stem, processes in zip(stems, (1, 1, 2), strict=True):
        encode(model, text, stem, processes=processes, segmentation=SAMPLED)
    once, again, side_by_side = (stem.with_name(f"{stem.name}.ids.npy").read_bytes() for stem in stems)
    assert once == again == side_by_side
    rows = Encoded(stems[0])
    assert [list(row) for row in rows[1:80:4]] != [list(row) for row in rows[2:80:4]]


@pytest.mark.parametrize(
    ("part", "numbers"),
    [
        ("offsets", np.array(3)),
        ("offsets", np.array([], np.int64)),
        ("offsets", np.array([1, 4])),
        ("offsets", np.array([0, 9, 4])),
        ("offsets", np.array([0.0, 4.0])),
        ("ids", np.array([[5, 6], [7, 8]])),
    ],
)
def test_numbers_that_are_no_rows_are_refused(tmp_path: Path, part: str, numbers: np.ndarray) -> None:
    np.save(tmp_path / "train.offsets.npy", np.array([0, 4]))
    np.save(tmp_path / "train.ids.npy", np.array([5, 6, 7, 3]))
    assert len(Encoded(tmp_path / "train")) == 1
    np.save(tmp_path / f"train.{part}.npy", numbers)
    with pytest.raises(EntenteError, match=rf"train\.{part}\.npy is damaged"):
        Encoded(tmp_path / "train")


@pytest.mark.parametrize(("told", "instead"), [(b"(2,), }", b"(2,(, }"), (b"'<i8'", b"'<,8'")])
def test_a_header_that_cannot_be_read_is_damaged(tmp_path: Path, told: bytes, instead: bytes) -> None:
    np.save(tmp_path / "train.offsets.npy", np.array([0, 4]))
    file = tmp_path / "train.offsets.npy"
    file.write_bytes(file.read_bytes().replace(told, instead))
    with pytest.raises(EntenteError, match=r"offsets\.npy is damaged"):
        Encoded(tmp_path / "train")
