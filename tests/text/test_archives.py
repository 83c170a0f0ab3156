import errno
import gzip
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from entente.errors import EntenteError
from entente.text.archives import check, open_text

CONTENT = b"".join(b"Line %d of a text that does not shrink to nothing: %d.\n" % (i, i * i) for i in range(2000))


@pytest.fixture
def archives(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "text.txt").write_bytes(CONTENT)
    (tmp_path / "text.gz").write_bytes(gzip.compress(CONTENT))
    with zipfile.ZipFile(tmp_path / "text.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.txt", "about")
        archive.writestr("text.txt", CONTENT)
    for path in (tmp_path / "text.tar", tmp_path / "text.tgz"):
        with tarfile.open(path, "w:gz") if path.suffix == ".tgz" else tarfile.open(path, "w") as tar:
            tar.add(tmp_path / "text.gz", "first/text.gz")
            tar.add(tmp_path / "text.txt", "text.txt")
            link = tarfile.TarInfo("link.txt")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
    return {path.suffix: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize(("suffix", "member"), [
    (".txt", None), (".gz", None), (".zip", "text.txt"), (".tar", "text.txt"), (".tar", "first/text.gz"),
    (".tgz", "text.txt"), (".tgz", "first/text.gz"),
])  # fmt: skip
def test_the_same_text_comes_out_of_every_kind(archives: dict[str, Path], suffix: str, member: str | None) -> None:
    check(archives[suffix])
    with open_text(archives[suffix], member) as file:
        assert file.read() == CONTENT


@pytest.mark.parametrize("suffix", [".gz", ".zip", ".tgz"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "a page instead"])
def test_damage_is_noticed(archives: dict[str, Path], suffix: str, damage: str) -> None:
    path = archives[suffix]
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    else:
        content = bytearray(b"<html>Please log in</html>")
    path.write_bytes(content)
    with pytest.raises(EntenteError, match="damaged or cut short"):
        check(path)


@pytest.mark.parametrize(
    ("packed", "at", "new"),
    [
        (zipfile.ZIP_STORED, -6, b"\xff\xff\xff\x7f"),  # where the list of members begins: before the file
        (zipfile.ZIP_BZIP2, 50, b"\0" * 20),
        (zipfile.ZIP_LZMA, 50, b"\xff" * 20),
    ],
)
def test_a_zip_that_says_what_cannot_be_is_damaged(tmp_path: Path, packed: int, at: int, new: bytes) -> None:
    path = tmp_path / "text.zip"
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr("text.txt", CONTENT)
    content = bytearray(path.read_bytes())
    content[at : at + len(new) if at > 0 else len(content) + at + len(new)] = new
    path.write_bytes(content)
    with pytest.raises(EntenteError, match="damaged or cut short"), open_text(path, "text.txt") as file:
        file.read()
    with pytest.raises(EntenteError, match="damaged or cut short"):
        check(path)


def test_a_zip_under_a_password_is_refused(archives: dict[str, Path]) -> None:
    content = bytearray(archives[".zip"].read_bytes())
    for place in (found.start() for found in re.finditer(b"PK\x01\x02", content)):
        content[place + 8] |= 1
    archives[".zip"].write_bytes(content)
    with pytest.raises(EntenteError, match="encrypted"):
        check(archives[".zip"])


def test_a_zip_whose_names_are_no_text_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "text.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("été.txt", CONTENT)
    path.write_bytes(path.read_bytes().replace("été".encode(), b"\xff\xff\xfft\xff"))
    for read in (lambda: check(path), lambda: open_text(path, "été.txt").__enter__()):
        with pytest.raises(EntenteError, match="damaged or cut short"):
            read()


def test_an_error_of_the_disk_to_which_it_is_copied_stays_its_own(archives: dict[str, Path]) -> None:
    with pytest.raises(OSError, match="No space"), open_text(archives[".zip"], "text.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_missing_file_and_a_missing_member_are_named(archives: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match=r"absent\.gz is missing"), open_text(tmp_path / "absent.gz", None):
        pass
    with (
        pytest.raises(EntenteError, match=r"no member `fra\.txt`; it has about\.txt, text\.txt"),
        open_text(archives[".zip"], "fra.txt"),
    ):
        pass


def test_an_error_of_the_reader_stays_its_own(archives: dict[str, Path]) -> None:
    with pytest.raises(KeyError, match="mine"), open_text(archives[".txt"], None):
        raise KeyError("mine")


@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
@pytest.mark.parametrize("member", [None, "missing.txt", "link.txt"])
def test_a_tar_without_such_a_file_says_what_it_has(archives: dict[str, Path], suffix: str, member: str | None) -> None:
    with (
        pytest.raises(EntenteError, match=r"has no member `.*`; it has first/text\.gz, text\.txt$"),
        open_text(archives[suffix], member),
    ):
        pass


def test_a_tar_cut_short_within_a_text_is_damaged(archives: dict[str, Path]) -> None:
    path = archives[".tar"]
    path.write_bytes(path.read_bytes()[: len(CONTENT) // 2])
    with (
        pytest.raises(EntenteError, match="damaged or cut short"),
        open_text(path, "text.txt") as file,
    ):
        file.read()
