"""Stage `learn_subwords`: one vocabulary for both languages, from the training split only."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from entente.errors import for_people
from entente.options import Option, choose
from entente.text.subwords import KINDS, learn
from pipelines.parameters import read

PREPARED, SUBWORDS = Path("data/prepared"), Path("artifacts/subwords")


def described(subwords: Option) -> Callable[[], None]:
    """Return what learns the subwords, as `subwords` in params.yaml describes them."""
    texts = [PREPARED / "train.en", PREPARED / "train.fr"]
    kinds = {kind: partial(learn, texts, SUBWORDS, kind=kind) for kind in KINDS}
    return choose(kinds, subwords, "subwords", whole=True)


@for_people
def main() -> None:
    """Write subwords.model and subwords.vocab."""
    described(read("subwords"))()


if __name__ == "__main__":
    main()
