"""The meaning trees that both languages are written from: a sentence, its clauses, their noun phrases."""

from dataclasses import dataclass

from entente.text.grammar.lexicon import Adjective, Name, Noun, Phrase, Verb


class Undetermined(Exception):  # noqa: N818 - not a failure: the drawing of a sentence starts again
    """The English would not settle the French (a gender or a tense that it leaves open)."""


@dataclass(frozen=True)
class Agreement:
    """What a subject or an antecedent passes on. `feminine` is None where the English does not tell."""

    person: int
    plural: bool
    feminine: bool | None
    polite: bool = False  # vous said to one person

    @property
    def conjugation(self) -> int:
        """Index into je, tu, il, nous, vous, ils."""
        return self.person - 1 + 3 * (self.plural or self.polite)

    def form(self, forms: tuple[str, str, str, str]) -> str:
        """The agreeing one of an adjective's four forms; `Undetermined` if gender is needed and unknown."""
        first = 2 if self.plural else 0
        if self.feminine is None and forms[first] != forms[first + 1]:
            raise Undetermined(forms[0])
        return forms[first + bool(self.feminine)]


@dataclass(frozen=True)
class Pronoun:
    """I, you, he, she, it, we, they; `this` and `there` as subjects. For you, the addressee decides the agreement."""

    agreement: Agreement
    kind: str = "personal"  # personal, neuter (it), this, there


@dataclass(frozen=True)
class Names:
    """One or more people by name; `vocative_title` is empty."""

    names: tuple[Name, ...]

    @property
    def agreement(self) -> Agreement:
        """Third person; one masculine name makes a group masculine."""
        return Agreement(3, len(self.names) > 1, all(name.feminine for name in self.names))


@dataclass(frozen=True)
class Determiner:
    """the, a, some, this, all, many, number, generic (no word in English), possessive or genitive (with an owner)."""

    kind: str
    number: Phrase | None = None
    owner: "Agreement | Names | NounPhrase | None" = None


@dataclass(frozen=True)
class NounPhrase:
    """A determined noun with adjectives (in English order) and perhaps a relative clause."""

    determiner: Determiner
    noun: Noun
    plural: bool = False
    adjectives: tuple[Adjective, ...] = ()
    relative: "Relative | None" = None

    @property
    def agreement(self) -> Agreement:
        """Third person, with the noun's gender."""
        return Agreement(3, self.plural, self.noun.feminine)


Nominal = NounPhrase | Pronoun | Names


@dataclass(frozen=True)
class Place:
    """A preposition and what follows it."""

    preposition: Phrase
    nominal: NounPhrase


@dataclass(frozen=True)
class Clause:
    """A subject and what is said of it. A gap (None) stands for what a relative or question word replaces."""

    subject: Nominal | None
    verb: Verb
    tense: str  # present, progressive, past, future
    polarity: str = "affirmative"  # affirmative, not, never, no longer
    object: Nominal | None = None
    recipient: Nominal | None = None
    predicate: Adjective | None = None
    degree: Phrase | None = None
    manner: Phrase | None = None
    frequency: Phrase | None = None
    place: Place | None = None
    time: Phrase | None = None


@dataclass(frozen=True)
class Relative:
    """A clause whose subject, or else object, is the antecedent. `aside`: between commas."""

    clause: Clause
    aside: bool

    @property
    def of_subject(self) -> bool:
        """Whether the antecedent is the clause's subject."""
        return self.clause.subject is None


@dataclass(frozen=True)
class Address:
    """Who is spoken to: `en` and `fr` name them, `agreement` is the second person that follows from it."""

    en: str
    fr: str
    agreement: Agreement


@dataclass(frozen=True)
class Sentence:
    """One or more clauses, joined; what is asked; who is spoken to; who speaks, where the sentence says it."""

    clauses: tuple[Clause, ...]
    conjunctions: tuple[str, ...] = ()  # and, but, because
    mood: str = "statement"  # statement, polar, where, when, why, who, whom, what, how many
    counted: Noun | None = None  # of "how many"
    address: Address | None = None
    speaker: Name | None = None  # "My name is ... and I ..."
    time_first: bool = False
    address_first: bool = False
    contracted: bool = False  # isn't, don't, I'm
