"""Stage `learn_subwords`: one vocabulary for both languages, from the training split only."""

from functools import partial
from pathlib import Path

from entente.errors import for_people
from entente.options import choose
from entente.text.subwords import KINDS, learn
from pipelines.parameters import read

PREPARED, SUBWORDS = Path("data/prepared"), Path("artifacts/subwords")


@for_people
def main() -> None:
    """Write subwords.model and subwords.vocab."""
    texts = [PREPARED / "train.en", PREPARED / "train.fr"]
    kinds = {kind: partial(learn, texts, SUBWORDS, kind=kind) for kind in KINDS}
    choose(kinds, read("subwords"), "subwords")()


if __name__ == "__main__":
    main()
