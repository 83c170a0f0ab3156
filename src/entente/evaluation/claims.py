"""The claims that this project puts to the test, and the rule by which runs decide on them.

Written down before the runs: each claim names what would refute it, and each piece of evidence a figure and what that
figure must be; what was changed after a first look at runs says so. The verdict follows from the evidence alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from entente.evaluation.comparison import BASELINE, LEVEL, Row, compare, holm, interval, p_text
from entente.evaluation.outcomes import Outcome

Finding = Literal["supports", "contradicts", "undecided"]
Direction = Literal["worse", "better"]

RULE = f"""A comparison supports or contradicts its claim where the difference to the baseline is significant at
{LEVEL:.0%} (two-sided, over seeds and sentences, corrected by Holm for all comparisons of its claim), and is undecided
otherwise, and always where each side has one seed. A threshold supports where the 95% interval of its figure, over
seeds or rounds, lies wholly on its side, contradicts where it lies wholly on the other, and is undecided where it holds
the bound (until two seeds had been seen, bare means decided; half a point had then refuted a claim). What is exact
decides at once. A claim *holds* where all its
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
    """A figure, found under `name`, must be at least, or at most, so much. `what` says how it is made.

    An `exact` one is no matter of chance: it is measured once.
    """

    what: str
    name: str
    least: float | None = None
    most: float | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed, what would refute it, and what is looked at.

    `trained` names the override of the default with which all networks compared were trained, if there is one, and
    `changed` what was changed after runs had been looked at, and why.
    """

    text: str
    refuted_by: str
    comparisons: Sequence[Comparison]
    thresholds: Sequence[Threshold]
    trained: str | None = None
    changed: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of evidence as found: `figure` for people."""

    what: str
    figure: str
    finding: Finding


RNNS = ("gru", "gru_additive", "gru_dot", "gru_general", "lstm", "lstm_additive", "lstm_general")

SHORT = 7  # words: the longest sentences, on both sides, of the training that claim 3 is about

CLAIMS = (
    Claim(
        "Self-attention connects distant words.",
        "An encoder in which no word sees another writes the right verb across a relative clause as often, or loses "
        "no more there than where adjective and noun stand side by side.",
        [Comparison("no_self_attention", "probes/within/relative_agreement", "worse")],
        [
            Threshold(
                "points lost without self-attention across a relative clause, less those lost side by side",
                "distant_loss",
                least=0.0,
            )
        ],
        changed="At first the choice between the right verb and the wrong one was looked at. After two seeds both "
        "networks had it right in 99 of 100 cases or more, so what is written counts instead.",
    ),
    Claim(
        "Self-attention alone ignores order.",
        "The position-free encoder's memory is not permuted exactly as its source is, or a network with such an "
        "encoder tells who chased whom more often than chance lets it: both sentences of a pair are then one to it.",
        [Comparison("no_positions_encoder", "probes/within/role_reversal", "worse")],
        [
            Threshold(
                "largest difference between permuted memories, in float64", "equivariance", most=1e-12, exact=True
            ),
            Threshold("right answers without encoder positions where roles are reversed, %", "roles", most=50.0),
        ],
    ),
    Claim(
        "Sinusoidal positions carry over to sentences longer than those seen in training, learned ones do not.",
        f"Trained on sentences of at most {SHORT} words, learned positions do as well on longer ones, or sinusoids "
        "lose more than a tenth of the BLEU that the same network has there when it saw all lengths.",
        [Comparison("learned_positions", f"test/test/bleu/over/{SHORT}", "worse")],
        [Threshold("BLEU on longer sentences, as a share of that after all lengths", "carry_over", least=0.9)],
        trained=f"corpus.cleaning.max_words={SHORT}",
    ),
    Claim(
        "Attention mixes values linearly; the position-wise feed-forward network adds what a linear map cannot.",
        "With its weights held fixed attention is no linear map of the values; or without a feed-forward network, with "
        "as many parameters in deeper stacks, or with a linear one, held-out combinations come out as well.",
        [
            Comparison(ablation, "test/compositional/bleu", "worse")
            for ablation in ("no_feed_forward", "no_feed_forward_deep", "linear_feed_forward")
        ],
        [Threshold("largest deviation from linearity in the values, in float64", "linearity", most=1e-12, exact=True)],
    ),
    Claim(
        "The causal mask stops the decoder from cheating: without it the teacher-forced loss falls towards 0 and "
        "generation collapses.",
        "The unmasked network's validation loss is above 0.01 nats a piece, or it translates at half of the "
        "baseline's BLEU or better.",
        [Comparison("no_mask", "test/test/bleu", "worse")],
        [
            Threshold("validation loss without the mask, nats a piece", "mask_loss", most=0.01),
            Threshold("BLEU without the mask, as a share of the baseline's", "mask_bleu", most=0.5),
        ],
    ),
    Claim(
        "The Transformer beats RNN sequence-to-sequence models, in accuracy and in speed.",
        "An RNN with as many parameters translates as well, or trains or writes as fast.",
        [Comparison(rnn, f"test/{test}/bleu", "worse") for rnn in RNNS for test in ("test", "compositional")],
        [
            Threshold("training speed against the fastest RNN, sentences of 20 pieces", "training_speed", least=1.0),
            Threshold("decoding speed against the fastest RNN, batches of 1", "decoding_speed_1", least=1.0),
            Threshold("decoding speed against the fastest RNN, batches of 64", "decoding_speed_64", least=1.0),
        ],
    ),
)

ABLATIONS = tuple(dict.fromkeys([BASELINE, *(one.ablation for claim in CLAIMS for one in claim.comparisons)]))


def examine(claim: Claim, outcomes: Sequence[Outcome], figures: Mapping[str, Sequence[float]]) -> list[Evidence]:
    """Hold a claim against what was found: `outcomes` of the runs, and the `figures` that thresholds name, by seed.

    What was not run is undecided, and says so. Raises EntenteError as `compare` does.
    """
    there = {outcome.ablation for outcome in outcomes}
    tables = {
        one: compare([outcome for outcome in outcomes if outcome.ablation in (BASELINE, one.ablation)], one.measure)
        for one in claim.comparisons
        if {BASELINE, one.ablation} <= there
    }
    rows = {one: (base, row) for one, (base, row) in tables.items()}
    corrected = dict(zip(rows, holm([1.0 if row.p is None else row.p for _, row in rows.values()]), strict=True))
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
        f"{row.mean:.1f} against {base.mean:.1f}: {row.difference:+.1f} ({low:+.1f} to {high:+.1f}), p {p_text(p)}, "
        f"seeds {row.seeds} and {base.seeds}"
    )
    if p >= LEVEL or max(row.seeds, base.seeds) == 1:
        return Evidence(_asks(one), figure, "undecided")
    expected = (row.difference < 0) == (one.expected == "worse")
    return Evidence(_asks(one), figure, "supports" if expected else "contradicts")


def _measured(one: Threshold, figures: Mapping[str, Sequence[float]]) -> Evidence:
    bound = f"at least {one.least:g}" if one.least is not None else f"at most {one.most:g}"
    what = f"{one.what}: {bound}"
    values = figures.get(one.name, ())
    if not values:
        return Evidence(what, "not measured", "undecided")
    mean, around = fmean(values), interval(values)
    if around is None and not one.exact:
        return Evidence(what, f"{mean:.3g}, one seed", "undecided")
    low, high = around or (mean, mean)
    within = [
        (one.least is None or value >= one.least) and (one.most is None or value <= one.most) for value in (low, high)
    ]
    finding: Finding = "supports" if all(within) else "undecided" if any(within) else "contradicts"
    return Evidence(what, f"{mean:.3g}" + (f" ({low:.3g} to {high:.3g})" if around else ""), finding)
