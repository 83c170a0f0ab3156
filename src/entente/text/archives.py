"""Texts inside the files that corpora are published as: plain, .gz, .zip, .tar or .tgz."""

import errno
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from entente.errors import EntenteError

# Text shrinks to a tenth or, where it repeats itself, to a hundredth; what is made to fill a disk, to a thousandth.
MOST_TIMES, MOST_BYTES = 200, 1 << 37
_SMALL = 1 << 24  # bytes that any archive may hold
_BUFFER = 1 << 18

# What damage looks like to those who unpack, while they read; to open is to believe names, sizes and places too.
_READING = (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError)
_OPENING = (*_READING, NotImplementedError, ValueError, struct.error)
_TARS = (".tar", ".tgz")


class _Allowance:
    """How many bytes may still come out of an archive. What its header says of that is not asked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._left = min(MOST_BYTES, _SMALL + MOST_TIMES * self._size)

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise EntenteError(
                f"{self._path} has {self._size:,} bytes and unpacks to more than {MOST_TIMES} times that or "
                f"{MOST_BYTES:,}: no text does, so it is not unpacked; take the corpus from another place"
            )


class _Unpacked(io.RawIOBase):
    """What comes out of an archive, counted as it is read. Raises EntenteError where that is too much, or damaged."""

    def __init__(self, path: Path, file: IO[bytes] | gzip.GzipFile, allowance: _Allowance) -> None:
        self._path, self._file, self._allowance = path, file, allowance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        try:
            content = self._file.read(len(buffer))
        except _READING as error:
            raise _damaged(self._path, error) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise _damaged(self._path, error) from error  # of bzip2, which has no error of its own
        self._allowance.take(len(content))
        buffer[: len(content)] = content
        return len(content)


@contextmanager
def open_text(path: Path, member: str | None, allowance: _Allowance | None = None) -> Iterator[IO[bytes]]:
    """Open the bytes of a text: `member` of a .zip, .tar or .tgz, wherever its name leads, unpacked if it is a .gz
    itself; the content of a .gz; the file itself.

    Raises EntenteError where the file or the member is missing, or, also while it is read, damaged or swelling.
    """
    with ExitStack() as stack:
        file: IO[bytes]
        try:
            if path.suffix == ".zip":
                archive = stack.enter_context(zipfile.ZipFile(path))
                packed: IO[bytes] | gzip.GzipFile = stack.enter_context(archive.open(member or ""))
            elif path.suffix in _TARS:
                packed = stack.enter_context(_member(stack.enter_context(_tar(path))[0], member or ""))
                if (member or "").endswith(".gz"):
                    packed = stack.enter_context(gzip.GzipFile(fileobj=packed))
            elif path.suffix == ".gz":
                packed = stack.enter_context(gzip.open(path))
            else:
                file = stack.enter_context(path.open("rb"))
        except FileNotFoundError as error:
            raise EntenteError(f"{path} is missing: `dvc repro download` fetches it") from error
        except IsADirectoryError as error:
            raise EntenteError(f"{path} is a folder: move it away, `dvc repro download` fetches the file") from error
        except KeyError as error:
            raise EntenteError(f"{path} has no member `{member}`; it has {', '.join(_members(path))}") from error
        except _OPENING as error:
            raise _damaged(path, error) from error
        except OSError as error:
            if error.errno not in (None, errno.EINVAL):
                raise
            raise _damaged(path, error) from error  # a place before the file's beginning
        except RuntimeError as error:  # as zipfile has it
            raise EntenteError(f"{path} is encrypted: unpack it with its password, pack it again without") from error
        if path.suffix in (".zip", ".gz", *_TARS):
            file = io.BufferedReader(_Unpacked(path, packed, allowance or _Allowance(path)), _BUFFER)
        yield file


@contextmanager
def _tar(path: Path) -> Iterator[tuple[tarfile.TarFile, IO[bytes] | gzip.GzipFile]]:
    """Open a .tar or .tgz to be read once, from its beginning, and what lies below it."""
    with (
        gzip.open(path) if path.suffix == ".tgz" else path.open("rb") as file,
        tarfile.open(fileobj=file, mode="r|") as archive,
    ):
        yield archive, file


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Find a file on the way through an archive, which may be large and is read once. KeyError where there is none."""
    for member in archive:
        if member.name == name and member.isfile():
            found = archive.extractfile(member)
            assert found is not None  # since it is a file
            return found
    raise KeyError(name)


def check(path: Path) -> None:
    """Read an archive through, so that its own checksums speak. Raises EntenteError where they disagree."""
    if path.suffix in _TARS:
        _members(path)
    if path.suffix not in (".zip", ".gz"):
        return
    allowance = _Allowance(path)
    for member in _members(path) if path.suffix == ".zip" else [None]:
        with open_text(path, member, allowance) as file:
            while file.read(_BUFFER):
                pass


def _members(path: Path) -> list[str]:
    try:
        if path.suffix in _TARS:
            with _tar(path) as (tar, file):
                names = [one.name for one in tar if one.isfile()]
                while file.read(_BUFFER):  # behind the last member: a .tgz has its checksum there
                    pass
                return names
        with zipfile.ZipFile(path) as archive:
            return [name for name in archive.namelist() if not name.endswith("/")]
    except _OPENING as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> EntenteError:
    return EntenteError(f"{path} is damaged or cut short ({error}): `dvc repro -f download` fetches it anew")
