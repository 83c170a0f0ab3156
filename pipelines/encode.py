"""Stage `encode`: the prepared text that training reads, as memory-mapped ids."""

from pathlib import Path

from entente.errors import for_people
from entente.options import construct
from entente.text.encoding import encode
from entente.text.parallel import processors
from entente.text.segmentation import BEST, Segmentation
from pipelines.parameters import read

PREPARED, ENCODED, SUBWORDS = Path("data/prepared"), Path("data/encoded"), Path("artifacts/subwords/subwords.model")


@for_people
def main() -> None:
    """Write {train,val}.{en,fr}: ids and offsets. What is only judged is cut as suits best."""
    segmentations = {"train": construct(Segmentation, read("segmentation"), "segmentation"), "val": BEST}
    for split, segmentation in segmentations.items():
        for language in ("en", "fr"):
            text, stem = PREPARED / f"{split}.{language}", ENCODED / f"{split}.{language}"
            encode(SUBWORDS, text, stem, processes=processors(), segmentation=segmentation)


if __name__ == "__main__":
    main()
