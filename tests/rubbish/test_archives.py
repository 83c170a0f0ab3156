"""Archives: what comes out is counted as it comes, and nothing that an entry is called or says leads anywhere."""

import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from entente.errors import EntenteError
from entente.text.archives import check, open_text
from entente.text.corpus import decoded
from entente.tracking.archive import LARGEST, read_archive
from tests.rubbish.table import table

LINE = b"The cat sleeps.\n"
ZEROS = bytes(1 << 20)
MEMBER = "fra.txt"


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, text in members:
            archive.writestr(name, text, compression)
    return content.getvalue()


def bomb() -> bytes:
    """Return 64 MB of zeros, in a thousandth of that."""
    content = io.BytesIO()
    with gzip.open(content, "wb") as file:
        for _ in range(64):
            file.write(ZEROS)
    return content.getvalue()


def many_bombs() -> bytes:
    """Return members that are each small enough, and together are not."""
    return zipped(*((f"{number}.txt", ZEROS * 15) for number in range(6)))


def lying_bomb() -> bytes:
    """Return a bomb whose header says that it holds 16 bytes."""
    content = bytearray(zipped((MEMBER, ZEROS * 64)))
    for place, offset in ((content.find(b"PK\x03\x04"), 22), (content.find(b"PK\x01\x02"), 24)):
        content[place + offset : place + offset + 4] = struct.pack("<I", 16)
    return bytes(content)


def encrypted() -> bytes:
    content = bytearray(zipped((MEMBER, LINE)))
    for place, offset in ((content.find(b"PK\x03\x04"), 6), (content.find(b"PK\x01\x02"), 8)):
        content[place + offset] |= 1
    return bytes(content)


def damaged_sum() -> bytes:
    content = bytearray(zipped((MEMBER, LINE * 50), compression=zipfile.ZIP_STORED))
    content[content.find(b"sleeps")] ^= 0xFF
    return bytes(content)


def unknown_method() -> bytes:
    content = bytearray(zipped((MEMBER, LINE)))
    for place, offset in ((content.find(b"PK\x03\x04"), 8), (content.find(b"PK\x01\x02"), 10)):
        content[place + offset] = 99
    return bytes(content)


def offset_beyond() -> bytes:
    content = bytearray(zipped((MEMBER, LINE)))
    place = content.find(b"PK\x01\x02")
    content[place + 42 : place + 46] = struct.pack("<I", 0x7FFFFFFF)
    return bytes(content)


def another_name() -> bytes:
    content = bytearray(zipped((MEMBER, LINE)))
    content[30:37] = b"eng.txt"
    return bytes(content)


GZ = gzip.compress(LINE * 1000, mtime=0)


@table(
    ("a bomb in .gz", ("b.gz", bomb), r"b\.gz has [\d,]+ bytes and unpacks to more than 200 times that .*not unpacked"),
    ("a bomb in .zip", ("b.zip", lambda: zipped((MEMBER, ZEROS * 64))), r"b\.zip has [\d,]+ bytes and unpacks to more"),
    ("a bomb that says it is small", ("b.zip", lying_bomb), r"b\.zip is damaged|unpacks to more than 200 times that"),
    ("many small bombs", ("b.zip", many_bombs), r"b\.zip has [\d,]+ bytes and unpacks to more than 200 times that"),
    ("bombs one after another", ("b.gz", lambda: gzip.compress(ZEROS * 5) * 12), "unpacks to more than 200 times that"),
    ("a password", ("a.zip", encrypted), r"a\.zip is encrypted: unpack it with its password, pack it again without"),
    (
        "a sum that is wrong",
        ("a.zip", damaged_sum),
        r"a\.zip is damaged or cut short \(Bad CRC-32 .*`dvc repro -f downl",
    ),
    ("a way to pack that is unknown", ("a.zip", unknown_method), r"a\.zip is damaged .*compression method"),
    ("a member beyond the end", ("a.zip", offset_beyond), r"a\.zip is damaged or cut short"),
    ("a member of two names", ("a.zip", another_name), r"a\.zip is damaged .*differ"),
    (
        "a .zip cut short",
        ("a.zip", lambda: zipped((MEMBER, LINE))[:-30]),
        r"a\.zip is damaged or cut short \(File is not",
    ),
    ("a .zip of nothing", ("a.zip", lambda: b""), r"a\.zip is damaged or cut short \(File is not a zip file"),
    ("a .gz in a .zip's name", ("a.zip", lambda: GZ), r"a\.zip is damaged or cut short \(File is not a zip file"),
    ("a .zip in a .gz's name", ("a.gz", lambda: zipped((MEMBER, LINE))), r"a\.gz is damaged .*Not a gzipped file"),
    ("a .gz cut short", ("a.gz", lambda: GZ[:-9]), r"a\.gz is damaged or cut short .*ended before the end-of-stream"),
    (
        "a .gz with a wrong sum",
        ("a.gz", lambda: GZ[:-8] + bytes(8)),
        r"a\.gz is damaged or cut short \(CRC check failed",
    ),
    ("a .gz with a wrong length", ("a.gz", lambda: GZ[:-4] + bytes(4)), r"a\.gz is damaged .*Incorrect length"),
    ("a .gz with its bits turned", ("a.gz", lambda: GZ[:12] + b"\xff" * 8 + GZ[20:]), r"a\.gz is damaged or cut short"),
    ("a .gz with more behind it", ("a.gz", lambda: GZ + b"garbage"), r"a\.gz is damaged .*Not a gzipped file"),
    ("zlib without gzip", ("a.gz", lambda: zlib.compress(LINE)), r"a\.gz is damaged .*Not a gzipped file"),
    ("a login page", ("a.zip", lambda: b"<html>Please log in.</html>"), r"a\.zip is damaged .*File is not a zip file"),
)
def test_an_archive_that_is_downloaded(tmp_path: Path, put_in: tuple[str, Callable[[], bytes]], said: str) -> None:
    path = tmp_path / put_in[0]
    path.write_bytes(put_in[1]())
    with pytest.raises(EntenteError, match=said):
        check(path)
    assert list(tmp_path.iterdir()) == [path]


@table(
    ("a member that is missing", zipped(("_about.txt", b"about")), r"no member `fra\.txt`; it has _about\.txt"),
    ("no member at all", zipped(), r"no member `fra\.txt`; it has "),
    ("a member that is a folder", zipped(("fra.txt/", b"")), r"no member `fra\.txt`; it has "),
    ("a .zip in a .zip", zipped((MEMBER, zipped((MEMBER, b"\xff" * 99)))), r"line 1: byte \d+ \(0x..\) is not UTF-8"),
    ("a bomb of one line", zipped((MEMBER, ZEROS * 64)), "unpacks to more than 200 times that"),
)
def test_an_archive_that_is_read(tmp_path: Path, put_in: bytes, said: str) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(put_in)
    with pytest.raises(EntenteError, match=said), open_text(path, MEMBER) as file:
        list(decoded(file, f"{path}:{MEMBER}"))


def link() -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(MEMBER)
    found.create_system, found.external_attr = 3, 0o120777 << 16
    return found


@table(
    ("a member that climbs out", zipped(("../../fra.txt", LINE)), "../../fra.txt"),
    ("a member from the root", zipped(("/tmp/fra.txt", LINE)), "/tmp/fra.txt"),
    ("a member of another system", zipped(("C:\\fra.txt", LINE)), "C:\\fra.txt"),
    ("a link", zipped((link(), LINE)), MEMBER),
)
def test_a_member_is_read_and_never_put_where_its_name_leads(tmp_path: Path, put_in: bytes, said: str) -> None:
    folder = tmp_path / "deep" / "deeper"
    folder.mkdir(parents=True)
    path = folder / "a.zip"
    path.write_bytes(put_in)
    check(path)
    with open_text(path, said) as file:
        assert list(decoded(file, said)) == ["The cat sleeps."]
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def tarred(*members: tarfile.TarInfo) -> bytes:
    run = json.dumps({"id": "1", "name": "n", "figures": {}, "parameters": {}, "tags": {}, "curves": {},
                      "began": "2026-01-01T00:00:00+00:00"}).encode()  # fmt: skip
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:xz") as archive:
        for member in (named("run/run.json"), *members):
            text = run if member.name == "run/run.json" else LINE
            member.size = len(text) if member.isfile() else 0
            archive.addfile(member, io.BytesIO(text))
    return content.getvalue()


def swollen() -> bytes:
    content, one = io.BytesIO(), named("run/x")
    one.size = LARGEST + 1
    with tarfile.open(fileobj=content, mode="w:xz") as archive:
        archive.addfile(one)  # what is said of it; the bytes need not be there to be refused
    return content.getvalue()


def named(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    return found


@table(
    ("an entry that climbs out", tarred(named("run/../../x")), r"a\.tar\.xz is no archive of runs: .*run/\.\./\.\./x"),
    ("an entry from the root", tarred(named("/etc/x")), r"is no archive of runs: .*/etc/x"),
    ("an entry from the root, below a run", tarred(named("run//etc/x")), r"is no archive of runs: .*run//etc/x"),
    ("a symbolic link", tarred(named("run/x", tarfile.SYMTYPE, "/etc/passwd")), r"is no archive of runs: .*run/x"),
    ("a hard link", tarred(named("run/x", tarfile.LNKTYPE, "run/run.json")), r"is no archive of runs: .*run/x"),
    ("a device", tarred(named("run/x", tarfile.CHRTYPE)), r"is no archive of runs: .*run/x"),
    (
        "a run without its record",
        tarred(named("other/x")),
        r"is no archive of runs: 'run\.json'; delete it, or take it",
    ),
    ("a bomb", swollen(), "is no archive of runs: it unpacks to more than 1,024 MiB"),
    ("a tar that is no tar", b"rubbish", r"is no archive of runs: .*delete it, or take it from git again"),
    ("a tar cut short", tarred()[:100], "is no archive of runs: .*delete it"),
)
def test_an_archive_of_runs(tmp_path: Path, put_in: bytes, said: str) -> None:
    path = tmp_path / "a.tar.xz"
    path.write_bytes(put_in)
    with pytest.raises(EntenteError, match=said):
        read_archive(path)
    assert list(tmp_path.iterdir()) == [path]
