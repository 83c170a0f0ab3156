"""What runs say on the guide's pages: comparisons with the baseline, and verbs that write them into a sentence.

A verb of a verdict is a check too: where runs no longer bear a sentence out, the page is not written.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from entente.errors import EntenteError
from entente.evaluation.claims import RNNS, SHORT
from entente.evaluation.comparison import BASELINE, LEVEL, Row
from entente.evaluation.markdown import table
from entente.evaluation.outcomes import Outcome
from entente.guide.template import Verb, listed, number

BLEU, ANSWERS = "BLEU", "right answers, %"
MULTI30K = ("recipe=multi30k_early",)  # as the ledger has it, which a test holds equal


@dataclass(frozen=True, slots=True)
class Asked:
    """A comparison: ablations against the baseline by a measure, all trained with the same overrides of the default."""

    title: str
    label: str
    measure: str
    ablations: Sequence[str]
    trained: tuple[str, ...] = ()

    @property
    def networks(self) -> list[str]:
        """Return all networks compared, the baseline first."""
        return [BASELINE, *self.ablations]


TABLES: Mapping[str, Asked] = {
    "set_of_words": Asked(
        "One vector for all words", BLEU, "test/test/bleu", ("one_vector", "uniform_attention", "no_self_attention")
    ),
    "agreement": Asked(
        "Agreement across a relative clause", ANSWERS, "probes/within/relative_agreement", ("no_self_attention",)
    ),
    "attention": Asked(
        "Other scores, other numbers of heads",
        BLEU,
        "test/test/bleu",
        ("unscaled_attention", "uniform_attention", "additive_attention", "heads_1", "heads_2", "heads_8"),
    ),
    "roles": Asked(
        "Who did it to whom",
        ANSWERS,
        "probes/within/role_reversal",
        (
            "no_positions",
            "no_positions_encoder",
            "no_positions_decoder",
            "learned_positions",
            "rotary_positions",
            "relative_positions",
            "alibi_positions",
        ),
    ),
    "positions": Asked(
        "Positions", BLEU, "test/test/bleu", ("no_positions", "no_positions_encoder", "rotary_positions")
    ),
    "longer": Asked(
        "Longer than seen",
        BLEU,
        f"test/test/bleu/over/{SHORT}",
        ("learned_positions",),
        (f"corpus.cleaning.max_words={SHORT}",),
    ),
    "feed_forward": Asked(
        "Held-out combinations of words, without the bend",
        BLEU,
        "test/compositional/bleu",
        ("no_feed_forward", "no_feed_forward_deep", "linear_feed_forward"),
    ),
    "mask": Asked("No mask", BLEU, "test/test/bleu", ("no_mask",)),
    "residual": Asked("Residuals and norms", BLEU, "test/test/bleu", ("no_residual", "post_norm")),
    "recurrent": Asked("The Transformer beside recurrent networks", BLEU, "test/test/bleu", RNNS),
    "multi30k": Asked(
        "Multi30k, early", BLEU, "test/test2016/bleu", ("gru_additive", "no_feed_forward", "no_positions"), MULTI30K
    ),
}


def of_tables(rows: Mapping[str, Sequence[Row]]) -> dict[str, Verb]:
    """Return the verbs that speak of comparisons: `worse`, `better` and `undecided` must be right; `mean`;
    `level`, where a difference counts; `short`, the words of the longest sentences that some were trained on.
    """

    def row(name: str, ablation: str) -> Row:
        return next(one for one in rows[name] if one.ablation == ablation)

    def verdict(expected: str) -> Verb:
        def said(name: str, ablation: str) -> str:
            own = row(name, ablation)
            if own.verdict != expected:
                raise EntenteError(
                    f"the guide calls {ablation} {expected} by {TABLES[name].measure}, the runs call it {own.verdict}: "
                    f"rewrite the sentences around `{expected} {name} {ablation}` in src/entente/guide/"
                )
            return difference(own, next(one for one in rows[name] if one.ablation == BASELINE), TABLES[name].label)

        return said

    verdicts = {name: verdict(name) for name in ("worse", "better", "undecided")}
    return {
        **verdicts,
        "mean": lambda name, ablation: f"{row(name, ablation).mean:.1f}",
        "short": lambda: str(SHORT),
        "level": lambda: f"{LEVEL:g}",
    }


def difference(row: Row, base: Row, label: str) -> str:
    """Write a difference to the baseline with its interval, p, and how many seeds there are on both sides."""
    assert row.difference_interval
    low, high = map(_signed, row.difference_interval)
    p = f"p {row.p_text}" if row.p_text.startswith("<") else f"p = {row.p_text}"
    seeds = f"seeds: {row.seeds} and {base.seeds}"
    unit = BLEU if label == BLEU else "points"
    return f"{_signed(row.difference)} {unit} (95%: {low} to {high}, {p}; {seeds})"


def _signed(value: float) -> str:
    text = f"{value:+.1f}".replace("-", "−")
    return text[1:] if text[1:] == "0.0" else text


def claim(ledger: str, which: str) -> str:
    """Name a claim of the ledger, linked to its section, with its verdict."""
    text, verdict = re.findall(rf"^\| ({which}\. .+) \| \*\*(.+)\*\* \|$", ledger, re.MULTILINE)[0]
    anchor = re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-")  # as GitHub makes it
    return f"[claim {which}](../claims.md#{anchor}) (*{verdict}*)"


def of_figures(outcomes: Sequence[Outcome]) -> dict[str, Verb]:
    """Return the verb `logged`: what each seed of an ablation logged under a name."""

    def logged(ablation: str, figure: str) -> str:
        values = [number(one.figures[figure]) for one in outcomes if one.ablation == ablation and figure in one.figures]
        return listed(values) + (" (one seed)" if len(values) == 1 else f" ({len(values)} seeds)")

    return {"logged": logged}


def role_pairs(answered: Mapping[str, Sequence[Sequence[Mapping[str, str]]]]) -> str:
    """Tabulate, by ablation, the answers of each seed to pairs of sentences that differ in who did it to whom.

    Pairs of the very same words (capitals count) stand apart: they are one set.
    """
    rows = []
    for ablation, seeds in answered.items():
        pairs = [pair for own in seeds for pair in zip(own[::2], own[1::2], strict=True)]
        for kind, same in (("the same words", True), ("other words, such as *The* and *the*", False)):
            own = [pair for pair in pairs if (_bag(pair[0]) == _bag(pair[1])) == same]
            alike = sum(one["answer"] == other["answer"] for one, other in own)
            right = sum(probe["answer"] == probe["target"] for pair in own for probe in pair)
            shares = f"{alike} of {len(own)}", f"{right} of {2 * len(own)}"
            rows.append([f"`{ablation}`", str(len(seeds)), kind, *shares])
    return "\n".join(table(["network", "seeds", "the pair has", "answered alike", "right answers"], rows))


def _bag(probe: Mapping[str, str]) -> list[str]:
    return sorted(re.findall(r"\w+|[^\w\s]", probe["source"]))


def same_pair(answered: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """Tabulate what networks write for the first pair of sentences of the very same words."""
    first = next(iter(answered.values()))
    place = next(n for n in range(0, len(first), 2) if _bag(first[n]) == _bag(first[n + 1]))
    rows = [
        [one[place + which]["source"], *(own[place + which]["answer"] for own in answered.values())]
        for which in (0, 1)
        for one in [first]
    ]
    return "\n".join(table(["", *(f"`{name}`" for name in answered)], rows))


def translated(tables: Mapping[str, Sequence[Mapping[str, str]]], count: int) -> str:
    """Tabulate the first sources of a test set with what networks wrote; what goes on and on is cut short."""
    first = next(iter(tables.values()))
    rows = [[first[n]["source"], *(_short(own[n]["hypothesis"]) for own in tables.values())] for n in range(count)]
    return "\n".join(table(["", *(f"`{name}`" for name in tables)], rows))


def _short(text: str) -> str:
    words = text.split()
    return text if len(words) <= 15 else f"{' '.join(words[:4])} … ({len(words)} words)"
