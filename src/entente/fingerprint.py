"""What determines a training, as one short hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_IGNORED = {"__pycache__"}


def fingerprint(parameters: Mapping[str, Any], paths: Iterable[Path]) -> str:
    """Hash the parameters and the contents of files and folders -> 16 hexadecimal digits.

    Equal parameters and contents give equal fingerprints on every machine. It keys the checkpoints from which an
    interrupted training resumes, and the tracking run to which a later evaluation adds.
    """
    whole = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for path in sorted(paths):
        for file in sorted(_files(path)):
            with file.open("rb") as content:
                whole.update(file.as_posix().encode() + b"\0" + hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()[:16]


def _files(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    return (file for file in path.rglob("*") if file.is_file() and not _IGNORED & set(file.parts))
