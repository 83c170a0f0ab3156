"""The ledger of claims, from what MLflow recorded: `python -m pipelines.claims` writes docs/claims.md.

It takes the latest finished run of each ablation and seed that has the default's corpus, subwords and training, and
the latest benchmark of networks; those that it took it keeps in docs/claims.tar.xz, and they go on counting where the
store has no newer ones. What makes a claim hold stands in evaluation/claims.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import truediv
from pathlib import Path
from statistics import median

from entente.errors import EntenteError, for_people
from entente.evaluation.claims import ABLATIONS, CLAIMS, RNNS, SHORT, examine, verdict
from entente.evaluation.comparison import BASELINE, Row, compare
from entente.evaluation.exactness import nonlinearity, permuted_difference
from entente.evaluation.ledger import Trial, every_ingredient, ledger, on_multi30k, speed, tuning
from entente.evaluation.outcomes import Outcome, sample
from entente.text.corpus import replacing
from entente.tracking.records import EVALUATED, Record
from entente.tracking.store import root
from pipelines.compose import CONF, compose
from pipelines.kept_runs import SWEEP, Found, composed, decisive, experiments, keep, known, origin, origins, runs
from pipelines.report import outcome

LEDGER = Path("docs/claims.md")
KEPT = Path("docs/claims.tar.xz")
PEAK = "training.schedule.peak"
MULTI30K = ("recipe=multi30k_early",)
LENGTH, BATCHES = 20, (1, 64)  # of the benchmark's figures that the ledger quotes

Outcomes = list[Outcome]


@for_people
def main() -> None:
    """Write the ledger."""
    records = known(root() / KEPT)
    settings = dict.fromkeys(claim.trained for claim in CLAIMS)
    found = {trained: runs(records, [trained] if trained else [], ABLATIONS) for trained in settings}
    if BASELINE not in {name for name, _ in found[None]}:
        raise EntenteError(
            "the tracking store has no finished run of the baseline with the default's corpus and training: "
            "run `python -m pipelines.ablate --multirun sweep=all seed=1,2,3` first"
        )
    with tempfile.TemporaryDirectory() as place:
        outcomes = {trained: _outcomes(own, Path(place)) for trained, own in found.items()}
        benchmark = latest_benchmark(records)
        exact = of_networks(found[None], Path(place))
        figures = measured(outcomes, benchmark)
        figures |= {name: [value] for own in exact.values() for name, value in own.items()}
        real, tried = runs(records, MULTI30K, experiments()), trials(records)
        seed = int(compose([], root() / CONF).seed)
        everything = {key: run for key, run in runs(records, [], experiments()).items() if key[1] == seed}
        once, on_real = _outcomes(everything, Path(place)), _outcomes(real, Path(place))
        sections = [
            every_ingredient(compared(once, "test/test/bleu"), compared(once, "probes/mean")),
            on_multi30k(compared(on_real, "test/test2016/bleu")),
            speed(speeds(benchmark) if benchmark else {}),
            tuning([Trial(*key, max(bleu for _, bleu in record.curve("val/bleu"))) for key, record in tried.items()]),
        ]
    evidence = [examine(claim, outcomes[claim.trained], figures) for claim in CLAIMS]
    made = [line for trained, own in found.items() for line in origins(own, [trained] if trained else [])]
    if everything:
        made.append(origin("every ingredient", f"{seed}", f"{SWEEP}sweep=all seed={seed}", list(everything.values())))
    made += origins(real, MULTI30K)
    if benchmark:
        made.append(origin("speed", "", "python -m pipelines.benchmark networks", [benchmark]))
    with replacing(root() / LEDGER) as temporary:
        temporary.write_text(ledger(evidence, sections, made), encoding="utf-8")
    networks = [
        *everything.values(),
        *(record for own in found.values() for record in own.values()),
        *real.values(),
        *tried.values(),
    ]
    keep(root() / KEPT, {record.id: record for record in networks}.values(), exact, [benchmark] if benchmark else [])
    print(f"{LEDGER}: " + ", ".join(f"{n}. {verdict(one)}" for n, one in enumerate(evidence, start=1)))


def trials(records: Sequence[Record]) -> dict[tuple[str, str], Record]:
    """Return the trainings that differ from their experiment in the learning rate's peak at most, with its seed.

    By ablation and peak; none of a network that was tried at one rate only.
    """
    seed = str(compose([], root() / CONF).seed)
    done = [
        record
        for record in records
        if EVALUATED in record.figures and record.parameters.get("seed") == seed and PEAK in record.parameters
    ]
    found: dict[tuple[str, str], Record] = {}
    for name in ABLATIONS:
        wanted = composed(name, [])
        for record in done:
            own = decisive(record)
            if own == wanted | {PEAK: own[PEAK]}:
                found.setdefault((name, own[PEAK]), record)
    several = Counter(name for name, _ in found)
    order = sorted(found, key=lambda key: (ABLATIONS.index(key[0]), float(key[1])))
    return {key: found[key] for key in order if several[key[0]] > 1}


def _outcomes(found: Found, place: Path) -> Outcomes:
    return [
        outcome(name, seed, record, record.fetch("evaluation", place / record.id))
        for (name, seed), record in found.items()
    ]


def measured(outcomes: Mapping[str | None, Outcomes], benchmark: Record | None) -> dict[str, list[float]]:
    """Return the figures that the claims' thresholds name, as far as there are runs for them: by seed, or by round."""

    def of(ablation: str, measure: str, trained: str | None = None) -> dict[int, float]:
        own = [one for one in outcomes[trained] if one.ablation == ablation]
        return {one.seed: one.figures[measure] if measure in one.figures else sample(one, measure).value for one in own}

    def joined(combine: Callable[..., float], *sides: Mapping[int, float]) -> list[float]:
        seeds = sorted(set.intersection(*(set(side) for side in sides)))
        return [combine(*(side[seed] for side in sides)) for seed in seeds]

    distant, near = "probes/within/relative_agreement", "probes/within/adjective_agreement"
    over = f"test/test/bleu/over/{SHORT}"
    short = next(claim.trained for claim in CLAIMS if claim.trained)
    figures = {
        "distant_loss": joined(
            lambda far, far_without, close, close_without: (far - far_without) - (close - close_without),
            *(of(ablation, measure) for measure in (distant, near) for ablation in (BASELINE, "no_self_attention")),
        ),
        "roles": list(of("no_positions_encoder", "probes/within/role_reversal").values()),
        "carry_over": joined(truediv, of(BASELINE, over, short), of(BASELINE, over)),
        "mask_loss": list(of("no_mask", "val/loss").values()),
        "mask_bleu": joined(truediv, of("no_mask", "test/test/bleu"), of(BASELINE, "test/test/bleu")),
    }
    if benchmark:
        names = {"training_speed": f"training length {LENGTH} tokens per second"}
        names |= {f"decoding_speed_{batch}": f"decoding batch {batch} sentences per second" for batch in BATCHES}
        for name, figure in names.items():
            speeds = {network: dict(benchmark.curve(f"{network}/{figure}")) for network in (BASELINE, *RNNS)}
            fastest = max(RNNS, key=lambda rnn: median(speeds[rnn].values()))
            figures[name] = joined(truediv, speeds[BASELINE], speeds[fastest])
    return figures


def of_networks(found: Found, place: Path) -> dict[str, dict[str, float]]:
    """Return what is exact, by run, measured on trained networks as far as there are some; or as it was kept."""
    figures: dict[str, dict[str, float]] = {}
    for name, ablation, measure in (
        ("equivariance", "no_positions_encoder", permuted_difference),
        ("linearity", BASELINE, nonlinearity),
    ):
        record = next((record for (other, _), record in found.items() if other == ablation), None)
        if record and name in record.figures:
            figures[record.id] = {name: record.figures[name]}
        elif record:
            figures[record.id] = {name: measure(record.fetch("model", place / f"model-{record.id}"))}
    return figures


def latest_benchmark(records: Sequence[Record]) -> Record | None:
    """Return the latest benchmark of the baseline and all RNNs, if there is one."""
    figure = f"training length {LENGTH} tokens per second"
    wanted = {f"{name}/{figure}" for name in (BASELINE, *RNNS)}
    return next((record for record in records if wanted <= record.figures.keys()), None)


def speeds(benchmark: Record) -> dict[str, dict[str, float]]:
    """Return what a benchmark of networks timed: network -> what -> median over rounds, training first."""
    figures = sorted({figure.split("/", 1)[1] for figure in benchmark.figures if figure.startswith(f"{BASELINE}/")})
    figures.sort(key=lambda figure: ("training" not in figure, int(re.findall(r"\d+", figure)[0])))
    return {
        network: {
            re.sub(" length| (tokens|sentences) per second", "", figure): median(
                value for _, value in benchmark.curve(f"{network}/{figure}")
            )
            for figure in figures
        }
        for network in (BASELINE, *RNNS)
    }


def compared(outcomes: Outcomes, measure: str) -> list[Row]:
    """Compare ablations, if there is a baseline among them."""
    there = {one.ablation for one in outcomes}
    return compare(outcomes, measure) if BASELINE in there else []


if __name__ == "__main__":
    main()
