import gzip
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
    return {path.suffix: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize(("suffix", "member"), [(".txt", None), (".gz", None), (".zip", "text.txt")])
def test_the_same_text_comes_out_of_every_kind(archives: dict[str, Path], suffix: str, member: str | None) -> None:
    check(archives[suffix])
    with open_text(archives[suffix], member) as file:
        assert file.read() == CONTENT


@pytest.mark.parametrize("suffix", [".gz", ".zip"])
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
