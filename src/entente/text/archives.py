"""Texts inside the files that corpora are published as: plain, .gz or .zip."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from entente.errors import EntenteError

_DAMAGE = (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, NotImplementedError)


@contextmanager
def open_text(path: Path, member: str | None) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """Open the bytes of a text: `member` of a .zip; the content of a .gz; the file itself.

    Raises EntenteError where the file or the member is missing, or, also while it is read, damaged.
    """
    try:
        if zipped := path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(member or "") as file:
                yield file
        elif path.suffix == ".gz":
            with gzip.open(path) as unpacked:
                yield unpacked
        else:
            with path.open("rb") as file:
                yield file
    except FileNotFoundError as error:
        raise EntenteError(f"{path} is missing: `dvc repro download` fetches it") from error
    except KeyError as error:
        if not zipped:
            raise
        with zipfile.ZipFile(path) as archive:
            raise EntenteError(f"{path} has no member `{member}`; it has {', '.join(archive.namelist())}") from error
    except _DAMAGE as error:
        raise EntenteError(
            f"{path} is damaged or cut short ({error}): `dvc repro -f download` fetches it anew"
        ) from error


def check(path: Path) -> None:
    """Read a .gz or .zip through, so that its own checksums speak. Raises EntenteError where they disagree."""
    members: list[str | None] = [None]
    if path.suffix == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                members = [name for name in archive.namelist() if not name.endswith("/")]
        except _DAMAGE as error:
            raise EntenteError(f"{path} is damaged or cut short ({error})") from error
    elif path.suffix != ".gz":
        return
    for member in members:
        with open_text(path, member) as file:
            while file.read(1 << 20):
                pass
