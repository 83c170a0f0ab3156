"""The rules of the grammar, as read from YAML: what may be drawn, how often."""

from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from entente.errors import EntenteError
from entente.text.grammar.files import MISFITS, read_yaml
from entente.text.grammar.lexicon import Lexicon, read_lexicon
from entente.text.grammar.syntax import Address, Agreement

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
    return Rule(**{key: Choice(value) if isinstance(value, dict) else value for key, value in entries.items()})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Grammar:
    """Lexicon, rules by section (training, longer) and the sentences that training always has."""

    lexicon: Lexicon
    rules: dict[str, dict[str, Rule]]
    always: dict[str, str]


def read_grammar(folder: Path) -> Grammar:
    """Read the YAML files of a grammar; a missing or broken one is an `EntenteError`."""
    entries, phrases = read_yaml(folder / "rules.yaml"), read_yaml(folder / "phrases.yaml")
    lexicon = read_lexicon(folder)
    try:
        rules = {
            section: {name: read_rule(name, own, entries["defaults"]) for name, own in entries[section].items()}
            for section in entries
            if section != "defaults"
        }
        return Grammar(lexicon, rules, {**phrases["anchors"], **_greetings(phrases["greetings"], lexicon)})
    except MISFITS as error:
        raise EntenteError(
            f"{folder}: bad entry in rules.yaml or phrases.yaml: {error}. Compare with the entries around it."
        ) from error


def _greetings(greetings: list[dict[str, Any]], lexicon: Lexicon) -> dict[str, str]:
    """Every greeting, said to nobody and to everybody."""
    known = [Address(name.text, name.text, Agreement(2, False, name.feminine)) for name in lexicon.names]
    said: dict[str, str] = {}
    for greeting in greetings:
        mark = greeting.get("mark", ".")
        french_mark = mark if mark == "." else f" {mark}"
        said[greeting["en"] + mark] = greeting["fr"] + french_mark
        for address in (*known, *TITLES):
            if address.en not in greeting.get("to", [address.en]):
                continue
            french = greeting.get("polite", greeting["fr"]) if address.agreement.polite else greeting["fr"]
            said[f"{greeting['en']}, {address.en}{mark}"] = f"{french}, {address.fr}{french_mark}"
    return said
