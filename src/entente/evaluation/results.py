"""What the recipes reach, as a page: scores by recipe, network and seed, compared, and by the length of sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from entente.evaluation.comparison import Row, interval
from entente.evaluation.markdown import Origin, Section, compared, made, written

SCORES = {
    "bleu": "BLEU",
    "chrf": "chrF",
    "ter": "TER",
    "bleu_lower_tokenised": "BLEU, lower-cased, Moses-tokenised",
}

INTRODUCTION = """\
Written by `python -m pipelines.results` from the runs in [results.tar.xz](results.tar.xz) and newer ones in the
tracking store; do not edit it by hand. The archive holds what each network translated, a file for each test set, so
that anyone can score it again, such as with

```
mkdir -p rescored && tar -xJf docs/results.tar.xz -C rescored
sacrebleu PREPARED/test2016.fr -i rescored/RUN/evaluation/test2016.fr -m bleu chrf ter
```

PREPARED is `data/prepared` after `dvc exp run -S recipe=multi30k`, and in `ablations/data-*` after a sweep. (Of the
embedded corpus there are tables with sources and references, `test.tsv`; the other corpora are not ours to
give away.) Figures are means over seeds, with their 95% interval where there are several; differences are to the
baseline, in BLEU, over seeds and sentences. Where both sides have one seed they are between these two networks, and
another seed may turn them. p is corrected by Holm for the networks of its test set in its table alone (the ledger of
[claims](claims.md) corrects for all of a claim's), the intervals are not.
`multi30k_brief` compares by the validation set what may help on few sentences, early in a training: what slows
learning so that less is learnt by heart costs there, and has no time to pay. Batches count pieces: of shorter ones
they hold fewer sentences. Split pair by pair, Tatoeba has much of the test's English in training: its figures are a
warning, not a result."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One run by one test set: network, seed, scores by name, target pieces it was trained on, and minutes."""

    network: str
    seed: int
    test: str
    scores: Mapping[str, float]
    pieces: float
    minutes: float


@dataclass(frozen=True, slots=True)
class Reached:
    """What a recipe reaches: its runs, comparisons by test set, BLEU by test set, network and bucket of length, and how
    many sentences each bucket has.
    """

    recipe: str
    runs: Sequence[Scored]
    compared: Mapping[str, Sequence[Row]]
    lengths: Mapping[str, Mapping[str, Mapping[str, float]]]
    counts: Mapping[str, Mapping[str, int]]


def results(
    reached: Sequence[Reached],
    apart: Sequence[Section],
    signatures: Mapping[str, Sequence[str]],
    origins: Sequence[Origin],
) -> str:
    """Return the page as Markdown: each recipe, what is to be told `apart`, each run, signatures and origins."""
    own = [section for one in reached for section in (_scores(one), _lengths(one))]
    lines = ["# Results", "", INTRODUCTION, *written([*own, *apart, _runs(reached)])]
    lines += [
        "",
        "## Signatures",
        "",
        *(f"- {SCORES[name]}: `{text}`" for name, own in signatures.items() for text in own),
    ]
    return "\n".join([*lines, *made(origins)]) + "\n"


def _scores(one: Reached) -> Section:
    header = ["test set", "network", "seeds", *SCORES.values(), "difference", "95%", "p (Holm)", "parameters"]
    rows = []
    for test, table in one.compared.items():
        for row in table:
            network, seeds, _, *differences = compared(row)
            scores = [[run.scores[name] for run in _of(one.runs, network, test)] for name in SCORES]
            rows.append([test, network, seeds, *map(with_interval, scores), *differences])
    return Section(f"`{one.recipe}`", "", header, rows)


def _of(runs: Sequence[Scored], network: str, test: str) -> list[Scored]:
    return [run for run in runs if (run.network, run.test) == (network, test)]


def with_interval(values: Sequence[float]) -> str:
    """Write a mean over seeds and, where there are several, its 95% interval."""
    around = interval(values)
    return f"{fmean(values):.1f}" + (f" ({around[0]:.1f} to {around[1]:.1f})" if around else "")


def _lengths(one: Reached) -> Section:
    buckets = sorted({bucket for test in one.lengths.values() for own in test.values() for bucket in own})
    rows = []
    for test, networks in one.lengths.items():
        sizes = one.counts[test]
        rows.append([test, "*sentences*", *(f"{sizes[bucket]:,}" if bucket in sizes else "" for bucket in buckets)])
        for network, own in networks.items():
            rows.append([test, network, *(f"{own[bucket]:.1f}" if bucket in own else "" for bucket in buckets)])
    text = "Of n-grams as long as the sentences are (`eff:yes`). Where sentences are few the figure says little."
    return Section(f"`{one.recipe}`, BLEU by words of the source", text, ["test set", "network", *buckets], rows)


def _runs(reached: Sequence[Reached]) -> Section:
    text = (
        "Minutes are of training, without validation, by the clock, on machines that did other work beside or stood "
        "still meanwhile. Where a run did not record them the cells are empty."
    )
    header = ["recipe", "network", "seed", "test set", *SCORES.values(), "million target pieces", "minutes"]
    rows = [
        [
            one.recipe,
            run.network,
            str(run.seed),
            run.test,
            *(f"{run.scores[name]:.2f}" for name in SCORES),
            *(f"{value:.1f}" if value else "" for value in (run.pieces / 1e6, run.minutes)),
        ]
        for one in reached
        for run in one.runs
    ]
    return Section("Each run", text, header, rows)
