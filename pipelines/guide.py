"""The guide: `python -m pipelines.guide` writes docs/guide/, pages and figures, from a trained model and archived runs.

The model is that in artifacts/model, which `dvc repro` makes; the runs are those in docs/claims.tar.xz, which
`python -m pipelines.claims` keeps. The prose stands in src/entente/guide/.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path

from entente.decoding.settings import Decoding
from entente.errors import EntenteError, for_people
from entente.evaluation import figures, markdown
from entente.evaluation.comparison import BASELINE, Row, compare
from entente.evaluation.outcomes import Outcome
from entente.evaluation.translations import read_rows
from entente.guide import drawings, experiments, template
from entente.guide.experiments import TABLES
from entente.guide.template import Verb
from entente.guide.trained import Draw, trained
from entente.text.corpus import replacing
from entente.text.grammar.lexicon import read_lexicon
from entente.tracking.archive import read_archive
from entente.tracking.records import Record
from entente.tracking.store import root
from pipelines.claims import KEPT, LEDGER, latest_benchmark, speeds
from pipelines.kept_runs import Found, origin, origins, runs
from pipelines.report import GRAMMAR, lengths, outcome

MODEL, GUIDE = Path("artifacts/model"), Path("docs/guide")
FIRST = 1  # the seed whose translations are shown
RIVALS = (BASELINE, "gru", "gru_additive", "lstm", "lstm_additive")  # whose speeds are drawn


@dataclass(frozen=True)
class Kept:
    """The archived runs by what they were trained with, and the folder into which their evaluations were taken out."""

    found: Mapping[tuple[str, ...], Found]
    benchmark: Record
    place: Path

    def rows(self, name: str, seed: int, file: str) -> list[dict[str, str]]:
        """Return what a run of the default wrote into a table of its evaluation."""
        return read_rows(self.found[()][name, seed].fetch(f"evaluation/{file}", self.place / f"{name}-{seed}"))

    def outcomes(self, trained: tuple[str, ...]) -> list[Outcome]:
        """Return the runs of one training as far as they are compared: no more test sets than that are read."""
        read = []
        for (name, seed), record in self.found[trained].items():
            asked = [
                one.measure.split("/") for one in TABLES.values() if name in one.networks and one.trained == trained
            ]
            tests = {measure[1] for measure in asked if measure[0] == "test"}
            folder = self.place / record.id
            for file in ("probe_answers.tsv", "bleu_by_length.csv", *(f"{test}.tsv" for test in tests)):
                record.fetch(f"evaluation/{file}", folder)
            for test in tests if record.parameters["corpus.download.kind"] != "grammar" else ():
                record.fetch(f"evaluation/{test}.fr", folder)  # the table has no sentences then
            read.append(outcome(name, seed, record, folder / "evaluation"))
        return read


@for_people
def main() -> None:
    """Write the guide."""
    model = trained(root() / MODEL, Decoding(), things())
    with tempfile.TemporaryDirectory() as place:
        verbs, drawn = archived(root() / KEPT, Path(place))
        write(root() / GUIDE, verbs | {"model": model.facts.__getitem__}, {**drawn, **model.figures})
    print(f"{GUIDE}: {len(template.PAGES)} pages")


def things() -> dict[str, bool]:
    """Return the nouns for what has no gender in English, and whether they are feminine in French."""
    nouns = read_lexicon(root() / GRAMMAR).nouns
    return {noun.en[0]: noun.feminine for noun in nouns if not noun.within(frozenset({"person", "animal"}))}


def write(folder: Path, verbs: Mapping[str, Verb], drawn: Mapping[str, Draw]) -> None:
    """Fill every page, draw what the pages show, and take away what they no longer show."""
    pages = filled(verbs)
    shown = [name for text in pages.values() for name in template.FIGURE.findall(text)]
    folder.mkdir(parents=True, exist_ok=True)
    for name in shown:
        drawn[name](folder / f"{name}.png")
    for page, text in pages.items():
        with replacing(folder / f"{page}.md") as temporary:
            temporary.write_text(text, encoding="utf-8")
    for file in folder.glob("*.png"):
        if file.stem not in shown:
            file.unlink()


def filled(verbs: Mapping[str, Verb]) -> dict[str, str]:
    """Return every page by its name."""
    every = {**template.of_sources(), **verbs}
    return {page: template.headed(page, template.fill(template.read(page), every)) for page in template.PAGES}


def archived(archive: Path, place: Path) -> tuple[dict[str, Verb], dict[str, Draw]]:
    """Return the verbs that speak of the archived runs, and the figures of them."""
    records = sorted(read_archive(archive), key=attrgetter("began"), reverse=True)
    trainings = dict.fromkeys(asked.trained for asked in TABLES.values())
    found = {own: runs(records, own, _networks(own)) for own in trainings}
    benchmark = latest_benchmark(records)
    missing = {f"{name} {' '.join(own)}".strip() for own in found for name in _networks(own)}
    missing -= {f"{name} {' '.join(own)}".strip() for own in found for name, _ in found[own]}
    if missing or not benchmark:
        absent = ", ".join(sorted(missing)) or "the benchmark of networks"
        raise EntenteError(
            f"{archive} lacks runs that the guide speaks of: {absent}; `python -m pipelines.claims` keeps them"
        )
    kept = Kept(found, benchmark, place)
    outcomes = {own: kept.outcomes(own) for own in trainings}
    rows = {name: _compared(asked, outcomes[asked.trained]) for name, asked in TABLES.items()}
    verbs = experiments.of_tables(rows) | experiments.of_figures(outcomes[()])
    verbs["claim"] = partial(experiments.claim, archive.with_name(LEDGER.name).read_text(encoding="utf-8"))
    return verbs | _samples(kept) | _origins(kept), _figures(kept, rows)


def _networks(trained: tuple[str, ...]) -> list[str]:
    """Return all networks that are compared after one training, the baseline first."""
    tables = [asked for asked in TABLES.values() if asked.trained == trained]
    return list(dict.fromkeys(name for asked in tables for name in asked.networks))


def _compared(asked: experiments.Asked, outcomes: Sequence[Outcome]) -> list[Row]:
    return compare([one for one in outcomes if one.ablation in asked.networks], asked.measure)


def _samples(kept: Kept) -> dict[str, Verb]:
    """Return the verbs that show what networks wrote."""

    def roles(name: str, seed: int) -> list[dict[str, str]]:
        return [row for row in kept.rows(name, seed, "probe_answers.tsv") if row["phenomenon"] == "role_reversal"]

    def seeds(name: str) -> list[list[dict[str, str]]]:
        return [roles(name, seed) for other, seed in kept.found[()] if other == name]

    def wrote(count: str, *names: str) -> str:
        return experiments.translated({name: kept.rows(name, FIRST, "test.tsv") for name in names}, int(count))

    return {
        "role_pairs": lambda *names: experiments.role_pairs({name: seeds(name) for name in names}),
        "same_pair": lambda *names: experiments.same_pair({name: roles(name, FIRST) for name in names}),
        "wrote": wrote,
    }


def _origins(kept: Kept) -> dict[str, Verb]:
    """Return the verbs that say how figures were made, and how fast networks write."""

    def made(*names: str) -> str:
        lines = []
        for told, own in kept.found.items():
            asked = [TABLES[name] for name in names if name in TABLES and TABLES[name].trained == told]
            networks = {name for one in asked for name in one.networks}
            lines += origins({key: record for key, record in own.items() if key[0] in networks}, told)
        if "speed" in names:
            lines.append(origin("speed", "", "python -m pipelines.benchmark networks", [kept.benchmark]))
        return "\n".join(markdown.made(lines)).strip()

    def decoding(*names: str) -> str:
        timed = {name: speeds(kept.benchmark)[name] for name in names}
        columns = [what for what in timed[names[0]] if what.startswith("decoding")]
        rows = [[f"`{name}`", *(f"{own[what]:,.0f}" for what in columns)] for name, own in timed.items()]
        return "\n".join(markdown.table(["sentences a second", *columns], rows))

    return {"made": made, "decoding": decoding}


def _figures(kept: Kept, rows: Mapping[str, Sequence[Row]]) -> dict[str, Draw]:
    """Return the figures of archived runs by their names: a comparison each, and those that need more than it."""

    def curve(figure: str) -> dict[str, list[list[tuple[float, float]]]]:
        return {
            name: [
                [(float(step), value) for step, value in record.curve(figure)]
                for (other, _), record in kept.found[()].items()
                if other == name
            ]
            for name in (BASELINE, "no_mask")
        }

    def by_length(path: Path) -> None:
        shown = TABLES["set_of_words"].networks
        places: dict[str, list[Path]] = {name: [] for name in shown}
        for (name, _), record in kept.found[()].items():
            if name in places:
                places[name].append(kept.place / record.id / "evaluation")
        figures.by_length(lengths(places)["test"], "BLEU by the length of the source", path)

    def trained_by_length(path: Path) -> None:
        drawings.speeds(
            {
                name: [(float(what.split()[1]), value) for what, value in own.items() if what.startswith("training")]
                for name, own in speeds(kept.benchmark).items()
                if name in RIVALS
            },
            path,
        )

    bars: dict[str, Draw] = {
        name: partial(figures.bars, rows[name], asked.title, asked.label) for name, asked in TABLES.items()
    }
    return bars | {
        "lengths": by_length,
        "curves": lambda path: drawings.curves(curve("val/loss"), curve("val/bleu"), path),
        "speed": trained_by_length,
    }


if __name__ == "__main__":
    main()
