"""Synthetic text: pairs of which no person wrote one side, learnt from beside a corpus's training split.

A folder data/synthetic/CORPUS/NAME holds train.en and train.fr, aligned by line, and where trainings made it made.json:
who did, by which command, and of which training split. What was made of another split could give tests away.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from entente.errors import EntenteError
from entente.text.corpus import read_pairs

SYNTHETIC, MADE = Path("data/synthetic"), "made.json"
ENCODED = "synthetic.json"  # beside the ids: what of them is synthetic
LANGUAGES = ("en", "fr")


def texts(folder: Path) -> tuple[Path, Path]:
    """Return both sides of what is to be learnt from in a folder, English first."""
    return folder / "train.en", folder / "train.fr"


def digest(files: Iterable[Path]) -> str:
    """Return 16 hexadecimal digits that tell of what is in the files, wherever they lie."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


def made(folder: Path) -> dict[str, Any]:
    """Return how a text was made; nothing where it says nothing of that."""
    if not (folder / MADE).exists():
        return {}
    try:
        return dict(json.loads((folder / MADE).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise EntenteError(f"{folder / MADE} is not readable ({error}): make the text anew") from error


def needed(root: Path, folders: Sequence[Path]) -> list[Path]:
    """Return the files of these texts, whose folders lie in `root`; EntenteError where a text is not there."""
    for text in (text for folder in folders for text in texts(folder)):
        if not (root / text).exists():
            raise EntenteError(
                f"{text} is missing: {SYNTHETIC}/README.md says how `python -m pipelines.synthesize` makes `distilled` "
                "and `back_translated`, and where texts of your own go (in a queued experiment: dvc exp run "
                f"--copy-paths {SYNTHETIC})"
            )
    return [file for folder in folders for file in (*texts(folder), folder / MADE)]


def described(folder: Path, prepared: Path) -> dict[str, Any]:
    """Return a text's `pairs`, its `digest`, and the `command` that made it.

    Raises EntenteError where it cannot be learnt from beside the training split in the folder `prepared`.
    """
    maker, split = made(folder), digest(texts(prepared))
    if maker.get("split", split) != split:
        raise EntenteError(
            f"{folder} was made of another training split than the one in {prepared}, and may give its tests away: "
            "remove it, and make it anew of this one (python -m pipelines.synthesize)"
        )
    pairs = sum(1 for _ in read_pairs(*texts(folder)))
    return {"pairs": pairs, "digest": digest(texts(folder)), "command": maker.get("command", "")}
