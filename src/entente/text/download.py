"""Fetching published corpora: a mirror first, then the origin; resumed, verified, never half there."""

import hashlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import requests
import urllib3
from filelock import FileLock
from pydantic import Field
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from entente.errors import EntenteError
from entente.text.archives import check

# Some hosts (www.manythings.org) refuse the names that HTTP libraries give themselves.
_HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; entente)", "Accept-Encoding": "identity"}
_TIMEOUT = (10, 60)  # seconds to connect, and without a byte
_ATTEMPTS = 5  # in a row without a byte gained
_BACKOFF = 0.5  # seconds before the second attempt, doubled each time
_CHUNK = 1 << 16
_HTTP_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)


@dataclass(frozen=True)
class Source:
    """A published file. `sha256` is pinned, or None where the publisher replaces the file now and then."""

    url: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None

    def __post_init__(self) -> None:
        """Refuse what names no file on a server, or would give a password away."""
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise EntenteError(f"corpus.download.files: {self.url} is no address ({error})") from error
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or not self.name
            or ".." in self.place.split("/")
        ):
            raise EntenteError(
                f"corpus.download.files: {self.url} is no address of a file on a server: write https://HOST/PATH/FILE"
            )
        if "@" in parts.netloc:
            raise EntenteError(
                f"corpus.download.files: {self.url} holds a password, which params.yaml and every run would show: take "
                "it out of the address and put it into ~/.netrc, where downloads look"
            )

    @property
    def place(self) -> str:
        """`<host>/<path>`, as a mirror is laid out."""
        parts = urlsplit(self.url)
        return f"{parts.netloc}{parts.path}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return Path(self.place).name


def download(sources: Sequence[Source], folder: Path, *, kept: Path, mirror: str | None) -> None:
    """Fetch `sources` into `folder`, under their own names, beside SHA256SUMS of what was seen.

    `mirror` is a folder or a base URL laid out <host>/<path>, asked first. What has come lies in `kept` until
    everything is there, so that an interrupted download goes on where it was. Raises EntenteError with the list
    of what was tried for a source that answers nowhere, or not with what was pinned.
    """
    kept.mkdir(parents=True, exist_ok=True)
    with FileLock(kept / ".lock"):  # two experiments may want the same files
        fetched = {source.name: _fetch(source, kept / source.place, mirror) for source in sources}
        for name, path in fetched.items():
            shutil.copyfile(path, folder / name)
        sums = "".join(f"{_sha256(path)}  {name}\n" for name, path in fetched.items())
        (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")  # what `sha256sum --check` reads
        for path in fetched.values():
            path.unlink()


def _fetch(source: Source, path: Path, mirror: str | None) -> Path:
    """Bring `source` to `path`, whole and verified, from the first origin that has it."""
    if path.exists() and _complaint(source, path) is None:
        return path  # of an earlier, interrupted run
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    origins = [source.url] if mirror is None else [f"{mirror.rstrip('/')}/{source.place}", source.url]
    tried = []
    for origin in origins:
        if (complaint := _bring(source, origin, part)) is None:
            _etag(part).unlink(missing_ok=True)
            return part.replace(path)
        tried.append(f"\n  {origin}: {complaint}")
    raise EntenteError(
        f"cannot download {source.name}; tried{''.join(tried)}\nCheck the connection and run the same command again "
        "(it goes on where it was), or let ENTENTE_MIRROR name a folder or URL that holds <host>/<path>"
    )


def _bring(source: Source, origin: str, part: Path) -> str | None:
    """Bring `origin` to `part`; return what is wrong, or None. What is whole but wrong is removed."""
    resumed = part.exists()
    try:
        if urlsplit(origin).scheme in ("http", "https"):
            _get(origin, part)
        else:
            _copy(Path(origin), part)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return "no such file"
    except _HTTP_ERRORS as error:
        return _reason(error)
    complaint = _complaint(source, part)
    if complaint is None:
        return None
    part.unlink()
    _etag(part).unlink(missing_ok=True)
    # What an earlier run left may be of another edition of the file: begin anew, once.
    return _bring(source, origin, part) if resumed else complaint


def _complaint(source: Source, path: Path) -> str | None:
    """Return what is wrong with a whole file: not what was pinned, or damaged by its own checksums."""
    if source.sha256 is not None and (seen := _sha256(path)) != source.sha256:
        return f"sha256 is {seen}, expected {source.sha256}: damaged on its way, or replaced by its publisher"
    try:
        check(path)
    except EntenteError as error:
        return str(error)
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bar(name: str, total: int | None) -> "tqdm[NoReturn]":
    return tqdm(desc=name, total=total, unit="B", unit_scale=True, unit_divisor=1024, delay=2)


def _copy(origin: Path, part: Path) -> None:
    with origin.open("rb") as source, part.open("wb") as target, _bar(origin.name, origin.stat().st_size) as bar:
        while chunk := source.read(_CHUNK):
            target.write(chunk)
            bar.update(len(chunk))


def _get(url: str, part: Path) -> None:
    """Bring `url` to `part`, going on from what is there, again and again while that gains something."""
    retry = Retry(total=_ATTEMPTS, connect=2, backoff_factor=_BACKOFF, status_forcelist=(429, 500, 502, 503, 504))
    failures = 0
    with requests.Session() as session, _bar(part.name, None) as bar:
        session.headers.update(_HEADERS)
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        while True:
            before = _size(part)
            try:
                return _receive(session, url, part, bar)
            except urllib3.exceptions.HTTPError:  # cut off within the body, which Retry does not see
                failures = 0 if _size(part) > before else failures + 1
                if failures == _ATTEMPTS:
                    raise
                time.sleep(_BACKOFF * 2**failures)


def _receive(session: requests.Session, url: str, part: Path, bar: "tqdm[NoReturn]") -> None:
    have = _size(part)
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and _etag(part).exists():
        headers["If-Range"] = _etag(part).read_text(encoding="utf-8")
    with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()
            return _receive(session, url, part, bar)
        response.raise_for_status()
        resumes = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if (etag := response.headers.get("ETag", "")).startswith('"'):  # a weak one promises no equal bytes
            _etag(part).write_text(etag, encoding="utf-8")
        else:
            _etag(part).unlink(missing_ok=True)
        bar.reset((response.raw.length_remaining or 0) + have * resumes or None)
        bar.update(have * resumes)
        with part.open("ab" if resumes else "wb") as file:
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                file.write(chunk)
                bar.update(len(chunk))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _etag(part: Path) -> Path:
    """Where the server's name for the edition that `part` is of stands."""
    return part.with_name(f"{part.name}.etag")


def _reason(error: Exception) -> str:
    """Return the innermost of the exceptions that HTTP libraries wrap in each other."""
    while isinstance(inner := getattr(error, "reason", None) or (error.args or [None])[0], Exception):
        error = inner
    return str(error)
