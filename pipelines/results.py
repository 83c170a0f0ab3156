"""What the recipes reach, from what MLflow recorded: `python -m pipelines.results` writes docs/results.md.

It takes the latest finished run of each recipe, network and seed, trained as the recipe says; those that it took it
keeps in docs/results.tar.xz, and they go on counting where the store has no newer ones.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from entente.errors import EntenteError, for_people
from entente.evaluation.comparison import BASELINE, compare
from entente.evaluation.markdown import Section, differs
from entente.evaluation.results import SCORES, Reached, Scored, results
from entente.text.corpus import replacing
from entente.tracking.records import Record
from entente.tracking.runs import KIND
from entente.tracking.store import root
from pipelines.kept_runs import TOKENS, Found, experiments, keep, known, origins, runs
from pipelines.report import SPEED, counts, lengths, outcome

PAGE = Path("docs/results.md")
KEPT = Path("docs/results.tar.xz")
NETWORKS = (BASELINE, "gru_additive")
WITH_ADAM = (*NETWORKS, "gru_additive_adam", "gru_wider")  # where a recipe has Muon, which does not suit RNNs
MULTI30K = (
    *WITH_ADAM,
    "bfloat16",
    "subword_sampling",
    "r_drop",
    "distilled",
    "distilled_together",
    "back_translated",
)
RECIPES: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {  # what it is called -> overrides, networks; (): all
    "default": ((), NETWORKS),
    "grammar_long": (("recipe=grammar_long",), NETWORKS),
    "multi30k": (("recipe=multi30k",), MULTI30K),
    "multi30k_brief": (("recipe=multi30k_brief",), ()),
    "tatoeba": (("recipe=tatoeba",), WITH_ADAM),
    "tatoeba, split pair by pair": (
        ("recipe=tatoeba", "corpus.split.unit=pair"),
        WITH_ADAM,
    ),
}
ALL = "all_references"
APART = {  # kinds of runs that train nothing -> title and text of their section
    "ensemble": (
        "Together",
        "Several trainings that translate together, by beam search and with the least risk (minimum Bayes risk by chrF "
        "over their candidates). Differences are to the first of them alone, over sentences: between these networks.",
    ),
    "out_of_domain": (
        "Out of domain",
        "Trained by one recipe, scored on the test set of another: `python -m pipelines.out_of_domain`.",
    ),
}


@for_people
def main() -> None:
    """Write the page."""
    records = known(root() / KEPT)
    found = {recipe: runs(records, asked, names or experiments()) for recipe, (asked, names) in RECIPES.items()}
    found = {recipe: own for recipe, own in found.items() if any(name == BASELINE for name, _ in own)}
    if not found:
        raise EntenteError(
            "the tracking store has no finished run of a recipe's baseline: run "
            "`python -m pipelines.ablate --multirun recipe=multi30k experiment=baseline,gru_additive` first"
        )
    with tempfile.TemporaryDirectory() as place:
        reached = [_reached(recipe, own, Path(place)) for recipe, own in found.items()]
        signatures = _signatures([Path(place) / record.id for own in found.values() for record in own.values()])
    apart = _latest([record for record in records if record.tags.get(KIND) in APART])
    made = [line for recipe, own in found.items() for line in origins(own, RECIPES[recipe][0])]
    with replacing(root() / PAGE) as temporary:
        sections = [_apart(kind, [record for record in apart if record.tags[KIND] == kind]) for kind in APART]
        temporary.write_text(results(reached, sections, signatures, made), encoding="utf-8")
    networks = {record.id: record for own in found.values() for record in own.values()}
    keep(root() / KEPT, networks.values(), {}, apart)
    print(f"{PAGE}: {len(networks)} runs of {', '.join(found)}")


def _reached(recipe: str, found: Found, place: Path) -> Reached:
    outcomes = [
        outcome(name, seed, record, record.fetch("evaluation", place / record.id))
        for (name, seed), record in found.items()
    ]
    tests = [test for test in outcomes[0].translations if f"test/{test}/bleu" in outcomes[0].figures]
    tests = [
        shown for test in tests for shown in (test, f"{test}/{ALL}") if f"test/{shown}/bleu" in outcomes[0].figures
    ]
    scored = [_scored(*key, test, record) for key, record in found.items() for test in tests]
    places: dict[str, list[Path]] = {}
    for (name, _), record in found.items():
        places.setdefault(name, []).append(place / record.id / "evaluation")
    table = {test: compare(outcomes, f"test/{test}/bleu") for test in tests}
    return Reached(recipe, scored, table, lengths(places), counts(places[BASELINE][0]))


def _scored(network: str, seed: int, test: str, record: Record) -> Scored:
    scores = {name: record.figures[f"test/{test}/{name}"] for name in SCORES}
    pieces, speeds = (dict(record.curve(figure)) for figure in (TOKENS, SPEED))
    seconds = sum(pieces[step] / speeds[step] for step in pieces)
    return Scored(network, seed, test, scores, sum(pieces.values()), seconds / 60)


def _latest(records: Sequence[Record]) -> list[Record]:
    """Return the latest of each run that trained nothing: of those with its name, command, members and search."""
    found: dict[object, Record] = {}
    told_by = ("command", "members", "decoding")
    for record in records:
        told = {key: value for key, value in record.parameters.items() if key.split(".")[0] in told_by}
        found.setdefault((record.name, frozenset(told.items())), record)
    return list(found.values())


def _apart(kind: str, records: Sequence[Record]) -> Section:
    """Tabulate runs that trained nothing."""
    rows = []
    for record in sorted(records, key=lambda record: record.name):
        members = [value for key, value in sorted(record.parameters.items()) if key.startswith("members.")]
        # A member alone has a row among the networks.
        scored = [figure for figure in record.figures if figure.endswith("/bleu") and not figure.startswith("member ")]
        for what in sorted({figure.rpartition("/")[0] for figure in scored}):
            scores = [f"{record.figures[f'{what}/{score}']:.1f}" for score in SCORES]
            beam = record.parameters.get("decoding.beam", "")
            command = f"`{record.parameters.get('command', '')}`".replace("``", "")
            day = f"{record.began:%Y-%m-%d}"
            rows.append([record.name, "; ".join(members), beam, what, *scores, *_differs(record, what), command, day])
    title, text = APART[kind]
    header = ["run", "members", "beam", "test set", *SCORES.values(), "difference", "95%", "command", "date"]
    return Section(title, text, header, rows)


def _differs(record: Record, what: str) -> list[str]:
    """Return by how much BLEU of a way of translating differs from the first, if it was compared, and the interval."""
    names = [f"{what}/difference{which}" for which in ("", "_low", "_high")]
    if names[0] not in record.figures:
        return ["", ""]
    return differs(*(record.figures[name] for name in names))


def _signatures(places: Sequence[Path]) -> dict[str, list[str]]:
    """Return each signature that scores of these runs have, by score: with one reference, and with all."""
    found: dict[str, dict[str, None]] = {score: {} for score in SCORES}
    for place in places:
        tests = json.loads((place / "evaluation/signatures.json").read_text(encoding="utf-8"))
        for texts in (texts for own in tests.values() for texts in (own, own.get(ALL, {}))):
            for score in SCORES:
                found[score] |= {texts[score]: None} if score in texts else {}
    return {score: list(own) for score, own in found.items()}


if __name__ == "__main__":
    main()
