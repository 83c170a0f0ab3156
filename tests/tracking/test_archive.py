import io
import json
import lzma
import tarfile
from pathlib import Path

import pytest

from entente.errors import EntenteError
from entente.tracking.archive import RUN, read_archive


def archived(run: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        member = tarfile.TarInfo(f"one/{RUN}")
        member.size = len(run)
        archive.addfile(member, io.BytesIO(run))
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        archived(b"{"),
        archived(b"[]"),
        archived(b"3"),
        archived(json.dumps({"id": "1", "curves": [], "began": 3}).encode()),
        archived(b"[" * 100_000),
        archived(b"{}")[:-20],
        lzma.compress(b"no tar"),
    ],
)
def test_what_is_no_archive_of_runs_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "runs.tar.xz").write_bytes(content)
    with pytest.raises(EntenteError, match=r"runs\.tar\.xz is no archive of runs"):
        read_archive(tmp_path / "runs.tar.xz")
