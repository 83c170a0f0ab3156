"""Random sentences: a rule says what may be drawn, the lexicon what goes with what."""

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import Any, TypeVar

from entente.errors import EntenteError
from entente.text.grammar.lexicon import Adjective, Lexicon, Noun, Verb
from entente.text.grammar.syntax import (
    Address, Agreement, Determiner, Names, NounPhrase, Pronoun, Undetermined,
)  # fmt: skip

_T = TypeVar("_T")
_CANDIDATES = 4
_INDEFINITE = ("a", "some", "many", "number")
TITLES = (
    Address("sir", "monsieur", Agreement(2, False, False, True)),
    Address("madam", "madame", Agreement(2, False, True, True)),
    Address("ladies", "mesdames", Agreement(2, True, True, True)),
    Address("gentlemen", "messieurs", Agreement(2, True, False, True)),
    Address("ladies and gentlemen", "mesdames et messieurs", Agreement(2, True, False, True)),
    Address("children", "les enfants", Agreement(2, True, False, True)),
)


class Choice:
    """A weighted choice read from YAML: {option: weight}."""

    def __init__(self, weights: Mapping[Any, float]) -> None:
        self.options = list(weights)
        self.limits = list(accumulate(weights.values()))

    def draw(self, random: Random) -> Any:
        """One option."""
        if len(self.options) == 1:
            return self.options[0]
        return self.options[bisect(self.limits, random.random() * self.limits[-1])]


@dataclass(frozen=True)
class Rule:
    """What a rule of `rules.yaml` says, defaults filled in. Plain numbers are probabilities."""

    weight: float
    frame: Choice
    subject: Choice
    object: Choice
    determiner: Choice
    plural: float
    adjectives: Choice
    relatives: Choice
    relative_frame: Choice
    tense: Choice
    polarity: Choice
    mood: Choice
    address: Choice
    manner: float
    frequency: float
    place: float
    time: float
    degree: float
    followed: Choice
    contracted: float


def read_rule(name: str, own: Mapping[str, Any], defaults: Mapping[str, Any]) -> Rule:
    """A rule with its defaults; an unknown key is an `EntenteError`."""
    unknown = set(own) - set(defaults)
    if unknown:
        known = ", ".join(defaults)
        raise EntenteError(f"rules.yaml: rule {name!r} has unknown {sorted(unknown)}; expected some of {known}.")
    entries = {**defaults, **own}
    return Rule(**{key: Choice(value) if isinstance(value, dict) else value for key, value in entries.items()})


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
            lambda noun: (
                bool(noun.classes & classes or noun.en[0] in classes) and noun.en[0] not in unfit and not (count and noun.mass)
            ),
        )

    def adjective(self, noun: Noun, *, predicate: bool, kind: str = "any") -> Adjective:
        """An adjective that describes the noun; `kind`: any, before, after, second."""

        def fits(word: Adjective) -> bool:
            placed = {"any": True, "before": word.before, "after": not word.before, "second": word.second}[kind]
            suits = bool(word.classes & noun.classes or noun.en[0] in word.classes) and noun.en[0] not in word.unfit
            return suits and placed and (predicate or word.attribute)

        return self.pick(("adjective", noun.en, predicate, kind), self.lexicon.adjectives, fits)

    def personal_adjective(self, feminine: bool | None) -> Adjective:
        """A predicate for a pronoun or a name."""
        classes = {"person"}
        if feminine is not None:
            classes.add("feminine person" if feminine else "masculine person")
        return self.pick(
            ("of people", feminine), self.lexicon.adjectives, lambda word: bool(word.classes & classes) and not word.second
        )

    # -- noun phrases ----------------------------------------------------------------------------------------------

    def adjectives(self, noun: Noun, count: int) -> tuple[Adjective, ...]:
        """None, one, or two: a big black cat (size, age or beauty, then colour or origin)."""
        if count == 0:
            return ()
        if count == 1:
            return (self.adjective(noun, predicate=False),)
        return self.adjective(noun, predicate=False, kind="before"), self.adjective(noun, predicate=False, kind="second")

    def determiner(self, rule: Rule, noun: Noun, *, indefinite: bool, owning: bool = False) -> tuple[Determiner, bool]:
        """A determiner and whether the noun is plural. Only what can be owned is; kin is always somebody's."""
        kind = rule.determiner.draw(self.random)
        if "relative" in noun.classes and kind != "genitive" and not (owning and kind in ("a", "number")):
            kind = "possessive"
        if kind in ("possessive", "genitive") and not noun.owned or not indefinite and kind in _INDEFINITE:
            kind = "the"
        if noun.single and kind in ("some", "all", "many", "number", "a"):
            kind = ("some" if indefinite else "the") if noun.mass else "possessive" if "relative" in noun.classes else "the"
            return Determiner(kind, owner=self._owner() if kind == "possessive" else None), False
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
        return self.random.choice(
            (
                Agreement(1, False, None), Agreement(2, False, None), Agreement(3, False, False), Agreement(3, False, True),
                Agreement(1, True, None), Agreement(3, True, None),
            )
        )  # fmt: skip

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
        return Pronoun(
            {
                "1": Agreement(1, False, None), "2": Agreement(2, False, None), "h": Agreement(3, False, False),
                "s": Agreement(3, False, True), "w": Agreement(1, True, None), "t": Agreement(3, True, None),
            }[self.random.choice(kinds)]
        )  # fmt: skip

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
