"""How much of its test sets a training had seen: `python -m pipelines.overlap recipe=tatoeba corpus.split.unit=pair`.

Takes the overrides of a job of a sweep, which must be done, in ablations/. Prints which of the test sentences have
their source, a reference, both or neither in the training split, and BLEU of each such part.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt

from entente.errors import for_people
from entente.evaluation import report
from entente.evaluation.scores import bleu
from entente.evaluation.translations import read_rows, references_of
from entente.text.cleaning import key
from entente.text.corpus import read_lines
from entente.text.splits import Hashes, stable_hash
from pipelines.sweep import one_training

HEADER = ("test set", "in training", "sentences", "share", "words of a source", "BLEU by the first reference")
PARTS = {"neither": (False, False), "the source": (True, False), "a reference": (False, True), "both": (True, True)}


@for_people
def main() -> None:
    """Print the table of one training."""
    overrides = sys.argv[1:]
    model, job = one_training(overrides)
    prepared = model.parent.parent / "data/prepared"
    rows = [
        [test, *row]
        for test in job.parameters["corpus"]["tests"]
        for row in parts(read_rows(model.parent / "evaluation" / f"{test}.tsv"), prepared)
    ]
    print("\n".join(report.columns([HEADER, *rows])))


def parts(rows: Sequence[Mapping[str, str]], prepared: Path) -> list[list[str]]:
    """Return for each part of a test set, and the whole, how many sentences it has, their share and length, and BLEU.

    Sentences of the same words are the same, whatever their case and punctuation.
    """
    references = [references_of(row) for row in rows]
    source = _known([row["source"] for row in rows], prepared / "train.en")
    owner = np.repeat(np.arange(len(rows)), [len(own) for own in references])
    reference = np.zeros(len(rows), dtype=np.bool_)
    np.logical_or.at(reference, owner, _known([text for own in references for text in own], prepared / "train.fr"))
    chosen = {name: (source == told[0]) & (reference == told[1]) for name, told in PARTS.items()}
    chosen["all"] = np.ones(len(rows), dtype=np.bool_)
    return [[name, *_figures(rows, references, np.flatnonzero(part))] for name, part in chosen.items() if part.any()]


def _known(sentences: Sequence[str], training: Path) -> npt.NDArray[np.bool_]:
    """Say which of the sentences (N,) a file has, a sentence a line -> (N,)."""
    return np.isin(_hashes(sentences), _hashes(read_lines(training)))


def _hashes(sentences: Iterable[str]) -> Hashes:
    return np.fromiter((stable_hash(key(sentence)) for sentence in sentences), np.uint64)


def _figures(
    rows: Sequence[Mapping[str, str]], references: Sequence[Sequence[str]], part: npt.NDArray[np.intp]
) -> list[str]:
    score = bleu([rows[at]["hypothesis"] for at in part], [references[at][:1] for at in part])
    words = fmean(len(rows[at]["source"].split()) for at in part)
    return [f"{len(part):,}", f"{len(part) / len(rows):.1%}", f"{words:.1f}", f"{score:.1f}"]


if __name__ == "__main__":
    main()
