"""The corpus that the grammar expands into: aligned splits and probes, no English side with two French ones."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import TextIO

from entente.errors import EntenteError
from entente.options import Count, Natural
from entente.text.grammar import english
from entente.text.grammar.composition import draw
from entente.text.grammar.french import French
from entente.text.grammar.probes import Probe, minimal_pair
from entente.text.grammar.rules import Choice, read_grammar
from entente.text.grammar.sampling import Sampler
from entente.text.grammar.syntax import Clause, NounPhrase, Sentence, Undetermined

SPLITS = ("train", "val", "test", "compositional", "longer")
_HELD_OUT = 24  # one combination of words in so many is kept for the compositional test
_PATIENCE = 20_000  # draws in vain before the rules count as exhausted


def translate(sentence: Sentence) -> tuple[str, str]:
    """The English and the French of a sentence; `Undetermined` if the English does not settle the French."""
    return english.write(sentence), French(sentence).write()


class Seen:
    """The English sides given out so far, each with a byte that betrays a second French one: 100 bytes a pair."""

    def __init__(self) -> None:
        self._french: dict[int, int] = {}

    def new(self, source: str, target: str) -> bool:
        """Note a pair; whether its source is new. An `EntenteError` if it went with another French side before."""
        key = self._key(source)
        check = blake2b(target.encode(), digest_size=1).digest()[0]
        known = self._french.get(key)
        if known is not None and known != check:
            raise EntenteError(f"the grammar gives {source!r} two French sides, one of them {target!r}; mend it.")
        self._french[key] = check
        return known is None

    def knows(self, source: str) -> bool:
        """Whether the source was given out."""
        return self._key(source) in self._french

    @staticmethod
    def _key(source: str) -> int:
        return int.from_bytes(blake2b(source.encode(), digest_size=8).digest())


def combinations(sentence: Sentence) -> Iterator[tuple[str, str]]:
    """Adjective and noun, verb and object: what the compositional test holds out."""
    pending: list[object] = list(sentence.clauses)
    while pending:
        item = pending.pop()
        if isinstance(item, Clause):
            pending += [item.subject, item.object, item.recipient]
            if isinstance(item.object, NounPhrase):
                yield f"{item.verb.en} {item.verb.particle}".strip(), item.object.noun.en[0]
            if item.predicate and isinstance(item.subject, NounPhrase):
                yield item.predicate.en, item.subject.noun.en[0]
        elif isinstance(item, NounPhrase):
            for adjective in item.adjectives:
                yield adjective.en, item.noun.en[0]
            if item.relative:
                pending.append(item.relative.clause)
                clause = item.relative.clause
                if clause.predicate:
                    yield clause.predicate.en, item.noun.en[0]
                if not item.relative.of_subject:
                    yield f"{clause.verb.en} {clause.verb.particle}".strip(), item.noun.en[0]
            pending.append(item.determiner.owner)


def held_out(combination: tuple[str, str]) -> bool:
    """Whether the combination of two words is kept for the compositional test: by a hash, the same for ever."""
    return int.from_bytes(blake2b("|".join(combination).encode(), digest_size=4).digest()) % _HELD_OUT == 0


class Expansion:
    """One expansion of a grammar: probes first, then splits, so that no English side is given out twice."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.grammar = read_grammar(folder)
        self.seed = seed
        self._seen = Seen()
        for source, target in self.grammar.always.items():
            self._seen.new(source, target)

    def sampler(self, name: str) -> Sampler:
        """A sampler whose chance depends on the seed and the name alone."""
        return Sampler(self.grammar.lexicon, Random(f"{self.seed}/{name}"))

    def probes(self, count: int) -> Iterator[Probe]:
        """At least `count` probes of each phenomenon, partners of a pair next to each other."""
        for phenomenon, rule in self.grammar.rules["probes"].items():
            sampler, given, vain = self.sampler(phenomenon), 0, 0
            while given < count:
                vain += 1
                if vain > _PATIENCE:
                    raise EntenteError(f"rule {phenomenon!r} gives only {given} of {count} probes; ask for fewer.")
                try:
                    one, other, first, second = minimal_pair(sampler, phenomenon, draw(sampler, rule))
                except Undetermined:
                    continue
                if any(held_out(words) for sentence in (one, other) for words in combinations(sentence)):
                    continue
                if self._seen.knows(first.source) or self._seen.knows(second.source):
                    continue
                self._seen.new(first.source, first.target)
                self._seen.new(second.source, second.target)
                yield first
                yield second
                given, vain = given + 2, 0

    def split(self, name: str, size: int) -> Iterator[tuple[str, str]]:
        """`size` new pairs of the split; train begins with what it always has."""
        if name == "train":
            always = list(self.grammar.always.items())[:size]
            yield from always
            size -= len(always)
        rules = self.grammar.rules["longer" if name == "longer" else "training"]
        choice = Choice({rule: rule.weight for rule in rules.values()})
        sampler, vain = self.sampler(name), 0
        while size > 0:
            vain += 1
            if vain > _PATIENCE:
                raise EntenteError(
                    f"the grammar has no more new sentences for {name}: {size} are wanting; ask for fewer."
                )
            try:
                sentence = draw(sampler, choice.draw(sampler.random))
                if any(map(held_out, combinations(sentence))) != (name == "compositional"):
                    continue
                source, target = translate(sentence)
            except Undetermined:
                continue
            if self._seen.new(source, target):
                yield source, target
                size, vain = size - 1, 0


def write_corpus(
    grammar: Path,
    out: Path,
    *,
    pairs: Count,
    val: Count,
    test: Count,
    compositional: Count,
    longer: Count,
    probes: Count,
    seed: Natural,
) -> dict[str, int]:
    """Expand `grammar` into out/{split}.{en,fr} and out/probes.jsonl; returns the number of lines of each.

    `pairs` is the size of the training split, `probes` that of each phenomenon. Deterministic for a given seed.
    Raises `EntenteError` if the rules have fewer sentences than asked for, or if an English side has two French ones.
    """
    expansion = Expansion(grammar, seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    lines = 0
    with _atomic(out / "probes.jsonl") as (file,):
        for probe in expansion.probes(probes):
            file.write(json.dumps(asdict(probe), ensure_ascii=False) + "\n")
            lines += 1
    sizes = {"longer": longer, "compositional": compositional, "test": test, "val": val, "train": pairs}
    for name, size in sizes.items():
        with _atomic(out / f"{name}.en", out / f"{name}.fr") as (english_side, french_side):
            for source, target in expansion.split(name, size):
                english_side.write(source + "\n")
                french_side.write(target + "\n")
    return {**{name: sizes[name] for name in SPLITS}, "probes": lines}


@contextmanager
def _atomic(*paths: Path) -> Iterator[list[TextIO]]:
    """Files that take their names only when all is written."""
    drafts = [path.with_name(f".{path.name}.part") for path in paths]
    try:
        with ExitStack() as stack:
            yield [stack.enter_context(draft.open("w", encoding="utf-8", newline="\n")) for draft in drafts]
        for draft, path in zip(drafts, paths, strict=True):
            os.replace(draft, path)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
