"""`python -m pipelines.samples recipe=multi30k`: docs/samples.md, a test set's best, middling and worst translations.

Takes the overrides of a job of a sweep, which must be done, in ablations/. What goes wrong in a translation is
written by hand, in docs/samples.yaml: of each test set, the translation and a remark.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from entente.errors import for_people
from entente.evaluation.markdown import table
from entente.evaluation.scores import chrf
from entente.evaluation.translations import read_rows
from entente.text.corpus import replacing
from entente.tracking.store import root
from pipelines.sweep import one_training

PAGE, REMARKS = Path("docs/samples.md"), Path("docs/samples.yaml")
COUNT = 10  # of each kind
HEADER = ("source", "translation", "reference", "chrF", "what goes wrong")


class Sample(NamedTuple):
    """A sentence, its translation, its reference (the first, where there are several), and sentence chrF, 0 to 100."""

    source: str
    translation: str
    reference: str
    chrf: float


@for_people
def main() -> None:
    """Write the page of one training; say which translations nobody has remarked on."""
    overrides = sys.argv[1:]
    model, job = one_training(overrides)
    test = job.parameters["corpus"]["tests"][0]
    chosen = choose(read_rows(model.parent / "evaluation" / f"{test}.tsv"))
    remarks = yaml.safe_load((root() / REMARKS).read_text(encoding="utf-8")) if (root() / REMARKS).exists() else {}
    own = remarks.get(test) or {}
    command = f"python -m pipelines.samples {' '.join(overrides)}"
    with replacing(root() / PAGE) as temporary:
        temporary.write_text(page(chosen, own, test, f"{job.label}, seed {job.seed}", command), encoding="utf-8")
    bare = [
        one.translation for kind in chosen.values() for one in kind if one.chrf < 100 and one.translation not in own
    ]
    print(f"{root() / PAGE}: {len(bare)} translations have no remark yet", *bare, sep="\n  ")


def choose(rows: Sequence[Mapping[str, str]]) -> dict[str, list[Sample]]:
    """Return the best, those around the median and the worst by sentence chrF; of equals the longest first."""
    samples = [
        Sample(row["source"], row["hypothesis"], row["reference_1"], chrf(row["hypothesis"], row["reference_1"]))
        for row in rows
    ]
    samples.sort(key=lambda one: (-one.chrf, -len(one.source), one.source))
    middle = max(0, (len(samples) - COUNT) // 2)
    return {
        "The best": samples[:COUNT],
        "Around the median": samples[middle : middle + COUNT],
        "The worst": samples[::-1][:COUNT],
    }


def page(chosen: Mapping[str, Sequence[Sample]], remarks: Mapping[str, str], test: str, who: str, command: str) -> str:
    """Return the page as Markdown."""
    lines = [
        f"# What goes wrong on {test}",
        "",
        f"Translations by {who}, chosen by sentence chrF (of equals the longest): `{command}` writes this page. What "
        "goes wrong is written by hand (`samples.yaml`), not measured.",
    ]
    for title, samples in chosen.items():
        rows = [
            [one.source, one.translation, one.reference, f"{one.chrf:.0f}", remarks.get(one.translation, "")]
            for one in samples
        ]
        lines += ["", f"## {title}", "", *table(HEADER, [[cell.replace("|", "\\|") for cell in row] for row in rows])]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
