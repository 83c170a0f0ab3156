"""Beam and length penalty by validation BLEU: `python -m pipelines.tune_decoding`. No test set is looked at."""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from entente.decoding.ensemble import load_together
from entente.decoding.settings import Decoding
from entente.errors import for_people
from entente.evaluation.report import columns
from entente.evaluation.scores import bleu
from entente.options import construct
from entente.text.corpus import read_lines, read_references
from pipelines.parameters import read

MODEL = Path("artifacts/model")
BEAMS, PENALTIES = (1, 3, 5, 8), (0.0, 0.3, 0.6, 0.9, 1.2)


@for_people
def main() -> None:
    """Translate the validation set in every way, print the table, and say how to keep the best."""
    arguments = _parser().parse_args()
    folders = arguments.model or [MODEL]
    prepared = folders[0].parent.parent / "data" / "prepared"  # that a model was trained on, as the pipeline leaves it
    sources = list(read_lines(prepared / "val.en"))
    references = read_references(prepared / "val.references.jsonl")
    translator = load_together(folders, "auto", construct(Decoding, read("decoding"), "decoding"))
    found: dict[tuple[int, float], float] = {}
    ways = list(itertools.product(arguments.beams, arguments.penalties))
    for beam, penalty in tqdm(ways, "translating", unit=" ways"):
        translator.decoding = replace(translator.decoding, beam=beam, length_penalty=penalty)
        found[beam, penalty] = bleu(list(translator.translate(sources)), references)
    print("\n".join(columns(table(found, arguments.beams, arguments.penalties))))
    (beam, penalty), best = max(found.items(), key=lambda item: item[1])
    print(
        f"\nBest: {best:.2f} BLEU; `dvc exp run -S decoding.beam={beam} -S decoding.length_penalty={penalty}` "
        "evaluates so, conf/decoding/ keeps it"
    )


def table(found: dict[tuple[int, float], float], beams: Sequence[int], penalties: Sequence[float]) -> list[list[str]]:
    """Return a line for each beam, a column for each length penalty."""
    header = ["beam", *(f"penalty {penalty:g}" for penalty in penalties)]
    return [header, *([str(beam), *(f"{found[beam, penalty]:.2f}" for penalty in penalties)] for beam in beams)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines.tune_decoding", description=__doc__)
    parser.add_argument("--model", type=Path, action="append", metavar="DIR", help=f"folder of a model ({MODEL})")
    parser.add_argument("--beams", type=int, nargs="+", default=BEAMS, metavar="N", help="beams to try")
    parser.add_argument("--penalties", type=float, nargs="+", default=PENALTIES, metavar="A", help="penalties to try")
    return parser


if __name__ == "__main__":
    main()
