"""Sentences in, sentences out: a network, its subwords and a beam, in batches of like lengths."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from heapq import nlargest
from itertools import islice, product
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from entente.decoding.beam import beam_search
from entente.decoding.greedy import greedy
from entente.decoding.settings import DEFAULT, Decoding
from entente.device import find_device
from entente.errors import EntenteError
from entente.memory import keep_memory
from entente.model import weights
from entente.model.masks import padding_mask
from entente.model.seq2seq import Seq2Seq
from entente.text.cleaning import normalise
from entente.text.subwords import BOS, EOS, PAD, Subwords

WINDOW = 2048  # sentences sorted by length together: enough for little padding, few enough for steady memory
GREEDILY = 2  # times as many pieces in a batch: a sentence is one row, where a beam has several

_DIVERGED = "the network's scores are no numbers: its training diverged; train it anew"

Found = TypeVar("Found")
Search = Callable[[Sequence[list[int]]], Sequence[Found]]  # what is found of each of a batch of sources

_AFTER_SENTENCE = re.compile(r"""(?:(?<=[.!?…])|(?<=[.!?…]["'”’»)\]]))\s+""")
_AFTER_CLAUSE = re.compile(r"(?<=[,;:])\s+")


@dataclass(frozen=True)
class Translation:
    """One translation of a sentence: `log_probability` in nats (with EOS), `score` normalised by length."""

    text: str
    score: float
    log_probability: float


class Translator:
    """Translates with a network in evaluation mode and float32. Order is kept; a blank line stays empty."""

    def __init__(self, network: Seq2Seq, subwords: Subwords, decoding: Decoding, device: torch.device) -> None:
        """Move `network` to `device`, in float32 and evaluation mode; this process keeps its memory from now on."""
        keep_memory()
        self.network = network.to(device=device, dtype=torch.float32).eval()
        self.subwords = subwords
        self.decoding = decoding
        self.device = device

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto", decoding: Decoding = DEFAULT) -> Self:
        """Load what a training left in `folder` onto `device` (auto, cpu, cuda, cuda:1, ...).

        Raises EntenteError where something is missing or does not belong together.
        """
        where, place = find_device(device), Path(folder)
        return cls(weights.load(place), load_subwords(place), decoding, where)

    def translate(self, sentences: Iterable[str]) -> Iterator[str]:
        """Yield the best translation of each sentence, in order. Reads `WINDOW` sentences at a time.

        A sentence longer than the network reads is translated in parts, split at punctuation; EntenteError
        where it has none, after the sentences before it.
        """
        if self.decoding.beam == 1:  # no scores are asked for
            for texts in self._by_sentence(sentences, self._greedy, GREEDILY * self.decoding.batch_tokens):
                yield " ".join(filter(None, map(str.strip, texts)))
        else:
            for [best] in self._hypotheses(sentences, 1):
                yield best.text

    def hypotheses(self, sentences: Iterable[str], n: int) -> Iterator[list[Translation]]:
        """Yield the at most `n` best translations of each sentence, best first, no text twice."""
        if not 1 <= n <= self.decoding.beam:
            raise EntenteError(
                f"the {n} best translations were asked for: choose from 1 to the beam, {self.decoding.beam}, "
                "or widen the beam"
            )
        return self._hypotheses(sentences, n)

    def log_probabilities(self, sources: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Return log p(target | source) of each pair in nats, EOS included, by teacher forcing."""
        src, tgt = self._encode(sources), self._encode(targets)
        for sentence, ids in zip([*sources, *targets], src + tgt, strict=True):
            if not self._fits(ids):
                raise self._too_long(sentence, ids)
        results = [0.0] * len(src)
        longest = [max(len(one), len(other)) + 1 for one, other in zip(src, tgt, strict=True)]
        for batch in self._batches(longest, self.decoding.batch_tokens):
            scores = self._score([src[i] for i in batch], [tgt[i] for i in batch])
            for i, score in zip(batch, scores, strict=True):
                results[i] = score
        return results

    def _hypotheses(self, sentences: Iterable[str], n: int) -> Iterator[list[Translation]]:
        for parts in self._by_sentence(sentences, partial(self._beam, n=n), self.decoding.batch_tokens):
            yield _join(parts, n)

    def _by_sentence(self, sentences: Iterable[str], search: Search[Found], tokens: int) -> Iterator[list[Found]]:
        """Yield for each sentence what the search finds of its parts."""
        waiting = iter(sentences)
        while window := list(islice(waiting, WINDOW)):
            parts, error = self._read(window)
            found = iter(self._by_batch([ids for sentence in parts for ids in sentence], search, tokens))
            for sentence in parts:
                yield [next(found) for _ in sentence]
            if error:
                raise error

    def _read(self, sentences: Sequence[str]) -> tuple[list[list[list[int]]], EntenteError | None]:
        """Ids of the parts of each sentence, up to the first that cannot be read, and why not."""
        read: list[list[list[int]]] = []
        for sentence, ids in zip(sentences, self._encode(sentences), strict=True):
            try:
                parts = [ids] if self._fits(ids) else self._encode(self._parts(sentence))
            except EntenteError as error:
                return read, error
            read.append([part for part in parts if part])
        return read, None

    def _encode(self, sentences: Iterable[str]) -> list[list[int]]:
        return self.subwords.encode([normalise(sentence) for sentence in sentences])

    def _fits(self, ids: Sequence[int]) -> bool:
        return len(ids) < self.network.max_length  # EOS needs a place too

    def _parts(self, sentence: str) -> list[str]:
        """Split at the ends of sentences, and what is still too long at as few ends of clauses as will do."""
        parts: list[str] = []
        for part in _AFTER_SENTENCE.split(sentence):
            if self._fits(self._encode([part])[0]):
                parts.append(part)
            else:
                parts += self._clauses(part)
        return parts

    def _clauses(self, sentence: str) -> list[str]:
        parts = [""]
        for clause in _AFTER_CLAUSE.split(sentence):
            alone, joined = self._encode([clause, f"{parts[-1]} {clause}"])
            if not self._fits(alone):
                raise self._too_long(clause, alone)
            if self._fits(joined):
                parts[-1] = f"{parts[-1]} {clause}"
            else:
                parts.append(clause)
        return parts

    def _too_long(self, sentence: str, ids: Sequence[int]) -> EntenteError:
        return EntenteError(
            f"`{sentence.strip()[:60]}...` has {len(ids) + 1} pieces and no punctuation to split it at; this "
            f"model reads at most {self.network.max_length}: split it, or train with a larger max_length"
        )

    @staticmethod
    def _batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
        """Indexes of sentences of like lengths, the longest first (too large a batch fails at once)."""
        batch: list[int] = []
        longest = 0
        for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
            if batch and (len(batch) + 1) * longest > tokens:
                yield batch
                batch = []
            longest = longest if batch else lengths[i]
            batch.append(i)
        if batch:
            yield batch

    def _by_batch(self, sources: Sequence[list[int]], search: Search[Found], tokens: int) -> list[Found]:
        batches = list(self._batches([len(ids) + 1 for ids in sources], tokens))
        results: dict[int, Found] = {}
        with _side_by_side(self.device, len(batches)) as mapped:
            searched = mapped(lambda batch: search([sources[i] for i in batch]), batches)
            for batch, found in zip(batches, searched, strict=True):
                results.update(zip(batch, found, strict=True))
        return [results[number] for number in range(len(sources))]

    @torch.inference_mode()
    def _greedy(self, sources: Sequence[list[int]]) -> list[str]:
        src, src_mask = self._source(sources)
        limits = self._limits(src_mask)
        found = greedy(self.network, src, src_mask, bos=BOS, eos=EOS, forbidden=(PAD, BOS), max_lengths=limits)
        sound = [ids for ids in found if ids is not None]
        if len(sound) < len(found):
            raise EntenteError(_DIVERGED)
        return self.subwords.decode(sound)

    @torch.inference_mode()
    def _beam(self, sources: Sequence[list[int]], n: int) -> list[list[Translation]]:
        src, src_mask = self._source(sources)
        found = beam_search(
            self.network.step,
            self.network.start(self.network.encode(src, src_mask), src_mask),
            bos=BOS,
            eos=EOS,
            forbidden=(PAD, BOS),
            beam=self.decoding.beam,
            n_best=self.decoding.beam if n > 1 else 1,  # several spellings of one text count once
            length_penalty=self.decoding.length_penalty,
            max_lengths=self._limits(src_mask),
        )
        if not all(found):
            raise EntenteError(_DIVERGED)
        texts = iter(self.subwords.decode([hypothesis.ids for sentence in found for hypothesis in sentence]))
        results = []
        for sentence in found:
            distinct: dict[str, Translation] = {}
            for hypothesis in sentence:  # the best spelling of a text stays
                text = next(texts)
                distinct.setdefault(text, Translation(text, hypothesis.score, hypothesis.log_probability))
            results.append(list(distinct.values())[:n])
        return results

    @torch.inference_mode()
    def _score(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> list[float]:
        src, src_mask = self._source(sources)
        tgt_in = self._tensor([[BOS, *ids] for ids in targets])
        tgt_out = self._tensor([[*ids, EOS] for ids in targets])
        logits: Tensor = self.network(src, src_mask, tgt_in)  # (B, T, V)
        loss = F.cross_entropy(logits.transpose(1, 2), tgt_out, ignore_index=PAD, reduction="none")  # (B, T)
        scores: list[float] = loss.sum(1).neg().tolist()
        return scores

    def _source(self, sources: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        src = self._tensor([[*ids, EOS] for ids in sources])  # (B, S)
        return src, padding_mask(src, PAD)

    def _limits(self, src_mask: Tensor) -> Tensor:
        """How many pieces each translation may have, EOS counted: src_mask (B, 1, 1, S) -> (B,) int64."""
        limits = src_mask.flatten(1).sum(1) * self.decoding.max_length_factor + self.decoding.max_length_offset
        return limits.long().clamp(max=self.network.max_length)

    def _tensor(self, rows: Sequence[list[int]]) -> Tensor:
        longest = max(map(len, rows))
        return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows], device=self.device)


@contextmanager
def _side_by_side(device: torch.device, batches: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield a `map` in which each core of a CPU has batches of its own: a beam's products are small for several."""
    threads = torch.get_num_threads()
    workers = min(threads, batches) if device.type == "cpu" else 1
    if workers < 2:
        yield map
        return
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(threads)  # MKL holds one number for all


def load_subwords(folder: Path) -> Subwords:
    """Load the subwords in a model's folder. Raises EntenteError where they are not those of its weights."""
    config = weights.read_config(folder)
    subwords = Subwords(folder / "subwords.model", digest=str(config.get("subwords")))
    if config["vocabulary"] != len(subwords):
        raise EntenteError(
            f"{folder / weights.CONFIG} says {config['vocabulary']} pieces, and subwords.model beside it has "
            f"{len(subwords)}: `dvc checkout` restores the folder of the last training, `dvc repro` trains anew"
        )
    return subwords


def _join(parts: Sequence[list[Translation]], n: int) -> list[Translation]:
    """Put the parts of a sentence together: the n best combinations, by the sum of scores."""
    joined = [Translation("", 0.0, 0.0)]
    for part in parts:
        combinations = (
            Translation(
                f"{one.text} {other.text}".strip(),
                one.score + other.score,
                one.log_probability + other.log_probability,
            )
            for one, other in product(joined, part)
        )
        joined = nlargest(n, combinations, key=lambda translation: translation.score)
    return joined
