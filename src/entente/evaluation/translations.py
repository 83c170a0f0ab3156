"""What a network made of a test set, and the two ways in which it is kept.

An evaluation writes each source beside its hypothesis and references. Of a corpus that is not ours to give away,
`withhold` leaves the hypotheses and what BLEU counts of each: figures and comparisons come out the same.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from entente.evaluation.report import write_table
from entente.evaluation.scores import References, bleu_statistics
from entente.text.corpus import read_lines, replacing

Counts = npt.NDArray[np.int64]

_FIRST, _EVERY = "counts", "counts_all_references"


@dataclass(frozen=True, slots=True)
class Translations:
    """A test set of N sentences, translated."""

    asked: Sequence[str]  # (N,) a mark of each source and its references
    words: Sequence[int]  # (N,) of the source
    hypotheses: Sequence[str]
    first: Counts  # (N, 10) `bleu_statistics` by the first reference
    every: Counts  # (N, 10) by all


def translations(sources: Sequence[str], hypotheses: Sequence[str], references: References) -> Translations:
    """Count what BLEU needs. Raises EntenteError as `bleu_statistics` does."""
    first = bleu_statistics(hypotheses, [own[:1] for own in references])
    every = bleu_statistics(hypotheses, references) if any(len(own) > 1 for own in references) else first
    marks = [
        blake2b("\t".join([source, *own]).encode(), digest_size=8).hexdigest()
        for source, own in zip(sources, references, strict=True)
    ]
    return Translations(marks, [len(source.split()) for source in sources], hypotheses, first, every)


def read_rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a table with a header: .tsv or .csv."""
    with file.open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table, delimiter="\t" if file.suffix == ".tsv" else ","))


def references_of(row: Mapping[str, str]) -> list[str]:
    """Return all references of a row, the first one first."""
    return [text for name, text in row.items() if name.startswith("reference_") and text]


def read_translations(file: Path) -> Translations:
    """Return what an evaluation wrote, or what `withhold` left of it."""
    found = read_rows(file)
    if _FIRST in found[0]:
        counted = [name for name in (_FIRST, _EVERY) if name in found[0]]
        first, *every = (np.array([row[name].split() for row in found], np.int64) for name in counted)
        marks, words = [row["asked"] for row in found], [int(row["words"]) for row in found]
        return Translations(marks, words, list(read_lines(_hypotheses(file))), first, every[0] if every else first)
    references = [references_of(row) for row in found]
    return translations([row["source"] for row in found], [row["hypothesis"] for row in found], references)


def withhold(file: Path) -> None:
    """Rewrite an evaluation's table without the sentences of the corpus; hypotheses go to {test}.fr, one a line."""
    if _FIRST in read_rows(file)[0]:
        return
    own = read_translations(file)
    counts = {_FIRST: own.first} | ({} if own.every is own.first else {_EVERY: own.every})
    texts = [[" ".join(map(str, count)) for count in counted] for counted in counts.values()]
    with replacing(_hypotheses(file)) as temporary:
        temporary.write_text("".join(f"{one}\n" for one in own.hypotheses), encoding="utf-8")
    write_table(file, ["asked", "words", *counts], list(zip(own.asked, own.words, *texts, strict=True)))


def _hypotheses(file: Path) -> Path:
    return file.with_suffix(".fr")
