"""Beam search (Sutskever et al. 2014, section 3.2) over a step function: it knows neither networks nor text.

Alphabet: B sentences, A of them still searched, N beam, V vocabulary, C candidates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from entente.decoding.largest import largest
from entente.model.seq2seq import State

Step = Callable[[Tensor, State], tuple[Tensor, State]]


@dataclass(frozen=True)
class Hypothesis:
    """A finished sentence: `ids` without EOS, `log_probability` with it, `score` normalised by length."""

    ids: list[int]
    score: float
    log_probability: float


@dataclass(frozen=True)
class _Hypotheses:
    """The hypotheses of A sentences, best first in each; an empty place has log-probability -inf."""

    sentences: Tensor  # (A,) which sentence of the batch each row is
    max_lengths: Tensor  # (A,)
    live: Tensor  # (A, N) log-probabilities of the hypotheses that grow
    live_ids: Tensor  # (A, N, T)
    scores: Tensor  # (A, N) length-normalised scores of those that have ended
    ended: Tensor  # (A, N) their log-probabilities
    ended_ids: Tensor  # (A, N, T), filled up with EOS

    def select(self, rows: Tensor) -> "_Hypotheses":
        return _Hypotheses(*(getattr(self, field.name)[rows] for field in fields(self)))


def length_normaliser(length: Tensor, penalty: float) -> Tensor:
    """((5 + length) / 6) ** penalty, EOS counted (Wu et al. 2016, GNMT, equation 14); 0 changes nothing."""
    normaliser: Tensor = ((5 + length) / 6) ** penalty
    return normaliser


def beam_search(
    step: Step,
    state: State,
    *,
    bos: int,
    eos: int,
    forbidden: Sequence[int],
    beam: int,
    n_best: int,
    length_penalty: float,
    max_lengths: Tensor,
) -> list[list[Hypothesis]]:
    """Search the `n_best` <= `beam` hypotheses of each of B sentences, best first, by normalised score.

    `state` has a row for each sentence; max_lengths (B,) int64 >= 1 counts EOS: there a hypothesis must end.
    The pieces `forbidden` (padding, BOS) are never chosen. As in fairseq (Ott et al. 2019) a hypothesis ends
    when its EOS is among the `beam` best candidates, and the next best live on; `beam` 1 is greedy search. A
    sentence is done when `beam` hypotheses have ended, or when none alive can still be among the `n_best`. It
    has fewer hypotheses where the others are impossible (log-probability -inf). Float32 throughout.
    """
    hypotheses = _begin(max_lengths, beam)
    state = state.expand(beam)  # (B * N) rows from here on
    tokens = max_lengths.new_full((len(max_lengths) * beam,), bos)
    never = torch.tensor(list(forbidden), dtype=torch.int64, device=tokens.device)
    finished: list[_Hypotheses] = []
    while len(hypotheses.sentences):
        logits, state = step(tokens, state)
        totals, parents, tokens = _candidates(logits, hypotheses, eos, never)
        hypotheses, parents = _grow(hypotheses, totals, parents, tokens, eos, length_penalty)
        done = _done(hypotheses, n_best, length_penalty)
        places = torch.arange(len(parents) * beam, device=parents.device).view(-1, beam)
        rows = places[:, :1] + parents  # (A, N) where in the state each hypothesis was
        leaves, moves = torch.stack([done.any(), (rows != places).any()]).tolist()
        if leaves:
            finished.append(hypotheses.select(done.nonzero().flatten()))
            staying = (~done).nonzero().flatten()
            hypotheses, rows = hypotheses.select(staying), rows[staying]
            state = state.select(rows.flatten())
        elif moves:  # caches are large: leave them where they are when no hypothesis moved
            state = state.reorder(rows.flatten())
        tokens = hypotheses.live_ids[:, :, -1].flatten()
    return _read(finished, len(max_lengths), eos, n_best)


def _begin(max_lengths: Tensor, beam: int) -> _Hypotheses:
    """One empty hypothesis a sentence; the other places of the beam are empty."""
    sentences = len(max_lengths)
    nothing = torch.full((sentences, beam), -torch.inf, device=max_lengths.device)
    no_ids = max_lengths.new_empty(sentences, beam, 0)
    live = nothing.clone()
    live[:, 0] = 0.0
    rows = torch.arange(sentences, device=max_lengths.device)
    return _Hypotheses(rows, max_lengths, live, no_ids, nothing, nothing, no_ids)


def _candidates(logits: Tensor, hypotheses: _Hypotheses, eos: int, never: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The 2N best extensions of each sentence, each (A, 2N): log-probabilities, parents, tokens."""
    alive, beam = hypotheses.live.shape
    # Of each row no more can be needed than N words and the ending; of all rows, N words and N endings.
    width = min(beam + 1 + len(never), logits.shape[1])
    tokens = largest(logits, width)  # (A * N, C)
    # At its greatest length a hypothesis can only end: its one candidate is EOS, and C - 1 are void.
    last = (hypotheses.max_lengths == hypotheses.live_ids.shape[2] + 1).repeat_interleave(beam)[:, None]
    tokens = torch.where(last, eos, tokens)
    void = torch.isin(tokens, never) | (last & (torch.arange(width, device=tokens.device) > 0))
    scores = logits.log_softmax(1, dtype=torch.float32).gather(1, tokens).masked_fill(void, -torch.inf)
    totals = (hypotheses.live[:, :, None] + scores.view(alive, beam, width)).flatten(1)  # (A, N * C)
    totals, order = totals.sort(dim=1, descending=True, stable=True)
    totals, order = totals[:, : 2 * beam], order[:, : 2 * beam]
    return totals, order // width, tokens.view(alive, -1).gather(1, order)


def _grow(
    old: _Hypotheses, totals: Tensor, parents: Tensor, tokens: Tensor, eos: int, length_penalty: float
) -> tuple[_Hypotheses, Tensor]:
    """Extend the hypotheses by one token: those that end join the ended. Also returns parents (A, N)."""
    beam = old.live.shape[1]
    ends = tokens == eos  # (A, 2N)
    ids = torch.cat([_pick(old.live_ids, parents), tokens[:, :, None]], 2)  # (A, 2N, T + 1)

    ended = totals.masked_fill(~ends, -torch.inf)[:, :beam]  # an ending counts when it is among the N best
    length = torch.full((), ids.shape[2], device=ids.device)
    scores = torch.cat([old.scores, ended / length_normaliser(length, length_penalty)], 1)
    scores, best = scores.sort(dim=1, descending=True, stable=True)
    best = best[:, :beam]
    ended_ids = torch.cat([pad(old.ended_ids, (0, 1), value=eos), ids[:, :beam]], 1)

    live, growing = totals.masked_fill(ends, -torch.inf).sort(dim=1, descending=True, stable=True)
    growing = growing[:, :beam]
    new = replace(
        old,
        live=live[:, :beam],
        live_ids=_pick(ids, growing),
        scores=scores[:, :beam],
        ended=torch.cat([old.ended, ended], 1).gather(1, best),
        ended_ids=_pick(ended_ids, best),
    )
    return new, parents.gather(1, growing)


def _pick(ids: Tensor, places: Tensor) -> Tensor:
    """ids (A, C, T) at places (A, K) -> (A, K, T)."""
    return ids.gather(1, places[:, :, None].expand(-1, -1, ids.shape[2]))


def _done(hypotheses: _Hypotheses, n_best: int, length_penalty: float) -> Tensor:
    """Which sentences are done (A,): all N have ended, or no live one can come among the n best."""
    # Log-probability only falls, so the best to hope for is today's at the most forgiving length still open.
    length, longest = hypotheses.live_ids.shape[2], hypotheses.max_lengths
    most_forgiving = torch.maximum(
        length_normaliser(longest.new_full((), length + 1), length_penalty),
        length_normaliser(longest, length_penalty),
    )
    hope = hypotheses.live[:, 0] / most_forgiving
    full = hypotheses.scores[:, -1] > -torch.inf
    return full | (longest <= length) | (hypotheses.scores[:, n_best - 1] >= hope)


def _read(finished: list[_Hypotheses], sentences: int, eos: int, n_best: int) -> list[list[Hypothesis]]:
    results: list[list[Hypothesis]] = [[] for _ in range(sentences)]
    for group in finished:
        columns = (group.sentences, group.scores, group.ended, group.ended_ids)
        for sentence, scores, ended, ids in zip(*(column.tolist() for column in columns), strict=True):
            results[sentence] = [
                Hypothesis(row[: row.index(eos)], score, log_probability)
                for row, score, log_probability in zip(ids, scores, ended, strict=True)
                if log_probability > -torch.inf
            ][:n_best]
    return results
