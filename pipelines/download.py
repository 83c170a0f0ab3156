"""Stage `download`: the chosen corpus into data/raw, fetched, or expanded from the grammar."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from entente.errors import for_people
from entente.options import Option, choose, construct
from entente.text.corpus import replacing_folder
from entente.text.download import Source, download
from entente.text.grammar import write_corpus
from pipelines.parameters import read

GRAMMAR, RAW = Path("data/grammar"), Path("data/raw")


def fetch(folder: Path, files: Annotated[Sequence[Option], Field(min_length=1)]) -> None:
    """Fetch published files. ENTENTE_MIRROR, a folder or base URL, is the machine's affair: not in params.yaml."""
    root = Path(os.environ.get("DVC_ROOT", "."))  # also in the copies that DVC makes for queued experiments
    mirror = os.environ.get("ENTENTE_MIRROR") or None
    if mirror is not None and "://" not in mirror:
        mirror = str(root / mirror)
    download(sources(files), folder, kept=root / "downloads", mirror=mirror)


def sources(files: Sequence[Option]) -> list[Source]:
    """Return the published files that `corpus.download.files` in params.yaml describes."""
    return [construct(Source, file, f"corpus.download.files.{number}") for number, file in enumerate(files)]


def described(download: Option, folder: Path) -> Callable[[], object]:
    """Return what fills a folder with a corpus, as `corpus.download` in params.yaml describes it."""
    kinds: dict[str, Callable[..., object]] = {
        "grammar": partial(write_corpus, GRAMMAR, folder),
        "files": partial(fetch, folder),
    }
    chosen = choose(kinds, download, "corpus.download", whole=True)
    sources(download.get("files", []))
    return chosen


@for_people
def main() -> None:
    """Fill data/raw, whole or not at all."""
    with replacing_folder(RAW) as folder:
        described(read("corpus")["download"], folder)()


if __name__ == "__main__":
    main()
