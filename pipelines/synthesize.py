"""What trainings make of their own training side: `python -m pipelines.synthesize recipe=multi30k seed=1,2,3`.

Takes the overrides of a multirun, whose trainings must be done, in ablations/. Together they translate the sentences
that they were trained on, into data/synthetic/CORPUS/distilled: who learns from that beside the real pairs
(`experiment=distilled`) learns in one network what is predictable of several (Kim and Rush 2016, section 3.2).

With `back_to=multi30k`, and a corpus that is that one turned round (`corpus=multi30k_turned`, French to English), they
write data/synthetic/multi30k/back_translated: real French below English of their own (Sennrich et al. 2016).
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

BACK, DISTILLED, BACK_TRANSLATED = "back_to=", "distilled", "back_translated"
Pair = tuple[str, str]


@for_people
def main() -> None:
    """Translate the training side, and write the pairs that are new, with word of who made them."""
    back = [argument.removeprefix(BACK) for argument in sys.argv[1:] if argument.startswith(BACK)]
    overrides = [argument for argument in sys.argv[1:] if not argument.startswith(BACK)]
    jobs = plan(overrides, root() / CONF)
    settings, prepared = jobs[0].parameters, jobs[0].shared / "data/prepared"
    if any(job.parameters["decoding"] != settings["decoding"] for job in jobs):
        raise EntenteError("those that translate together search in one way: give each key of decoding one value")
    corpus, name = (back[0], BACK_TRANSLATED) if back else (settings["corpus"]["name"], DISTILLED)
    if corpus not in (path.stem for path in (root() / CONF / "corpus").glob("*.yaml")):
        raise EntenteError(f"there is no corpus {corpus} to translate back to: conf/corpus has one file for each")
    teachers = {model: f"{job.label}, seed {job.seed}" for model, job in trained(jobs, overrides).items()}
    translator = load_together(list(teachers), "auto", construct(Decoding, settings["decoding"], "decoding"))
    sources, targets = (list(read_lines(prepared / f"train.{language}")) for language in ("en", "fr"))
    found = list(tqdm(translator.translate(sources), desc="translating", total=len(sources), unit=" sentences"))
    pairs = [(one, source) if back else (source, one) for source, one in new(sources, found, targets)]
    made = {"translated by": [*teachers.values()], "decoding": settings["decoding"], "overrides": sys.argv[1:]}
    with replacing_folder(root() / SYNTHETIC / corpus / name) as folder:
        for side, language in enumerate(("en", "fr")):
            text = "".join(f"{pair[side]}\n" for pair in pairs)
            (folder / f"train.{language}").write_text(text, encoding="utf-8", newline="\n")
        report.write_json(folder / "made.json", made | {"read": len(sources), "written": len(pairs)})
    print(f"{len(pairs):,} of {len(sources):,} translations are new: {SYNTHETIC}/{corpus}/{name}")


def new(sources: Sequence[str], found: Sequence[str], targets: Sequence[str]) -> Iterator[Pair]:
    """Yield each source with its translation, where there is one and the corpus has not the very same pair."""
    known = set(zip(sources, targets, strict=True))
    return (pair for pair in zip(sources, found, strict=True) if pair[1] and pair not in known)


if __name__ == "__main__":
    main()
