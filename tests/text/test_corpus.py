from pathlib import Path

import pytest

from entente.errors import EntenteError
from entente.text.corpus import read_lines, read_pairs, read_references, replacing, replacing_folder


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes("one\u2028still one\x0bone\r\ntwo\n\nlast without end".encode())
    assert list(read_lines(tmp_path / "text")) == ["one\u2028still one\x0bone", "two", "", "last without end"]


def test_a_byte_that_is_not_utf_8_is_named_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "text.fr").write_bytes(b"bien\nd\xe9j\xe0\n")
    with pytest.raises(EntenteError, match=r"text\.fr, line 2: byte 2 \(0xe9\) is not UTF-8"):
        list(read_lines(tmp_path / "text.fr"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match=r"absent\.en is missing"):
        list(read_lines(tmp_path / "absent.en"))


def test_pairs_are_aligned_lines(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\ntwo\n")
    (tmp_path / "b").write_text("un\ndeux\n")
    assert list(read_pairs(tmp_path / "a", tmp_path / "b")) == [("one", "un"), ("two", "deux")]


@pytest.mark.parametrize(("source", "target"), [(5, 2), (2, 5), (0, 1)])
def test_sides_of_different_length_are_refused_with_both_counts(tmp_path: Path, source: int, target: int) -> None:
    (tmp_path / "a").write_text("x\n" * source)
    (tmp_path / "b").write_text("y\n" * target)
    with pytest.raises(EntenteError, match=rf"a has {source} lines and \S*b {target}:"):
        list(read_pairs(tmp_path / "a", tmp_path / "b"))


def fail_after_writing(path: Path) -> None:
    path.write_text("half")
    raise EntenteError("no more")


def test_replacing_shows_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with replacing(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with pytest.raises(EntenteError, match="no more"), replacing(path) as temporary:
        fail_after_writing(temporary)
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_replacing_a_folder_shows_all_or_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with replacing_folder(folder) as temporary:
        (temporary / "old").touch()
    with pytest.raises(EntenteError, match="no more"), replacing_folder(folder) as temporary:
        fail_after_writing(temporary / "half")
    assert [path.name for path in folder.iterdir()] == ["old"]
    with replacing_folder(folder) as temporary:
        (temporary / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [folder]


def test_references_are_read_as_lists(tmp_path: Path) -> None:
    file = tmp_path / "test.references.jsonl"
    file.write_text('["Va !"]\n["Je t\'aime.", "Je vous aime."]\n', encoding="utf-8")
    assert read_references(file) == [["Va !"], ["Je t'aime.", "Je vous aime."]]


@pytest.mark.parametrize("line", ["{", "[]", '"Va !"', "[1]"])
def test_what_is_no_list_of_references_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "test.references.jsonl"
    file.write_text(f'["Va !"]\n{line}\n', encoding="utf-8")
    with pytest.raises(EntenteError, match=r"references\.jsonl, line 2"):
        read_references(file)
