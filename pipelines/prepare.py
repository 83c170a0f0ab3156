"""Stage `prepare`: data/raw cleaned and split into data/prepared, and the tally of what was dropped and why."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from entente.errors import for_people
from entente.options import Option, construct
from entente.text.cleaning import Cleaning
from entente.text.corpus import replacing
from entente.text.parallel import processors
from entente.text.preparation import Text, prepare
from entente.text.splits import Split
from pipelines.parameters import read

RAW, PREPARED, METRICS = Path("data/raw"), Path("data/prepared"), Path("artifacts/metrics/prepare.json")


def described(corpus: Option) -> Callable[[], dict[str, Any]]:
    """Return what prepares a corpus, as `corpus` in params.yaml describes it."""
    split: Any = corpus["split"]
    return partial(
        prepare,
        RAW,
        PREPARED,
        texts=[construct(Text, text, f"corpus.texts.{number}") for number, text in enumerate(corpus["texts"])],
        tests=corpus["tests"],
        probes=corpus["probes"],
        cleaning=construct(Cleaning, corpus["cleaning"], "corpus.cleaning"),
        split=None if split is None else construct(Split, split, "corpus.split"),
        processes=processors(),
    )


@for_people
def main() -> None:
    """Write aligned text and the tally."""
    tally = described(read("corpus"))()
    with replacing(METRICS) as temporary:
        temporary.write_text(json.dumps(tally, indent=2) + "\n", encoding="utf-8")
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in tally["dropped"].items())
    print(f"{tally['read']:,} pairs read; dropped {dropped}; {tally['train']['pairs']:,} to learn from")


if __name__ == "__main__":
    main()
