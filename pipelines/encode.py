"""Stage `encode`: the text that training reads, prepared and synthetic, as memory-mapped ids."""

import json
from pathlib import Path

from entente.errors import for_people
from entente.options import construct
from entente.text import synthetic
from entente.text.encoding import encode
from entente.text.parallel import processors
from entente.text.segmentation import BEST, Segmentation
from pipelines.parameters import read

PREPARED, ENCODED, SUBWORDS = Path("data/prepared"), Path("data/encoded"), Path("artifacts/subwords/subwords.model")


@for_people
def main() -> None:
    """Write {train,val}.{en,fr}: ids and offsets. What is only judged is cut as suits best, and never synthetic."""
    segmentations = {"train": construct(Segmentation, read("segmentation"), "segmentation"), "val": BEST}
    folders = [synthetic.SYNTHETIC / read("corpus.name") / name for name in read("synthetic")]
    synthetic.needed(Path(), folders)
    learnt = {folder.name: synthetic.described(folder, PREPARED) for folder in folders}
    for split, segmentation in segmentations.items():
        for language in ("en", "fr"):
            text, stem = PREPARED / f"{split}.{language}", ENCODED / f"{split}.{language}"
            beside = [folder / f"{split}.{language}" for folder in folders] if split == "train" else []
            encode(SUBWORDS, text, stem, processes=processors(), segmentation=segmentation, beside=beside)
    (ENCODED / synthetic.ENCODED).unlink(missing_ok=True)
    if learnt:
        (ENCODED / synthetic.ENCODED).write_text(json.dumps(learnt, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
