"""Runs as a file, for what must outlive the store and the machine that made them: a tar of a folder for each run.

All runs are packed together: their files have sources and references in common, and take up a fraction of their size.
"""

import io
import json
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from entente.errors import EntenteError
from entente.text.corpus import replacing
from entente.tracking.records import Record
from entente.tracking.runs import COMMIT

RUN = "run.json"
LARGEST = 2**30  # bytes that an archive may unpack to: it is read into memory
# What a run.json of another shape raises.
_MISFITS = (AttributeError, LookupError, RecursionError, TypeError, ValueError)

Files = Mapping[str, bytes]  # by their path


@dataclass(frozen=True)
class Archived(Record):
    """A run out of an archive."""

    curves: Mapping[str, list[tuple[int, float]]]
    files: Files

    def curve(self, figure: str) -> list[tuple[int, float]]:
        """Return the points that were archived."""
        return self.curves.get(figure, [])

    def fetch(self, artifact: str, into: Path) -> Path:
        """Write what was archived of a file or folder."""
        found = {name: text for name, text in self.files.items() if f"{name}/".startswith(f"{artifact}/")}
        if not found:
            raise EntenteError(f"of run {self.name} ({self.id}) no {artifact} was archived")
        for name, text in found.items():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes(text)
        return into / artifact


def contents(record: Record, curves: Iterable[str], more: Mapping[str, float], folder: Path) -> Files:
    """Return what to archive of a run: parameters, our own tags, figures and `more`, named curves, `folder`'s files."""
    run = {
        "id": record.id,
        "name": record.name,
        "began": record.began.isoformat(),
        "parameters": record.parameters,
        "tags": {tag: value for tag, value in record.tags.items() if tag == COMMIT or tag.startswith("entente.")},
        "figures": {**record.figures, **more},
        "curves": {figure: record.curve(figure) for figure in curves},
    }
    files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    return {RUN: json.dumps(run, sort_keys=True).encode()} | {name: file.read_bytes() for name, file in files.items()}


def write_archive(file: Path, runs: Mapping[str, Files]) -> None:
    """Write runs, each under its name; the same runs make the same bytes."""
    with replacing(file) as temporary, tarfile.open(temporary, "w:xz", format=tarfile.PAX_FORMAT, preset=9) as made:
        for run, files in sorted(runs.items()):
            for name, text in files.items():
                member = tarfile.TarInfo(f"{run}/{name}")
                member.size = len(text)
                made.addfile(member, io.BytesIO(text))


def read_archive(file: Path) -> list[Archived]:
    """Return the runs in `file`. Raises EntenteError where it is damaged, or no such archive."""
    found: dict[str, dict[str, bytes]] = {}
    size = 0
    try:
        with tarfile.open(file, "r:xz") as archive:
            for member in archive:
                packed = archive.extractfile(member) if member.isfile() else None
                run, *parts = member.name.split("/")
                if packed is None or not parts or {"", ".", ".."} & {run, *parts}:
                    raise ValueError(f"it holds {member.name}, which is no file of a run")
                size += member.size
                if size > LARGEST:
                    raise ValueError(f"it unpacks to more than {LARGEST >> 20:,} MiB")
                found.setdefault(run, {})["/".join(parts)] = packed.read()
        return [_archived(files) for files in found.values()]
    except (tarfile.TarError, lzma.LZMAError, MemoryError, OSError, EOFError, *_MISFITS) as error:
        raise EntenteError(f"{file} is no archive of runs: {error}; delete it, or take it from git again") from error


def _archived(files: Files) -> Archived:
    run = json.loads(files[RUN])
    curves = {figure: [(int(step), value) for step, value in points] for figure, points in run["curves"].items()}
    began = datetime.fromisoformat(run["began"])
    return Archived(run["id"], run["name"], run["figures"], run["parameters"], run["tags"], began, curves, files)
