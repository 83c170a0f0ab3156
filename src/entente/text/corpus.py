"""Aligned text files: read strictly, written whole or not at all."""

import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

import psutil

from entente.errors import EntenteError, naming

LONGEST_LINE = 1 << 26  # bytes


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Hand out a temporary name beside `path`: moved there when the body succeeds, removed when it fails.

    An OSError of the body that names no file names `path`.
    """
    temporary = _draft(path)
    try:
        with naming(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Hand out an empty folder beside `path` that takes its place when the body succeeds, and goes when it fails.

    An OSError of the body that names no file names `path`.
    """
    temporary = _draft(path)
    temporary.mkdir()
    try:
        with naming(path):
            yield temporary
            if path.exists():
                shutil.rmtree(path)
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _draft(path: Path) -> Path:
    """Return a temporary name beside `path`, of this process, and remove what stands under those of killed ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*"):
        process = draft.suffix[1:]
        if process.isdigit() and (int(process) == os.getpid() or not psutil.pid_exists(int(process))):
            if draft.is_dir():
                shutil.rmtree(draft)
            else:
                draft.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}")


def drop_torn_line(path: Path) -> None:
    """Cut a file of lines, if there is one, after its last whole line: a kill or a full disk cuts a line short."""
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def decoded(file: IO[bytes], name: str) -> Iterator[str]:
    """Yield UTF-8 lines as text without their ends.

    Raises EntenteError, naming `name` and the line, for a byte that is not UTF-8 and for a line that fills the memory.
    """
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 1), b""), start=1):
        if len(line) > LONGEST_LINE:
            raise EntenteError(
                f"{name}, line {number} is longer than {LONGEST_LINE:,} bytes: a corpus has a sentence on each line"
            )
        try:
            yield line.rstrip(b"\r\n").decode("utf-8")
        except UnicodeDecodeError as error:
            byte = f"byte {error.start + 1} (0x{line[error.start]:02x})"
            raise EntenteError(
                f"{name}, line {number}: {byte} is not UTF-8; convert the file (`iconv`) or mend the line"
            ) from error


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without their ends (a line ends at a line feed and nowhere else).

    Raises EntenteError where the file is missing, or holds a byte that is not UTF-8 (file and line named).
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise EntenteError(f"{path} is missing: `dvc repro` makes what it depends on") from error
    except IsADirectoryError as error:
        raise EntenteError(f"{path} is a folder, but a file is expected: move it away, `dvc repro` makes it") from error
    with file:
        yield from decoded(file, str(path))


def read_json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the place of each line, for complaints, and what it says, from a file of one JSON value a line.

    Raises EntenteError as `read_lines` does, and where a line is no JSON or has text that can be written nowhere.
    """
    for number, line in enumerate(read_lines(path), start=1):
        place = f"{path}, line {number}"
        try:
            said = json.loads(line)
            json.dumps(said, ensure_ascii=False).encode()  # JSON can spell half a character, UTF-8 cannot
        except (ValueError, RecursionError) as error:
            raise EntenteError(
                f"{place}: not JSON ({error}); mend the line, or let `dvc repro` make it anew"
            ) from error
        yield place, said


def read_references(path: Path) -> list[list[str]]:
    """Return all references of each sentence, first one first, from a file of one JSON list a line.

    Raises EntenteError, naming file and line, where a line is anything else.
    """
    references: list[list[str]] = []
    for place, own in read_json_lines(path):
        if not isinstance(own, list) or not own or not all(isinstance(text, str) for text in own):
            raise EntenteError(f"{place}: expected a JSON list of references; run `dvc repro prepare`")
        references.append(own)
    return references


def aligned(source: Iterator[str], target: Iterator[str], names: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the lines of two texts side by side. Raises EntenteError, with both counts, where one is longer."""
    for number, (one, other) in enumerate(zip_longest(source, target)):
        if one is None or other is None:
            longer = number + 1 + sum(1 for _ in (target if one is None else source))
            counts = (number, longer) if one is None else (longer, number)
            raise EntenteError(
                f"{names[0]} has {counts[0]} lines and {names[1]} {counts[1]}: the sides of a corpus must be "
                "aligned line by line"
            )
        yield one, other


def read_pairs(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Yield the aligned lines of two files. Raises EntenteError, with both counts, where one is longer."""
    return aligned(read_lines(source), read_lines(target), (str(source), str(target)))
