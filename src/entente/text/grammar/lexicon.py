"""The words of the grammar, English and French, as read from YAML. A French word with an aspirated h leads with *."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from entente.errors import EntenteError
from entente.text.grammar.files import MISFITS, read_yaml

Forms = tuple[str, str, str, str]  # masculine, feminine, masculine plural, feminine plural


def french_plural(word: str) -> str:
    """Regular plural of a French noun or adjective."""
    if word[-1] in "sxz":
        return word
    if word.endswith(("eau", "eu")) and word != "bleu":
        return word + "x"
    return word[:-2] + "aux" if word.endswith("al") else word + "s"


def french_feminine(word: str) -> str:
    """Regular feminine of a French adjective."""
    if word.endswith("e"):
        return word
    if word.endswith("eux"):
        return word[:-1] + "se"
    return word[:-2] + "ère" if word.endswith("er") else word + "e"


def agreeing(masculine: str, feminine: str) -> Forms:
    """The four forms of an adjective or participle."""
    return masculine, feminine, french_plural(masculine), feminine + "s"


def english_s(word: str) -> str:
    """Plural of an English noun, or third person of a verb."""
    if word.endswith(("s", "x", "ch", "sh", "o")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2] not in "aeiou" else word + "s"


def english_past(word: str) -> str:
    """Regular past of an English verb."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ied"
    return word + "d" if word.endswith("e") else word + "ed"


def english_ing(word: str) -> str:
    """Regular present participle of an English verb."""
    return word[:-1] + "ing" if word.endswith("e") and not word.endswith("ee") else word + "ing"


def french_present(infinitive: str) -> tuple[str, ...]:
    """Present of a regular verb in -er: je, tu, il, nous, vous, ils."""
    stem = infinitive[:-2]
    return (
        stem + "e",
        stem + "es",
        stem + "e",
        stem + ("eons" if stem.endswith("g") else "ons"),
        stem + "ez",
        stem + "ent",
    )


@dataclass(frozen=True)
class Noun:
    """A noun: singular and plural in both languages; mass and `single` nouns stay singular."""

    en: tuple[str, str]
    fr: tuple[str, str]
    feminine: bool
    mass: bool
    single: bool
    owned: bool
    classes: frozenset[str]

    def within(self, classes: frozenset[str]) -> bool:
        """Whether the noun, or one of its classes, is among `classes`."""
        return self.en[0] in classes or not classes.isdisjoint(self.classes)


@dataclass(frozen=True)
class Adjective:
    """An adjective: `vowel` is the masculine before a vowel, `before` its place in a French noun phrase."""

    en: str
    fr: Forms
    vowel: str
    before: bool
    graded: bool
    attribute: bool
    second: bool
    scale: str
    classes: frozenset[str]
    unfit: frozenset[str]


@dataclass(frozen=True)
class Verb:
    """A verb in both languages: `present` is je to ils, `participles` agree, `preposition` leads the object."""

    frame: str
    en: str
    en_past: str
    en_ing: str
    particle: str
    fr: str
    present: tuple[str, ...]
    participles: Forms
    reflexive: bool
    etre: bool
    after: str
    preposition: str
    subject: frozenset[str]
    object: frozenset[str]
    unfit: frozenset[str]
    stative: bool
    progressive: bool
    generic: bool
    place: str  # "", "allowed" or "required"

    @property
    def takes_any(self) -> bool:
        """Whether a negation turns "a" and "some" of its object into "de" (not after a preposition or "c'est")."""
        return self.frame != "presentation" and not self.preposition


@dataclass(frozen=True)
class Phrase:
    """An adverb, time phrase, degree or preposition; `fits` names verbs, tenses or nouns it goes with."""

    en: str
    fr: str
    fits: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()  # empty: any
    early: bool = False
    dwelling: bool = False


@dataclass(frozen=True)
class Name:
    """A first name, the same in both languages."""

    text: str
    feminine: bool


@dataclass(frozen=True)
class Lexicon:
    """All words of the grammar."""

    nouns: tuple[Noun, ...]
    verbs: tuple[Verb, ...]
    adjectives: tuple[Adjective, ...]
    names: tuple[Name, ...]
    numbers: tuple[Phrase, ...]
    degrees: tuple[Phrase, ...]
    frequencies: tuple[Phrase, ...]
    manners: tuple[Phrase, ...]
    times: tuple[Phrase, ...]
    prepositions: tuple[Phrase, ...]

    @cached_property
    def be(self) -> Verb:
        """The copula."""
        return next(verb for verb in self.verbs if verb.frame == "copula")


def _noun(entry: Mapping[str, Any], group: Mapping[str, Any]) -> Noun:
    en, fr = entry["en"], entry["fr"]
    plural_en, plural_fr = entry.get("plurals", (english_s(en), french_plural(fr)))
    if entry["gender"] not in ("m", "f"):
        raise ValueError(f"gender {entry['gender']!r} of {en!r}; expected m or f")
    feminine, mass = entry["gender"] == "f", group.get("mass", False)
    classes = set(group["is"])
    if "person" in classes:
        classes.add("feminine person" if feminine else "masculine person")
    owned = entry.get("owned", group.get("owned", False))
    if owned and "animal" in classes:
        classes.add("pet")
    return Noun(
        en=(en, plural_en),
        fr=(fr, plural_fr),
        feminine=feminine,
        mass=mass,
        single=mass or entry.get("single", False),
        owned=owned,
        classes=frozenset(classes),
    )


def _adjective(entry: Mapping[str, Any], group: Mapping[str, Any]) -> Adjective:
    fr = entry["fr"]
    forms = (fr,) * 4 if entry.get("invariable") else agreeing(fr, entry.get("feminine", french_feminine(fr)))
    return Adjective(
        en=entry["en"],
        fr=forms,
        vowel=entry.get("vowel", fr),
        before=group.get("before", False),
        graded=entry.get("graded", True),
        attribute=entry.get("attribute", True),
        second=group.get("second", False),
        scale=entry["scale"],
        classes=frozenset(group["of"]),
        unfit=frozenset(entry.get("unfit", ())),
    )


def _verb(entry: Mapping[str, Any], frame: str, conjugations: Mapping[str, Any]) -> Verb:
    en, fr = entry["en"], entry["fr"]
    reflexive = fr.startswith(("se ", "s'"))
    infinitive = fr.removeprefix("se ").removeprefix("s'")
    if infinitive not in conjugations and not infinitive.endswith("er"):
        raise ValueError(f"no conjugation of {infinitive!r}; expected it in conjugations.yaml")
    irregular = conjugations.get(infinitive)
    present = tuple(irregular["present"].split()) if irregular else french_present(infinitive)
    participle = irregular["participle"] if irregular else infinitive[:-2] + "é"
    place = {True: "allowed", False: "", "required": "required"}[entry.get("place", False)]
    stative = entry.get("stative", False)
    return Verb(
        frame=frame,
        en=en,
        en_past=entry.get("past", english_past(en)),
        en_ing=entry.get("ing", english_ing(en)),
        particle=entry.get("particle", ""),
        fr=infinitive,
        present=present,
        participles=agreeing(participle, participle + "e"),
        reflexive=reflexive,
        etre=reflexive or entry.get("etre", False),
        after=entry.get("after", ""),
        preposition=entry.get("preposition", ""),
        subject=frozenset(entry["subject"]),
        object=frozenset(entry.get("object", ())),
        unfit=frozenset(entry.get("unfit", ())),
        stative=stative,
        progressive=not stative and not entry.get("noprogressive", False),
        generic=entry.get("generic", False),
        place=place,
    )


def _phrases(entries: Mapping[str, str]) -> tuple[Phrase, ...]:
    return tuple(Phrase(en, fr) for en, fr in entries.items())


def read_lexicon(folder: Path) -> Lexicon:
    """Read nouns, verbs, adjectives, conjugations and other words from the YAML files in `folder`."""
    files = {
        stem: read_yaml(folder / f"{stem}.yaml") for stem in ("nouns", "verbs", "adjectives", "conjugations", "words")
    }
    words = files["words"]
    try:
        return Lexicon(
            nouns=tuple(_noun(entry, group) for group in files["nouns"] for entry in group["nouns"]),
            verbs=tuple(
                _verb(entry, frame, files["conjugations"])
                for frame in files["verbs"]
                for entry in files["verbs"][frame]
            ),
            adjectives=tuple(
                _adjective(entry, group) for group in files["adjectives"] for entry in group["adjectives"]
            ),
            names=tuple(Name(text, gender == "f") for gender in "mf" for text in words["names"][gender]),
            numbers=_phrases(words["numbers"]),
            degrees=_phrases(words["degrees"]),
            frequencies=_phrases(words["frequencies"]),
            manners=tuple(
                Phrase(entry["en"], entry["fr"], frozenset(entry["verbs"]), early=entry.get("early", False))
                for entry in words["manners"]
            ),
            times=tuple(
                Phrase(entry["en"], entry["fr"], frozenset(entry["tense"]), frozenset(entry.get("verbs", ())))
                for entry in words["times"]
            ),
            prepositions=tuple(
                Phrase(entry["en"], entry["fr"], frozenset(entry["of"]), dwelling=entry.get("dwelling", False))
                for entry in words["prepositions"]
            ),
        )
    except MISFITS as error:
        raise EntenteError(
            f"{folder}: bad entry in the lexicon: {error}. Compare with the entries around it."
        ) from error
