import gzip
import hashlib
import random
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from entente.errors import EntenteError
from entente.text import download as transport
from entente.text.download import Source, download

CONTENT = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Publisher:
    """A server on the loopback interface that answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag: str | None = '"first"'
        self.refusals: list[int] = []  # statuses to answer first
        self.cuts: list[int] = []  # bytes after which to hang up, first
        self.ranges = True
        self.length: str | None = None  # what to say of it
        self.asked: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, publisher: Publisher, *arguments: Any) -> None:
        self.publisher = publisher
        super().__init__(*arguments)

    def do_GET(self) -> None:
        publisher = self.publisher
        publisher.asked.append(dict(self.headers))
        if publisher.refusals:
            self.send_response(publisher.refusals.pop(0))
            self.end_headers()
            return
        start, size = 0, len(publisher.content)
        if publisher.ranges and self.headers.get("If-Range") in (None, publisher.etag):
            start = int(re.sub(r"\D", "", self.headers.get("Range", "0")))
        if start >= size:
            self.send_response(416)
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if publisher.etag:
            self.send_header("ETag", publisher.etag)
        self.send_header("Content-Length", publisher.length or str(size - start))
        self.end_headers()
        end = start + publisher.cuts.pop(0) if publisher.cuts else size
        self.wfile.write(publisher.content[start:end])

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setattr(transport, "_BACKOFF", 0)
    server = Publisher()
    yield server
    server.close()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    raw, kept = tmp_path / "raw", tmp_path / "kept"
    raw.mkdir()
    return raw, kept


def left_in(kept: Path) -> list[str]:
    return sorted(path.name for path in kept.rglob("*") if path.is_file() and path.name != ".lock")


def test_what_comes_is_whole_and_its_sum_recorded(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    raw, kept = folders
    download([Source(f"{publisher.url}/a/file.bin", SHA256)], raw, kept=kept, mirror=None)
    assert (raw / "file.bin").read_bytes() == CONTENT
    assert (raw / "SHA256SUMS").read_text() == f"{SHA256}  file.bin\n"
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=raw, check=True)
    assert left_in(kept) == []
    assert "python" not in publisher.asked[0]["User-Agent"].lower()


def test_a_busy_server_is_asked_again(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    publisher.refusals = [503, 429, 500]
    download([Source(f"{publisher.url}/file.bin", SHA256)], folders[0], kept=folders[1], mirror=None)
    assert (folders[0] / "file.bin").read_bytes() == CONTENT
    assert len(publisher.asked) == 4


def test_a_cut_connection_is_resumed_where_it_was(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    publisher.cuts = [100_000, 50_000]
    download([Source(f"{publisher.url}/file.bin", None)], folders[0], kept=folders[1], mirror=None)
    assert (folders[0] / "file.bin").read_bytes() == CONTENT
    assert [asked.get("Range") for asked in publisher.asked] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_length_that_is_no_number_is_no_matter(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    publisher.length = "long"
    download([Source(f"{publisher.url}/file.bin", SHA256)], folders[0], kept=folders[1], mirror=None)
    assert (folders[0] / "file.bin").read_bytes() == CONTENT


def test_a_server_that_knows_no_ranges_begins_anew(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    publisher.cuts, publisher.ranges = [100_000], False
    download([Source(f"{publisher.url}/file.bin", None)], folders[0], kept=folders[1], mirror=None)
    assert (folders[0] / "file.bin").read_bytes() == CONTENT


@pytest.fixture
def interrupted(publisher: Publisher, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Source:
    """Leave a download that was given up in the middle."""
    publisher.cuts = [100_000] + [0] * 5
    source = Source(f"{publisher.url}/file.bin", None)
    with pytest.raises(EntenteError, match=r"file\.bin"):
        download([source], folders[0], kept=folders[1], mirror=None)
    assert "file.part.bin" in left_in(folders[1])
    assert not list(folders[0].iterdir())
    publisher.asked.clear()
    return source


def test_the_next_run_goes_on_where_the_last_one_was(
    publisher: Publisher, folders: tuple[Path, Path], interrupted: Source
) -> None:
    download([interrupted], folders[0], kept=folders[1], mirror=None)
    assert (folders[0] / "file.bin").read_bytes() == CONTENT
    assert [asked.get("Range") for asked in publisher.asked] == ["bytes=100000-"]


def test_a_file_replaced_meanwhile_is_not_sewn_to_the_old_half(
    publisher: Publisher, folders: tuple[Path, Path], interrupted: Source
) -> None:
    publisher.content, publisher.etag = CONTENT[::-1], '"second"'
    download([interrupted], folders[0], kept=folders[1], mirror=None)
    assert (folders[0] / "file.bin").read_bytes() == CONTENT[::-1]


def test_a_seam_that_the_sum_betrays_is_undone(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    publisher.etag = None
    publisher.cuts = [100_000] + [0] * 5
    with pytest.raises(EntenteError):
        download([Source(f"{publisher.url}/file.bin", SHA256)], folders[0], kept=folders[1], mirror=None)
    publisher.content = CONTENT[::-1]
    reversed_sum = hashlib.sha256(CONTENT[::-1]).hexdigest()
    download([Source(f"{publisher.url}/file.bin", reversed_sum)], folders[0], kept=folders[1], mirror=None)
    assert (folders[0] / "file.bin").read_bytes() == CONTENT[::-1]


def test_a_part_longer_than_the_file_is_thrown_away(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    part = folders[1] / urlsplit(publisher.url).netloc / "file.part.bin"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT * 2)
    download([Source(f"{publisher.url}/file.bin", SHA256)], folders[0], kept=folders[1], mirror=None)
    assert (folders[0] / "file.bin").read_bytes() == CONTENT


def test_what_is_not_what_was_pinned_is_refused_and_removed(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    with pytest.raises(EntenteError, match=rf"sha256 is {SHA256}, expected {'0' * 64}"):
        download([Source(f"{publisher.url}/file.bin", "0" * 64)], folders[0], kept=folders[1], mirror=None)
    assert not list(folders[0].iterdir())
    assert left_in(folders[1]) == []


def test_a_login_page_is_no_archive(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    publisher.content = b"<html>Welcome to this hotel. Please log in.</html>"
    with pytest.raises(EntenteError, match="damaged or cut short"):
        download([Source(f"{publisher.url}/fra-eng.zip", None)], folders[0], kept=folders[1], mirror=None)


def test_what_was_finished_is_not_asked_for_again(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    first, second = (Source(f"{publisher.url}/{name}.bin", None) for name in ("first", "second"))
    publisher.refusals = []
    publisher.cuts = [len(CONTENT)] + [0] * 5
    with pytest.raises(EntenteError, match=r"second\.bin"):
        download([first, second], folders[0], kept=folders[1], mirror=None)
    publisher.asked.clear()
    download([first, second], folders[0], kept=folders[1], mirror=None)
    assert sorted(path.name for path in folders[0].iterdir()) == ["SHA256SUMS", "first.bin", "second.bin"]
    assert len(publisher.asked) == 1


def mirrored(folder: Path, url: str, content: bytes) -> Path:
    path = folder / Source(url, None).place
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return folder


def test_a_mirror_folder_is_asked_first(publisher: Publisher, folders: tuple[Path, Path], tmp_path: Path) -> None:
    url = f"{publisher.url}/deep/file.gz"
    content = gzip.compress(CONTENT)
    mirror = mirrored(tmp_path / "mirror", url, content)
    download([Source(url, None)], folders[0], kept=folders[1], mirror=str(mirror))
    assert (folders[0] / "file.gz").read_bytes() == content
    assert publisher.asked == []


def test_a_mirror_may_be_a_server(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    source = Source("https://nowhere.invalid/deep/file.bin", SHA256)
    download([source], folders[0], kept=folders[1], mirror=f"{publisher.url}/")
    assert (folders[0] / "file.bin").read_bytes() == CONTENT


def test_where_the_mirror_has_nothing_or_rubbish_the_origin_is_asked(
    publisher: Publisher, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    url = f"{publisher.url}/file.bin"
    for number, mirror in enumerate([tmp_path / "absent", mirrored(tmp_path / "rubbish", url, b"rubbish")], start=1):
        download([Source(url, SHA256)], folders[0], kept=folders[1], mirror=str(mirror))
        assert (folders[0] / "file.bin").read_bytes() == CONTENT
        assert len(publisher.asked) == number


def test_a_source_that_answers_nowhere_fails_with_all_that_was_tried(
    publisher: Publisher, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    publisher.refusals = [404]
    url = f"{publisher.url}/file.bin"
    with pytest.raises(EntenteError) as caught:
        download([Source(url, SHA256)], folders[0], kept=folders[1], mirror=str(tmp_path / "mirror"))
    message = str(caught.value)
    assert f"{tmp_path}/mirror/{Source(url, None).place}: no such file" in message
    assert f"{url}: 404" in message
    assert "ENTENTE_MIRROR" in message


def test_a_server_that_is_not_there_is_named(publisher: Publisher, folders: tuple[Path, Path]) -> None:
    publisher.close()
    with pytest.raises(EntenteError, match=r"cannot download file\.bin; tried\n.*refused"):
        download([Source(f"{publisher.url}/file.bin", None)], folders[0], kept=folders[1], mirror=None)
