"""Random sentences: a rule says what may be drawn, the lexicon what goes with what."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, TypeVar

from entente.text.grammar.lexicon import Adjective, Lexicon, Noun, Verb
from entente.text.grammar.rules import TITLES, Rule
from entente.text.grammar.syntax import (
    Address,
    Agreement,
    Determiner,
    Names,
    NounPhrase,
    Pronoun,
    Undetermined,
)

_T = TypeVar("_T")
_CANDIDATES = 4
_PRONOUNS = {
    "1": Pronoun(Agreement(1, False, None)),
    "2": Pronoun(Agreement(2, False, None)),
    "h": Pronoun(Agreement(3, False, False)),
    "s": Pronoun(Agreement(3, False, True)),
    "w": Pronoun(Agreement(1, True, None)),
    "t": Pronoun(Agreement(3, True, None)),
}
_INDEFINITE = ("a", "some", "many", "number")


class Sampler:
    """Draws sentences; of a few random candidates it takes the word least used, so that all words get their share."""

    def __init__(self, lexicon: Lexicon, random: Random) -> None:
        self.lexicon = lexicon
        self.random = random
        self.used: Counter[Any] = Counter()
        self._fitting: dict[Any, list[Any]] = {}

    def pick(self, key: object, among: Sequence[_T], fits: Callable[[_T], bool] = lambda _: True) -> _T:
        """A word among those that fit; `key` names the question, whose answer is kept. `Undetermined` if none fits."""
        candidates: list[_T] | None = self._fitting.get(key)
        if candidates is None:
            candidates = self._fitting[key] = [word for word in among if fits(word)]
        if not candidates:
            raise Undetermined(str(key))
        drawn = [candidates[int(self.random.random() * len(candidates))] for _ in range(_CANDIDATES)]
        word = min(drawn, key=lambda one: self.used[id(one)])
        self.used[id(word)] += 1
        return word

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return probability > 0 and self.random.random() < probability

    # -- words -----------------------------------------------------------------------------------------------------

    def verb(self, frame: str, subject: frozenset[str] | None = None) -> Verb:
        """A verb of the frame, suiting a subject of these classes."""
        return self.pick(
            ("verb", frame, subject),
            self.lexicon.verbs,
            lambda verb: verb.frame == frame and (subject is None or bool(verb.subject & subject)),
        )

    def noun(self, classes: frozenset[str], unfit: frozenset[str] = frozenset(), *, count: bool = False) -> Noun:
        """A noun of one of these classes (or of these words)."""
        return self.pick(
            ("noun", classes, unfit, count),
            self.lexicon.nouns,
            lambda noun: noun.within(classes) and noun.en[0] not in unfit and not (count and noun.mass),
        )

    def adjective(self, noun: Noun, *, predicate: bool, kind: str = "any") -> Adjective:
        """An adjective that describes the noun; `kind`: any, before, after, second."""

        def fits(word: Adjective) -> bool:
            placed = {"any": True, "before": word.before, "after": not word.before, "second": word.second}[kind]
            suits = noun.within(word.classes) and noun.en[0] not in word.unfit
            return suits and placed and (predicate or word.attribute)

        return self.pick(("adjective", noun.en, predicate, kind), self.lexicon.adjectives, fits)

    def personal_adjective(self, feminine: bool | None) -> Adjective:
        """A predicate for a pronoun or a name."""
        classes = {"person"}
        if feminine is not None:
            classes.add("feminine person" if feminine else "masculine person")
        return self.pick(
            ("of people", feminine),
            self.lexicon.adjectives,
            lambda word: bool(word.classes & classes) and not word.second,
        )

    # -- noun phrases ----------------------------------------------------------------------------------------------

    def adjectives(self, noun: Noun, count: int) -> tuple[Adjective, ...]:
        """None, one, or two: a big black cat (size, age or beauty, then colour or origin)."""
        if count == 0:
            return ()
        if count == 1:
            return (self.adjective(noun, predicate=False),)
        first = self.adjective(noun, predicate=False, kind="before")
        return first, self.adjective(noun, predicate=False, kind="second")

    def determiner(self, rule: Rule, noun: Noun, *, indefinite: bool, owning: bool = False) -> tuple[Determiner, bool]:
        """A determiner and whether the noun is plural. Only what can be owned is; kin is always somebody's."""
        kind = rule.determiner.draw(self.random)
        if "relative" in noun.classes and owning:
            if noun.single:
                raise Undetermined("everybody has a mother")
            kind = "number" if kind == "number" else "a"
        elif "relative" in noun.classes and kind != "genitive":
            kind = "possessive"
        if (kind in ("possessive", "genitive") and not noun.owned) or (kind in _INDEFINITE and not indefinite):
            kind = "the"
        if noun.single and kind in ("some", "all", "many", "number", "a"):
            if "relative" in noun.classes:
                return Determiner("possessive", owner=self._owner()), False
            return Determiner("some" if noun.mass and indefinite else "the"), False
        plural = kind in ("some", "all", "many") or (kind != "a" and not noun.single and self.chance(rule.plural))
        if kind == "number":
            number = self.pick("numbers", self.lexicon.numbers)
            return Determiner(kind, number), number.en != "one"
        if kind == "possessive":
            return Determiner(kind, owner=self._owner()), plural
        if kind == "genitive":
            return Determiner(kind, owner=self._genitive(noun)), plural
        return Determiner(kind), plural

    def _owner(self) -> Agreement:
        return self.pronoun("12hswt").agreement

    def _genitive(self, noun: Noun) -> Names | NounPhrase:
        if self.chance(0.5) or "relative" in noun.classes:
            return self.names(1)
        owner = self.pick(
            "owners", self.lexicon.nouns, lambda word: "person" in word.classes and "relative" not in word.classes
        )
        return NounPhrase(Determiner("the"), owner)

    def noun_phrase(self, rule: Rule, noun: Noun, *, indefinite: bool = True, owning: bool = False) -> NounPhrase:
        """A noun phrase around the noun."""
        determiner, plural = self.determiner(rule, noun, indefinite=indefinite, owning=owning)
        return NounPhrase(determiner, noun, plural, self.adjectives(noun, rule.adjectives.draw(self.random)))

    def names(self, count: int) -> Names:
        """One name, or several different ones."""
        chosen = [self.pick("names", self.lexicon.names)]
        while len(chosen) < count:
            name = self.pick("names", self.lexicon.names)
            if name not in chosen:
                chosen.append(name)
        return Names(tuple(chosen))

    def pronoun(self, kinds: str) -> Pronoun:
        """A personal pronoun; `kinds` lists persons: 1 2 h(e) s(he) w(e) t(hem)."""
        return _PRONOUNS[kinds[int(self.random.random() * len(kinds))]]

    def address(self, kind: str) -> Address | None:
        """Somebody spoken to: none, name, names, group, sir or madam."""
        if kind == "none":
            return None
        if kind == "group":
            return self.random.choice(TITLES[2:])
        for title in TITLES:
            if title.en == kind:
                return title
        people = self.names(1 if kind == "name" else 2)
        text = [" ".join(f" {word} ".join(name.text for name in people.names).split()) for word in ("and", "et")]
        return Address(text[0], text[1], replace(people.agreement, person=2))
