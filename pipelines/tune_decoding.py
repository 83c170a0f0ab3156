"""Beam and length penalty by validation BLEU: `python -m pipelines.tune_decoding`. No test set is looked at."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from entente.decoding.translator import Decoding, Translator
from entente.errors import EntenteError, for_people
from entente.evaluation.report import columns
from entente.evaluation.scores import bleu
from entente.options import construct
from entente.text.corpus import read_lines, read_references
from pipelines.parameters import read

PREPARED, MODEL = Path("data/prepared"), Path("artifacts/model")
BEAMS, PENALTIES = (1, 3, 5, 8), (0.0, 0.3, 0.6, 0.9, 1.2)


@for_people
def main() -> None:
    """Translate the validation set in every way, print the table, and say how to keep the best."""
    arguments = _parser().parse_args()
    decoding = construct(Decoding, read("decoding"), "decoding")
    sources = list(read_lines(PREPARED / "val.en"))[: arguments.sentences]
    references = read_references(PREPARED / "val.references.jsonl")[: len(sources)]
    if not sources:
        raise EntenteError(f"{PREPARED / 'val.en'} has no sentence to judge by; --sentences takes a number from 1 on")
    translator = Translator.load_ensemble(arguments.model or [MODEL], "auto", decoding)
    found: dict[tuple[int, float], float] = {}
    for way in tqdm([(beam, penalty) for beam in arguments.beams for penalty in arguments.penalties], unit=" ways"):
        translator.decoding = replace(decoding, beam=way[0], length_penalty=way[1])
        found[way] = bleu(list(translator.translate(sources)), references)
    print("\n".join(columns(table(found, arguments.beams, arguments.penalties))))
    (beam, penalty), best = max(found.items(), key=lambda item: item[1])
    print(f"\nBest: {best:.2f} BLEU, with -S decoding.beam={beam} -S decoding.length_penalty={penalty}")


def table(found: dict[tuple[int, float], float], beams: Sequence[int], penalties: Sequence[float]) -> list[list[str]]:
    """Return a line for each beam, a column for each length penalty."""
    header = ["beam", *(f"penalty {penalty:g}" for penalty in penalties)]
    return [header, *([str(beam), *(f"{found[beam, penalty]:.2f}" for penalty in penalties)] for beam in beams)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines.tune_decoding", description=__doc__)
    parser.add_argument("--model", type=Path, action="append", metavar="DIR", help=f"folder of a model ({MODEL})")
    parser.add_argument("--beams", type=int, nargs="+", default=BEAMS, metavar="N", help="beams to try")
    parser.add_argument("--penalties", type=float, nargs="+", default=PENALTIES, metavar="A", help="penalties to try")
    parser.add_argument("--sentences", type=int, default=None, metavar="N", help="of the validation set (all)")
    return parser


if __name__ == "__main__":
    main()
