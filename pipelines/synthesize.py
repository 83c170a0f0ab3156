"""What trainings make of their own training side: `python -m pipelines.synthesize recipe=multi30k seed=1,2,3`.

Takes the overrides of a multirun, whose trainings must be done, in ablations/. Together they translate the sentences
that they were trained on, into data/synthetic/CORPUS/distilled: who learns from that beside the real pairs
(`experiment=distilled`) learns in one network what several agree on (Freitag et al. 2017, arXiv:1702.01802, after Kim
and Rush 2016, D16-1139).

Those of a corpus turned round (`corpus=multi30k_turned`, French to English) write `back_translated` for the corpus
itself: real French below English of their own. Both together are the data diversification of Nguyen et al. (2020).

`as=NAME` calls the text otherwise. One that is there is never written over.
"""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from entente.decoding.ensemble import load_together
from entente.decoding.settings import Decoding
from entente.errors import EntenteError, for_people
from entente.evaluation import report
from entente.model.weights import WEIGHTS
from entente.options import FileName, checked, construct
from entente.text.cleaning import Cleaning, normalise
from entente.text.corpus import read_lines, replacing_folder
from entente.text.synthetic import LANGUAGES, MADE, SYNTHETIC, digest, made
from entente.tracking.store import root
from pipelines.ensemble import together
from pipelines.groups import TURNED
from pipelines.job import trained

CALLED = "as="
Pair = tuple[str, str]


@for_people
def main() -> None:
    """Translate the training side, and write the pairs that are new, with word of who made them."""
    overrides = [argument for argument in sys.argv[1:] if not argument.startswith(CALLED)]
    called = [argument.removeprefix(CALLED) for argument in sys.argv[1:] if argument.startswith(CALLED)]
    checked(Sequence[FileName], called, "as")
    jobs = together(overrides)
    settings, models = jobs[0].parameters, trained(jobs, overrides)
    prepared = next(iter(models)).parents[1] / "data/prepared"  # what it was trained on
    corpus = str(settings["corpus"]["name"])
    turned, corpus = corpus.endswith(TURNED), corpus.removesuffix(TURNED)
    split = [prepared / f"train.{language}" for language in LANGUAGES]
    makers = {
        "command": shlex.join(["python", "-m", "pipelines.synthesize", *sys.argv[1:]]),
        "translated by": {f"{job.label}, seed {job.seed}": digest([model / WEIGHTS]) for model, job in models.items()},
        "decoding": settings["decoding"],
        "split": digest(split[::-1] if turned else split),
    }
    default = "back_translated" if turned else "distilled"
    place = SYNTHETIC / corpus / (called[0] if called else default)
    if _is_there(root() / place, makers):
        print(f"{place} is there already, by the same trainings")
        return
    translator = load_together(list(models), "auto", construct(Decoding, settings["decoding"], "decoding"))
    sources, targets = (list(read_lines(side)) for side in split)
    found = list(tqdm(translator.translate(sources), desc="translating", total=len(sources), unit=" sentences"))
    cleaning = construct(Cleaning, settings["corpus"]["cleaning"], "corpus.cleaning")
    pairs = [pair[::-1] if turned else pair for pair in new(sources, found, targets, cleaning)]
    with replacing_folder(root() / place) as folder:
        for side, language in enumerate(LANGUAGES):
            text = "".join(f"{pair[side]}\n" for pair in pairs)
            (folder / f"train.{language}").write_text(text, encoding="utf-8", newline="\n")
        report.write_json(folder / MADE, makers | {"read": len(sources), "written": len(pairs)})
    print(f"{len(pairs):,} of {len(sources):,} translations are new: {place}")


def _is_there(place: Path, makers: Mapping[str, Any]) -> bool:
    """Say whether the text was made so before; EntenteError where another stands in its place."""
    if not place.exists():
        return False
    earlier = made(place)
    if all(earlier.get(key) == value for key, value in makers.items() if key != "command"):
        return True
    by = ", ".join(earlier.get("translated by", {})) or "somebody else"
    raise EntenteError(
        f"{place} is there, by {by}: remove it, or call this one otherwise with {CALLED}NAME "
        "(and learn from it with synthetic=[NAME])"
    )


def new(sources: Sequence[str], found: Sequence[str], targets: Sequence[str], cleaning: Cleaning) -> Iterator[Pair]:
    """Yield each source with its translation, where that is clean and the corpus has not the very same pair."""
    known = set(zip(sources, targets, strict=True))
    for pair in zip(sources, map(normalise, found), strict=True):
        if pair not in known and not cleaning.complaint(*pair):
            yield pair


if __name__ == "__main__":
    main()
