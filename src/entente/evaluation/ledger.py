"""The ledger of claims as a page: verdicts, evidence, and how each figure was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from entente.evaluation.claims import CLAIMS, RULE, Evidence, verdict
from entente.evaluation.comparison import Row
from entente.evaluation.markdown import Origin, Section, compared, made, table, written


@dataclass(frozen=True, slots=True)
class Trial:
    """A training at one peak of the learning rate, by the validation BLEU of the weights it kept."""

    what: str
    peak: str
    bleu: float


def ledger(evidence: Sequence[Sequence[Evidence]], sections: Sequence[Section], origins: Sequence[Origin]) -> str:
    """Return the page as Markdown: `evidence` for each claim in order, sections that have rows, and origins."""
    numbered = list(enumerate(zip(CLAIMS, evidence, strict=True), start=1))
    lines = [
        "# The claims, and what became of them",
        "",
        "Written by `python -m pipelines.claims` from the runs in [claims.tar.xz](claims.tar.xz), where all that they "
        "were told and translated can be read, and newer ones in the tracking store; do not edit it by hand.",
        "",
        RULE.replace("\n", " "),
        "",
        *table(["claim", "verdict"], [[f"{n}. {claim.text}", f"**{verdict(own)}**"] for n, (claim, own) in numbered]),
    ]
    for n, (claim, own) in numbered:
        lines += ["", f"## {n}. {claim.text}", "", f"*What would refute it:* {claim.refuted_by}", ""]
        lines += [f"*Changed after a first look:* {claim.changed}", ""] if claim.changed else []
        lines += table(["evidence", "found", "it"], [[one.what, one.figure, one.finding] for one in own])
        lines += ["", f"Verdict: **{verdict(own)}**."]
    lines += written(sections) + made(origins)
    return "\n".join(lines) + "\n"


def on_multi30k(rows: Sequence[Row]) -> Section:
    """Compare ablations on Multi30k."""
    text = (
        "BLEU (cased, 13a) on test2016 after 2,600 updates, some 5 million target pieces: early in a training; no "
        "verdict hangs on it. (`recipe=multi30k_early` was called `recipe=multi30k training.updates=2600` until "
        "2026-11-26.) With one seed a difference is between these networks, over sentences alone, and another "
        "seed may turn it."
    )
    header = ["ablation", "seeds", "BLEU", "difference", "95%", "p (Holm)", "parameters"]
    return Section("On Multi30k", text, header, [compared(row) for row in rows])


def every_ingredient(by_bleu: Sequence[Row], by_probes: Sequence[Row]) -> Section:
    """Compare all ablations of which there is a run, by BLEU and by probes, on one seed."""
    text = (
        "All experiments that were run, `python -m pipelines.ablate --multirun sweep=all`, seed 1: BLEU on `test` and "
        "right answers to probes within the lengths seen in training, %. Differences are between these networks, over "
        "sentences alone: another seed may turn them."
    )
    probes = {row.ablation: compared(row)[2:6] for row in by_probes}
    header = [
        "ablation",
        "BLEU",
        "difference",
        "95%",
        "p (Holm)",
        "probes",
        "difference",
        "95%",
        "p (Holm)",
        "parameters",
    ]
    rows = [[one[0], *one[2:6], *probes[one[0]], one[6]] for one in map(compared, by_bleu)]
    return Section("Every ingredient", text, header, rows)


def tuning(trials: Sequence[Trial]) -> Section:
    """List the trials that each kind of network had."""
    text = (
        "Each network listed had as many trials; the other RNNs were trained at the rate that was best for these. "
        "`python -m pipelines.ablate --multirun sweep=tuning`, judged by validation BLEU, seed 1."
    )
    rows = [[trial.what, trial.peak, f"{trial.bleu:.1f}"] for trial in trials]
    return Section("Tuning", text, ["network", "peak of the learning rate", "validation BLEU"], rows)


def speed(figures: Mapping[str, Mapping[str, float]]) -> Section:
    """Tabulate the speeds of networks: network -> what was timed -> how much a second."""
    text = (
        "Training in target pieces a second, by the length of the sentences in pieces; decoding in sentences a second, "
        "20 pieces each, by the sentences in a batch. Medians of rounds in which networks took turns; random weights."
    )
    header = ["network", *next(iter(figures.values()), {})]
    rows = [[name, *(f"{value:,.0f}" for value in own.values())] for name, own in figures.items()]
    return Section("Speed", text, header, rows)
