"""Runs as files of their own, for what must outlive the store and the machine that made them: a zip for each run."""

import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from entente.errors import EntenteError
from entente.tracking.records import Record

RUN = "run.json"
COMMIT = "mlflow.source.git.commit"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same run gives the same bytes whenever it is archived


@dataclass(frozen=True)
class Archived(Record):
    """A run in a file."""

    file: Path
    curves: Mapping[str, list[tuple[int, float]]]

    def curve(self, figure: str) -> list[tuple[int, float]]:
        """Return the points that were archived."""
        return self.curves.get(figure, [])

    def fetch(self, artifact: str, into: Path) -> Path:
        """Unpack from the file."""
        with zipfile.ZipFile(self.file) as archive:
            members = [name for name in archive.namelist() if name == artifact or name.startswith(f"{artifact}/")]
            if not members:
                raise EntenteError(f"run {self.name} has no {artifact} in {self.file}")
            archive.extractall(into, members)
        return into / artifact


def archive(
    record: Record, file: Path, curves: Iterable[str], folders: Iterable[str], more: Mapping[str, float]
) -> None:
    """Write a run to `file`: parameters, our own tags, figures and `more`, the curves and folders that are named."""
    run = {
        "id": record.id,
        "name": record.name,
        "began": record.began.isoformat(),
        "parameters": record.parameters,
        "tags": {tag: value for tag, value in record.tags.items() if tag == COMMIT or tag.startswith("entente.")},
        "figures": {**record.figures, **more},
        "curves": {figure: record.curve(figure) for figure in curves},
    }
    with TemporaryDirectory() as place, zipfile.ZipFile(file, "w") as made:
        texts = {RUN: json.dumps(run, indent=1, sort_keys=True).encode()}
        for folder in folders:
            found = record.fetch(folder, Path(place))
            texts |= {
                f"{folder}/{one.relative_to(found).as_posix()}": one.read_bytes()
                for one in sorted(found.rglob("*"))
                if one.is_file()
            }
        for name, text in texts.items():
            made.writestr(zipfile.ZipInfo(name, EPOCH), text, zipfile.ZIP_DEFLATED, 9)


def read_archive(file: Path) -> Archived:
    """Return the run in `file`. Raises EntenteError where it is none."""
    try:
        with zipfile.ZipFile(file) as archive:
            run = json.loads(archive.read(RUN))
        began = datetime.fromisoformat(run["began"])
        curves = {figure: [(int(step), value) for step, value in points] for figure, points in run["curves"].items()}
        return Archived(run["id"], run["name"], run["figures"], run["parameters"], run["tags"], began, file, curves)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise EntenteError(f"{file} is no archived run: {error}; delete it, or take it from git again") from error
