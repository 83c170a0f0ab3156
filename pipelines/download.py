"""Stage `download`: the chosen corpus into data/raw, fetched, or expanded from the grammar."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from entente.errors import for_people
from entente.options import choose
from entente.text.corpus import replacing_folder
from entente.text.download import Source, download
from entente.text.grammar import write_corpus
from pipelines.parameters import read

GRAMMAR, RAW = Path("data/grammar"), Path("data/raw")


def fetch(folder: Path, files: Sequence[Mapping[str, Any]]) -> None:
    """Fetch published files. ENTENTE_MIRROR, a folder or base URL, is the machine's affair: not in params.yaml."""
    root = Path(os.environ.get("DVC_ROOT", "."))  # also in the copies that DVC makes for queued experiments
    mirror = os.environ.get("ENTENTE_MIRROR") or None
    if mirror is not None and "://" not in mirror:
        mirror = str(root / mirror)
    sources = [choose({"file": Source}, {"kind": "file", **file}, "corpus.download.files")() for file in files]
    download(sources, folder, kept=root / "downloads", mirror=mirror)


@for_people
def main() -> None:
    """Fill data/raw, whole or not at all."""
    with replacing_folder(RAW) as folder:
        kinds: dict[str, Callable[..., object]] = {
            "grammar": partial(write_corpus, GRAMMAR, folder),
            "files": partial(fetch, folder),
        }
        choose(kinds, read("corpus")["download"], "corpus.download")()


if __name__ == "__main__":
    main()
