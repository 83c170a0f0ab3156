"""Stage `prepare`: data/raw cleaned and split into data/prepared, and the tally of what was dropped and why."""

import json
from pathlib import Path

from entente.errors import for_people
from entente.options import choose
from entente.text.cleaning import Cleaning
from entente.text.corpus import replacing
from entente.text.preparation import Text, prepare
from entente.text.splits import Split
from pipelines.parameters import read

RAW, PREPARED, METRICS = Path("data/raw"), Path("data/prepared"), Path("artifacts/metrics/prepare.json")


@for_people
def main() -> None:
    """Write aligned text and the tally."""
    corpus = read("corpus")
    tally = prepare(
        RAW,
        PREPARED,
        texts=[choose({"text": Text}, {"kind": "text", **text}, "corpus.texts")() for text in corpus["texts"]],
        tests=corpus["tests"],
        probes=corpus["probes"],
        cleaning=choose({"limits": Cleaning}, {"kind": "limits", **corpus["cleaning"]}, "corpus.cleaning")(),
        split=corpus["split"] and choose({"split": Split}, {"kind": "split", **corpus["split"]}, "corpus.split")(),
    )
    with replacing(METRICS) as temporary:
        temporary.write_text(json.dumps(tally, indent=2) + "\n", encoding="utf-8")
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in tally["dropped"].items())
    print(f"{tally['read']:,} pairs read; dropped {dropped}; {tally['train']['pairs']:,} to learn from")


if __name__ == "__main__":
    main()
