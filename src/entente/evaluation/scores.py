"""Scores of translations against references, each with the signature that makes its figure comparable.

BLEU: Papineni et al. 2002 (P02-1040); chrF: Popović 2015 (W15-3049); TER: Snover et al. 2006; signatures and
their 13a tokenisation: Post 2018 (W18-6319).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import pairwise, zip_longest
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacremoses import MosesPunctNormalizer, MosesTokenizer

from entente.errors import EntenteError

TARGET_LANGUAGE = "fr"  # Moses has rules per language (elision, abbreviations, quotes)

References = Sequence[Sequence[str]]  # for each sentence all its references, the first one first
Floats = npt.NDArray[np.float64]


class _OneByOne(Metric):
    """Reads a sentence's references when its turn comes: sacreBLEU itself keeps the n-grams of all, 14 KiB each."""

    def _cache_references(self, references: Sequence[Sequence[str | None]]) -> Iterator[Any]:  # type: ignore[override]
        counts = {sum(line is not None for line in own) for own in zip(*references, strict=True)}
        self.num_refs = counts.pop() if len(counts) == 1 else -1
        for own in zip(*references, strict=True):
            yield self._extract_reference_info([self._preprocess_segment(line) for line in own if line is not None])


class _BLEU(_OneByOne, BLEU):
    pass


class _CHRF(_OneByOne, CHRF):
    pass


class _TER(_OneByOne, TER):
    pass


@dataclass(frozen=True, slots=True)
class Score:
    """A figure from 0 to 100 (TER, an error rate, may exceed it) and how it was computed."""

    name: str
    value: float
    signature: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """BLEU over the sentences whose source has `length` words, written so that labels sort as lengths do."""

    length: str
    count: int
    bleu: float


def score(hypotheses: Sequence[str], references: References) -> dict[str, Score]:
    """Score detokenised hypotheses: `bleu` (cased, 13a), `chrf`, `ter`, `bleu_lower_tokenised`, by name.

    Sentences may differ in their number of references. Raises EntenteError for an empty set, for sides of
    different length and for a sentence without a reference.
    """
    streams = _streams(hypotheses, references)
    scores = {}
    for name, metric in (("bleu", _BLEU()), ("chrf", _CHRF()), ("ter", _TER())):
        value = float(metric.corpus_score(hypotheses, streams).score)
        scores[name] = Score(name, value, str(metric.get_signature()))
    scores["bleu_lower_tokenised"] = _bleu_lower_tokenised(hypotheses, references)
    return scores


def bleu(hypotheses: Sequence[str], references: References) -> float:
    """Return BLEU alone (cased, 13a), 0 to 100: the quick figure of validation. Raises as `score` does."""
    # A network that has just begun repeats itself in ways that sacreBLEU takes for tokenised text: `force`.
    metric = _BLEU(force=True)
    return float(metric.corpus_score(hypotheses, _streams(hypotheses, references)).score)


@cache
def _sentence_chrf() -> CHRF:
    return CHRF()


def chrf(hypothesis: str, reference: str) -> float:
    """Return chrF of one sentence, 0 to 100: smooth enough to choose among translations by."""
    return float(_sentence_chrf().sentence_score(hypothesis, [reference]).score)


def bleu_statistics(hypotheses: Sequence[str], references: References) -> npt.NDArray[np.int64]:
    """Return what BLEU (cased, 13a) needs of each sentence (N, 10), to be summed over any of them. Raises as `score`.

    Columns: n-grams that a reference has, for n from 1 to 4; n-grams, for n from 1 to 4; length of the
    hypothesis; length of the reference closest to it. Lengths are in tokens.
    """
    _streams(hypotheses, references)
    metric = _BLEU(effective_order=True, force=True)  # the order bears on a sentence's score alone, not on its counts
    rows = []
    for hypothesis, own in zip(hypotheses, references, strict=True):
        one = metric.sentence_score(hypothesis, own)
        rows.append([*one.counts, *one.totals, one.sys_len, one.ref_len])
    return np.array(rows, np.int64)


def bleu_of(sums: npt.NDArray[np.integer | np.floating]) -> Floats:
    """Return BLEU (...), 0 to 100, of sums (..., 10) of `bleu_statistics`, smoothed as sacreBLEU does (`exp`)."""
    counts, totals, length, closest = sums[..., :4], sums[..., 4:8], sums[..., 8], sums[..., 9]
    halvings = np.cumsum(counts == 0, axis=-1)  # each order without a match counts half of what the one before did
    matches = np.where(counts == 0, 0.5**halvings, counts)
    precisions = matches / np.maximum(totals, 1)
    brevity = np.exp(np.minimum(0, 1 - closest / np.maximum(length, 1)))
    scored = counts.any(axis=-1) & totals.all(axis=-1)
    return np.where(scored, 100 * brevity * np.exp(np.log(precisions).mean(axis=-1)), 0.0)


def bleu_by_length(
    sources: Sequence[str], hypotheses: Sequence[str], references: References, bounds: Sequence[int]
) -> list[Bucket]:
    """Return BLEU per bucket of source length, in words; buckets that hold no sentence are left out.

    `bounds` are the last lengths of the closed buckets, rising; one open bucket follows. A bucket whose
    sentences are too short for 4-grams is scored on the n-grams it has (sacreBLEU's effective order).
    """
    _streams(hypotheses, references)
    if len(sources) != len(hypotheses):
        raise EntenteError(f"{len(sources)} sources but {len(hypotheses)} hypotheses: give as many of each")
    labels = _labels(bounds)
    members: list[list[int]] = [[] for _ in labels]
    for row, source in enumerate(sources):
        members[bisect_left(bounds, len(source.split()))].append(row)
    metric = _BLEU(effective_order=True, force=True)
    buckets = []
    for label, rows in zip(labels, members, strict=True):
        if rows:
            chosen = [hypotheses[row] for row in rows]
            streams = _streams(chosen, [references[row] for row in rows])
            buckets.append(Bucket(label, len(rows), float(metric.corpus_score(chosen, streams).score)))
    return buckets


def _labels(bounds: Sequence[int]) -> list[str]:
    """Name the buckets that `bounds` make: [5, 10] -> 01-05, 06-10, 11+."""
    if not bounds or bounds[0] < 1 or any(low >= high for low, high in pairwise(bounds)):
        raise EntenteError(f"length bounds {list(bounds)}: give rising numbers of words, such as [5, 10]")
    digits = len(str(bounds[-1] + 1))
    first = [1, *(bound + 1 for bound in bounds)]
    closed = [f"{low:0{digits}}-{high:0{digits}}" for low, high in zip(first, bounds, strict=False)]
    return [*closed, f"{first[-1]}+"]


def _bleu_lower_tokenised(hypotheses: Sequence[str], references: References) -> Score:
    """Score as papers on Multi30k do: both sides lower-cased, punctuation normalised, Moses-tokenised."""
    tokenised = [_moses(hypothesis) for hypothesis in hypotheses]
    streams = _streams(tokenised, [[_moses(reference) for reference in own] for own in references])
    metric = _BLEU(tokenize="none", force=True)
    value = float(metric.corpus_score(tokenised, streams).score)
    # sacreBLEU saw text prepared outside: say so where its own signature would say "mixed" and "none".
    own = str(metric.get_signature()).replace("case:mixed", "case:lc")
    moses = f"tok:moses-{TARGET_LANGUAGE}|norm:moses-{TARGET_LANGUAGE}|sacremoses:{version('sacremoses')}"
    return Score("bleu_lower_tokenised", value, own.replace("tok:none", moses))


@cache
def _moses_tools() -> tuple[MosesPunctNormalizer, MosesTokenizer]:
    return MosesPunctNormalizer(TARGET_LANGUAGE), MosesTokenizer(TARGET_LANGUAGE)


def _moses(sentence: str) -> str:
    """Prepare a sentence as multi30k/dataset's files `*.lc.norm.tok.fr` are."""
    normalizer, tokenizer = _moses_tools()
    return str(tokenizer.tokenize(normalizer.normalize(sentence.lower()), return_str=True))


def _streams(hypotheses: Sequence[str], references: References) -> list[list[str]]:
    """Turn references by sentence into sacreBLEU's streams: first ones, second ones or None, and so on."""
    if not hypotheses:
        raise EntenteError("there is no translation to score: the set is empty")
    if len(hypotheses) != len(references):
        raise EntenteError(
            f"{len(hypotheses)} hypotheses but references for {len(references)} sentences: give one list each"
        )
    for number, own in enumerate(references, start=1):
        if not own:
            raise EntenteError(f"sentence {number} has no reference: every sentence needs at least one")
    # sacreBLEU reads None as "no such reference", which its type annotations do not say.
    return cast("list[list[str]]", list(zip_longest(*references)))
