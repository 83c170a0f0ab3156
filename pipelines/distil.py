"""What trainings make of their training side: `python -m pipelines.distil recipe=multi30k seed=1,2,3`.

Takes the overrides of a multirun, whose trainings must be done, in ablations/. Together they translate the English that
they were trained on; who learns from that beside the real French (`experiment=distilled`) learns what is predictable of
several trainings in one network (Kim and Rush 2016, D16-1139, section 3.2), or of one (forward translation).
"""

import sys
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from entente.decoding.ensemble import load_together
from entente.decoding.settings import Decoding
from entente.errors import EntenteError, for_people
from entente.evaluation import report
from entente.options import construct
from entente.text.corpus import read_lines, replacing_folder
from entente.tracking.store import root
from pipelines.compose import CONF
from pipelines.job import SYNTHETIC, trained
from pipelines.sweep import plan

NAME = "distilled"


@for_people
def main() -> None:
    """Translate the training side, and write what came out beside data/synthetic's README."""
    jobs = plan(sys.argv[1:], root() / CONF)
    settings, prepared = jobs[0].parameters, jobs[0].shared / "data/prepared"
    if any(job.parameters["decoding"] != settings["decoding"] for job in jobs):
        raise EntenteError("teachers search in one way: give each key of decoding one value")
    teachers = {model: f"{job.label}, seed {job.seed}" for model, job in trained(jobs, sys.argv[1:]).items()}
    translator = load_together(list(teachers), "auto", construct(Decoding, settings["decoding"], "decoding"))
    sources, real = (list(read_lines(prepared / f"train.{language}")) for language in ("en", "fr"))
    found = list(tqdm(translator.translate(sources), desc="translating", total=len(sources), unit=" sentences"))
    pairs = list(new(sources, found, real))
    made = {"teachers": [*teachers.values()], "decoding": settings["decoding"], "overrides": sys.argv[1:]}
    place = root() / SYNTHETIC / settings["corpus"]["name"] / NAME
    with replacing_folder(place) as folder:
        for number, language in enumerate(("en", "fr")):
            lines = (f"{pair[number]}\n" for pair in pairs)
            (folder / f"train.{language}").write_text("".join(lines), encoding="utf-8", newline="\n")
        report.write_json(folder / "made.json", made | {"read": len(sources), "written": len(pairs)})
    print(f"{len(pairs):,} of {len(sources):,} translations are new: {place}")


def new(sources: Sequence[str], found: Sequence[str], real: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what was translated, with its source, where the corpus has not the very same."""
    known = set(zip(sources, real, strict=True))
    return (pair for pair in zip(sources, found, strict=True) if pair[1] and pair not in known)


if __name__ == "__main__":
    main()
