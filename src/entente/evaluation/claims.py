"""The claims that this project puts to the test, and the rule by which runs decide on them.

Written down before the runs: each claim names what would refute it, and each piece of evidence a figure and what that
figure must be. The verdict follows from the evidence alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from entente.evaluation.comparison import BASELINE, LEVEL, Outcome, Row, compare, holm

Finding = Literal["supports", "contradicts", "undecided"]
Direction = Literal["worse", "better"]

RULE = f"""A comparison supports or contradicts its claim where the difference to the baseline is significant at
{LEVEL:.0%} (two-sided, over seeds and sentences, corrected by Holm for all comparisons of its claim), and is undecided
otherwise, and always where each side has one seed; a threshold supports or contradicts. A claim *holds* where all its
evidence supports it, is *refuted* where some contradicts and none supports it, *holds in part* where some supports it
and some does not, and is *undecided* where nothing is decided."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An ablation must be worse, or better, than the baseline by a measure (as `compare` names it)."""

    ablation: str
    measure: str
    expected: Direction


@dataclass(frozen=True, slots=True)
class Threshold:
    """A figure, made of `figures` by name, must be at least, or at most, so much. `what` says how it is made."""

    what: str
    name: str
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed, what would refute it, and what is looked at."""

    text: str
    refuted_by: str
    comparisons: Sequence[Comparison]
    thresholds: Sequence[Threshold]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of evidence as found: `figure` for people."""

    what: str
    figure: str
    finding: Finding


RNNS = ("gru", "gru_additive", "gru_dot", "gru_general", "lstm", "lstm_additive", "lstm_general")

CLAIMS = (
    Claim(
        "Self-attention connects distant words.",
        "An encoder in which no word sees another agrees as well across a relative clause.",
        [Comparison("no_self_attention", "probes/within/relative_agreement", "worse")],
        [],
    ),
    Claim(
        "Self-attention alone ignores order.",
        "The position-free encoder's memory is not permuted exactly as its source is, or the network without "
        "positions tells who chased whom as well as the baseline.",
        [Comparison("no_positions", "probes/within/role_reversal", "worse")],
        [Threshold("largest difference between permuted memories, in float64", "equivariance", most=1e-12)],
    ),
    Claim(
        "Sinusoidal positions carry over to sentences longer than those seen in training, learned ones do not.",
        "Learned positions do as well on the test of longer sentences, or sinusoids lose more than a tenth of the "
        "BLEU that they have on sentences of the lengths seen.",
        [Comparison("learned_positions", "test/longer/bleu", "worse")],
        [Threshold("the baseline's BLEU on longer sentences, as a share of that on the test", "carry_over", least=0.9)],
    ),
    Claim(
        "Attention mixes values linearly; the position-wise feed-forward network adds what a linear map cannot.",
        "Without it, or with a linear one of the same size, held-out combinations and negation come out as well.",
        [
            Comparison(ablation, measure, "worse")
            for ablation in ("no_feed_forward", "linear_feed_forward")
            for measure in ("test/compositional/bleu", "probes/within/negation")
        ],
        [],
    ),
    Claim(
        "The causal mask stops the decoder from cheating: without it the teacher-forced loss falls towards 0 and "
        "generation collapses.",
        "The unmasked network's validation loss is more than half of the baseline's, or it translates at half of the "
        "baseline's BLEU or better.",
        [Comparison("no_mask", "test/test/bleu", "worse")],
        [
            Threshold("validation loss without the mask, as a share of the baseline's", "mask_loss", most=0.5),
            Threshold("BLEU without the mask, as a share of the baseline's", "mask_bleu", most=0.5),
        ],
    ),
    Claim(
        "The Transformer beats RNN sequence-to-sequence models, in accuracy and in speed.",
        "An RNN with as many parameters translates held-out combinations as well, or trains or writes as fast.",
        [Comparison(rnn, "test/compositional/bleu", "worse") for rnn in RNNS],
        [
            Threshold("training speed against the fastest RNN, sentences of 20 pieces", "training_speed", least=1.0),
            Threshold("decoding speed against the fastest RNN, batches of 1", "decoding_speed_1", least=1.0),
            Threshold("decoding speed against the fastest RNN, batches of 64", "decoding_speed_64", least=1.0),
        ],
    ),
)


def examine(claim: Claim, outcomes: Sequence[Outcome], figures: Mapping[str, float]) -> list[Evidence]:
    """Hold a claim against what was found: `outcomes` of the runs, and the `figures` that thresholds name.

    What was not run is undecided, and says so. Raises EntenteError as `compare` does.
    """
    there = {outcome.ablation for outcome in outcomes}
    tables = {
        one: compare([outcome for outcome in outcomes if outcome.ablation in (BASELINE, one.ablation)], one.measure)
        for one in claim.comparisons
        if {BASELINE, one.ablation} <= there
    }
    rows = {one: (base, row) for one, (base, row) in tables.items()}
    corrected = dict(zip(rows, holm([row.p or 0.0 for _, row in rows.values()]), strict=True))
    compared = [
        _compared(one, *rows[one], corrected[one]) if one in rows else _not_run(one) for one in claim.comparisons
    ]
    return compared + [_measured(one, figures) for one in claim.thresholds]


def verdict(evidence: Sequence[Evidence]) -> str:
    """Return `holds`, `holds in part`, `refuted` or `undecided`, by the rule above."""
    findings = {one.finding for one in evidence}
    if findings == {"supports"}:
        return "holds"
    if "supports" in findings:
        return "holds in part"
    return "refuted" if "contradicts" in findings else "undecided"


def _asks(one: Comparison) -> str:
    return f"`{one.ablation}` is {one.expected} than the baseline by {one.measure}"


def _not_run(one: Comparison) -> Evidence:
    return Evidence(_asks(one), "not run", "undecided")


def _compared(one: Comparison, base: Row, row: Row, p: float) -> Evidence:
    low, high = row.difference_interval or (row.difference, row.difference)
    figure = (
        f"{row.mean:.1f} against {base.mean:.1f}: {row.difference:+.1f} ({low:+.1f} to {high:+.1f}), p {p:.3f}, "
        f"seeds {row.seeds} and {base.seeds}"
    )
    if p >= LEVEL or max(row.seeds, base.seeds) == 1:
        return Evidence(_asks(one), figure, "undecided")
    expected = (row.difference < 0) == (one.expected == "worse")
    return Evidence(_asks(one), figure, "supports" if expected else "contradicts")


def _measured(one: Threshold, figures: Mapping[str, float]) -> Evidence:
    bound = f"at least {one.least:g}" if one.least is not None else f"at most {one.most:g}"
    what = f"{one.what}: {bound}"
    if one.name not in figures:
        return Evidence(what, "not measured", "undecided")
    value = figures[one.name]
    within = (one.least is None or value >= one.least) and (one.most is None or value <= one.most)
    return Evidence(what, f"{value:.3g}", "supports" if within else "contradicts")
