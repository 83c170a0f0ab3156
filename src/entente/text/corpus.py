"""Aligned text files: read strictly, written whole or not at all."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

from entente.errors import EntenteError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Hand out a temporary name beside `path`: moved there when the body succeeds, removed when it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Hand out an empty folder beside `path` that takes its place when the body succeeds, and goes when it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Yield UTF-8 lines as text without their ends. A byte that is not UTF-8 raises, naming `name` and the line."""
    for number, line in enumerate(lines, start=1):
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
    with file:
        yield from decoded(file, str(path))


def read_references(path: Path) -> list[list[str]]:
    """Return all references of each sentence, first one first, from a file of one JSON list a line.

    Raises EntenteError, naming file and line, where a line is anything else.
    """
    references: list[list[str]] = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            own = json.loads(line)
        except ValueError:
            own = None
        if not isinstance(own, list) or not own or not all(isinstance(text, str) for text in own):
            raise EntenteError(f"{path}, line {number}: expected a JSON list of references; run `dvc repro prepare`")
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
