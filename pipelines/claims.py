"""The ledger of claims, from what MLflow recorded: `python -m pipelines.claims` writes docs/claims.md.

It takes the latest finished run of each ablation and seed that has the default's corpus, subwords and training, and
the latest benchmark of networks. What makes a claim hold stands in evaluation/claims.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from omegaconf import OmegaConf

from entente.errors import EntenteError, for_people
from entente.evaluation.claims import CLAIMS, RNNS, RULE, Evidence, examine, verdict
from entente.evaluation.comparison import BASELINE, Outcome
from entente.model.masks import padding_mask
from entente.model.weights import load
from entente.text.corpus import replacing
from entente.tracking.records import Record, Records
from entente.tracking.runs import flatten
from entente.tracking.store import root
from pipelines.compose import CONF, compose
from pipelines.report import EXPERIMENT, outcome

LEDGER = Path("docs/claims.md")
ALIKE = ("corpus", "subwords", "training", "trainer", "decoding")
LENGTH, BATCHES = 20, (1, 64)  # of the benchmark's figures that the ledger quotes


@for_people
def main() -> None:
    """Write the ledger."""
    records = Records(EXPERIMENT)
    found = runs(records)
    if not any(name == BASELINE for name, _ in found):
        raise EntenteError(
            "the tracking store has no finished run of the baseline with the default's corpus and training: "
            "run `python -m pipelines.ablate --multirun sweep=all seed=1,2,3` first"
        )
    with tempfile.TemporaryDirectory() as place:
        outcomes = [
            outcome(name, seed, record, record.fetch("evaluation", Path(place) / record.id))
            for (name, seed), record in found.items()
        ]
        figures = measured(found, outcomes, records, Path(place))
    evidence = [examine(claim, outcomes, figures) for claim in CLAIMS]
    with replacing(root() / LEDGER) as temporary:
        temporary.write_text(written(evidence, found, next(records.tagged("entente.kind", "benchmark"), None)))
    print(f"{LEDGER}: " + ", ".join(f"{n}. {verdict(one)}" for n, one in enumerate(evidence, start=1)))


def runs(records: Records) -> dict[tuple[str, int], Record]:
    """Return the latest finished run of each ablation and seed that differs from the default in its model alone."""
    default: Any = OmegaConf.to_container(compose([], root() / CONF), resolve=True)
    wanted = flatten({group: default[group] for group in ALIKE})
    found: dict[tuple[str, int], Record] = {}
    for record in records.tagged("entente.ablation"):
        if wanted.items() <= record.parameters.items():
            found.setdefault((record.tags["entente.ablation"], int(record.parameters["seed"])), record)
    return dict(sorted(found.items(), key=lambda item: (item[0][0] != BASELINE, item[0])))


def measured(
    found: Mapping[tuple[str, int], Record], outcomes: Sequence[Outcome], records: Records, place: Path
) -> dict[str, float]:
    """Return the figures that the claims' thresholds name, as far as there are runs to take them from."""
    means: dict[str, dict[str, float]] = {}
    for name in {one.ablation for one in outcomes}:
        own = [one.figures for one in outcomes if one.ablation == name]
        shared = set.intersection(*(set(figures) for figures in own))
        means[name] = {figure: fmean(figures[figure] for figures in own) for figure in shared}
    base = means[BASELINE]
    figures = {"carry_over": base["test/longer/bleu"] / base["test/test/bleu"]}
    if "no_mask" in means:
        figures["mask_loss"] = means["no_mask"]["val/loss"] / base["val/loss"]
        figures["mask_bleu"] = means["no_mask"]["test/test/bleu"] / base["test/test/bleu"]
    unplaced = next((record for (name, _), record in found.items() if name == "no_positions"), None)
    if unplaced:
        figures["equivariance"] = permuted_difference(unplaced.fetch("model", place / "model"))
    benchmark = next(records.tagged("entente.kind", "benchmark"), None)
    if benchmark:
        names = {"training_speed": f"training length {LENGTH} tokens per second"}
        names |= {f"decoding_speed_{batch}": f"decoding batch {batch} sentences per second" for batch in BATCHES}
        for name, figure in names.items():
            fastest = max(benchmark.figures[f"{rnn}/{figure}"] for rnn in RNNS)
            figures[name] = benchmark.figures[f"{BASELINE}/{figure}"] / fastest
    return figures


def permuted_difference(model: Path) -> float:
    """Return how far the memory of a permuted source is from the permuted memory, at most, in float64."""
    network = load(model).double()
    random = torch.Generator().manual_seed(1)
    src = torch.randint(4, network.vocabulary, (64, 12), generator=random)
    order = torch.randperm(12, generator=random)
    mask = padding_mask(src, 0)
    with torch.inference_mode():
        return float((network.encode(src[:, order], mask) - network.encode(src, mask)[:, order]).abs().max())


def written(
    evidence: Sequence[Sequence[Evidence]], found: Mapping[tuple[str, int], Record], benchmark: Record | None
) -> str:
    """Return the ledger as Markdown."""
    lines = [
        "# The claims, and what became of them",
        "",
        "Written by `python -m pipelines.claims` from the tracking store; do not edit it by hand.",
        "",
        RULE.replace("\n", " "),
        "",
        "| claim | verdict |",
        "|---|---|",
        *(f"| {n}. {claim.text} | **{verdict(own)}** |" for n, (claim, own) in _numbered(evidence)),
    ]
    for n, (claim, own) in _numbered(evidence):
        lines += ["", f"## {n}. {claim.text}", "", f"*What would refute it:* {claim.refuted_by}", ""]
        lines += ["| evidence | found | it |", "|---|---|---|"]
        lines += [f"| {one.what} | {one.figure} | {one.finding} |" for one in own]
        lines += ["", f"Verdict: **{verdict(own)}**."]
    lines += ["", "## The runs", "", "| ablation | seeds | command | machine | date |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(name for name, _ in found):
        own_runs = {seed: record for (other, seed), record in found.items() if other == name}
        seeds = ",".join(map(str, own_runs))
        days = sorted({f"{record.began:%Y-%m-%d}" for record in own_runs.values()})
        machines = sorted({record.tags.get("entente.machine", "unknown") for record in own_runs.values()})
        command = f"`python -m pipelines.ablate --multirun experiment={name} seed={seeds}`"
        lines.append(f"| {name} | {seeds} | {command} | {'; '.join(machines)} | {', '.join(days)} |")
    if benchmark:
        where = benchmark.tags.get("entente.machine", "unknown")
        lines.append(f"| speed | | `python -m pipelines.benchmark` | {where} | {benchmark.began:%Y-%m-%d} |")
    return "\n".join(lines) + "\n"


def _numbered(evidence: Sequence[Sequence[Evidence]]) -> list[tuple[int, tuple[Any, Sequence[Evidence]]]]:
    return list(enumerate(zip(CLAIMS, evidence, strict=True), start=1))


if __name__ == "__main__":
    main()
