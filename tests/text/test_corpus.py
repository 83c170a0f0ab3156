import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.errors import EntenteError
from entente.text.corpus import (
    aligned,
    decoded,
    drop_torn_line,
    read_lines,
    read_pairs,
    read_references,
    replacing,
    replacing_folder,
)

BYTES = (
    st.binary()
    | st.text().map(str.encode)
    | st.lists(st.sampled_from([b"\n", b"\r", b"a", b"\xe9", b"\xc3"])).map(b"".join)
)


@given(BYTES)
def test_any_bytes_are_lines_or_named_by_the_first_that_is_not_utf_8(content: bytes) -> None:
    lines = content.split(b"\n")[: None if content and not content.endswith(b"\n") else -1]
    given = io.BytesIO(b"".join(line + b"\n" for line in lines))
    try:
        expected = [line.rstrip(b"\r").decode() for line in lines]
    except UnicodeDecodeError:
        with pytest.raises(EntenteError, match=r"^text, line \d+: byte \d+ \(0x..\) is not UTF-8"):
            list(decoded(given, "text"))
    else:
        assert list(decoded(given, "text")) == expected


@given(st.lists(st.text()), st.lists(st.text()))
def test_sides_are_paired_whole_or_refused_with_both_counts(one: list[str], other: list[str]) -> None:
    pairs = aligned(iter(one), iter(other), ("a", "b"))
    if len(one) == len(other):
        assert list(pairs) == list(zip(one, other, strict=True))
    else:
        with pytest.raises(EntenteError, match=rf"^a has {len(one)} lines and b {len(other)}:"):
            list(pairs)


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("references") / "test.references.jsonl"


@given(own=st.lists(st.lists(st.text(), min_size=1)), is_ascii=st.booleans())
def test_references_come_back_as_they_were_written(references: Path, own: list[list[str]], is_ascii: bool) -> None:
    lines = "".join(json.dumps(one, ensure_ascii=is_ascii) + "\n" for one in own)
    references.write_text(lines, encoding="utf-8", newline="")
    assert read_references(references) == own


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


@pytest.mark.parametrize("line", ["{", "[]", '"Va !"', "[1]", r'["\ud800"]', "[" * 100_000])
def test_what_is_no_list_of_references_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "test.references.jsonl"
    file.write_text(f'["Va !"]\n{line}\n', encoding="utf-8")
    with pytest.raises(EntenteError, match=r"references\.jsonl, line 2"):
        read_references(file)


def test_drafts_of_killed_processes_go_and_those_of_others_stay(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    dead, alive = (tmp_path / f".out.{process}" for process in (killed.pid, os.getppid()))
    dead.write_text("half")
    alive.write_text("half")
    (tmp_path / f".out.{os.getpid()}").mkdir()  # process numbers come again
    with replacing(tmp_path / "out") as temporary:
        temporary.write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [alive.name, "out"]
    dead.mkdir()
    (dead / "half").touch()
    with replacing_folder(tmp_path / "out.d"):
        assert dead.exists()  # of another out
    (tmp_path / "out").unlink()
    with replacing_folder(tmp_path / "out") as folder:
        (folder / "whole").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [alive.name, "out", "out.d"]


@pytest.mark.parametrize("context", [replacing, replacing_folder])
def test_an_error_of_the_system_that_names_no_file_names_what_was_to_be_written(
    tmp_path: Path, context: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    with pytest.raises(OSError, match=r"No space left.*the out") as full, context(tmp_path / "the out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert full.value.filename == str(tmp_path / "the out")
    with pytest.raises(OSError, match="another"), context(tmp_path / "the out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "another")


@pytest.mark.parametrize(
    ("torn", "whole"), [(b"1\n2\n", b"1\n2\n"), (b"1\n2", b"1\n"), (b"1", b""), (b"", b""), (None, None)]
)
def test_a_line_that_was_cut_short_goes(tmp_path: Path, torn: bytes | None, whole: bytes | None) -> None:
    file = tmp_path / "lines"
    if torn is not None:
        file.write_bytes(torn)
    drop_torn_line(file)
    assert (file.read_bytes() if file.exists() else None) == whole
