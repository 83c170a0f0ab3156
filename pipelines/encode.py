"""Stage `encode`: the prepared text that training reads, as memory-mapped ids."""

import os
from pathlib import Path

from entente.errors import for_people
from entente.text.encoded import encode

PREPARED, ENCODED, SUBWORDS = Path("data/prepared"), Path("data/encoded"), Path("artifacts/subwords/subwords.model")


@for_people
def main() -> None:
    """Write {train,val}.{en,fr}: ids and offsets."""
    # The machine's affair: the result does not depend on it.
    processes = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for split in ("train", "val"):
        for language in ("en", "fr"):
            encode(SUBWORDS, PREPARED / f"{split}.{language}", ENCODED / f"{split}.{language}", processes=processes)


if __name__ == "__main__":
    main()
