"""Stage `encode`: the text that training reads, prepared and synthetic, as memory-mapped ids."""

from pathlib import Path

from entente.errors import EntenteError, for_people
from entente.options import construct
from entente.text.encoding import encode
from entente.text.parallel import processors
from entente.text.segmentation import BEST, Segmentation
from pipelines.parameters import read

PREPARED, ENCODED, SUBWORDS = Path("data/prepared"), Path("data/encoded"), Path("artifacts/subwords/subwords.model")
SYNTHETIC = Path("data/synthetic")


@for_people
def main() -> None:
    """Write {train,val}.{en,fr}: ids and offsets. What is only judged is cut as suits best."""
    segmentations = {"train": construct(Segmentation, read("segmentation"), "segmentation"), "val": BEST}
    for split, segmentation in segmentations.items():
        for language in ("en", "fr"):
            text, stem = PREPARED / f"{split}.{language}", ENCODED / f"{split}.{language}"
            beside = synthetic(language) if split == "train" else []
            encode(SUBWORDS, text, stem, processes=processors(), segmentation=segmentation, beside=beside)


def synthetic(language: str) -> list[Path]:
    """Return the texts of which `synthetic` in params.yaml says that they are learnt from too."""
    texts = [SYNTHETIC / read("corpus")["name"] / name / f"train.{language}" for name in read("synthetic")]
    for text in texts:
        if not text.exists():
            raise EntenteError(
                f"{text} is missing: `python -m pipelines.synthesize` writes `distilled` and `back_translated`; "
                f"what else `synthetic` names is to be put into {SYNTHETIC}, as its README.md says"
            )
    return texts


if __name__ == "__main__":
    main()
