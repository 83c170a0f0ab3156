"""Which rules of French a wrong translation broke, by name, next to the one right translation of the grammar.

Words that differ are paired by lexeme, or else by category. A word in another form than the right one breaks a rule,
unless it rightly agrees with another wrong word. A distance counts the reference's words from the controller to the
word: 1 is side by side.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

from entente.evaluation.french_forms import FrenchForms, Reading, Word

__all__ = ["RULES", "FrenchForms", "broken_rules", "tally"]

_AGREEMENT = {
    "verb": "subject-verb agreement",
    "participle": "participle agreement",
    "adjective": "adjective agreement",
}
RULES = (  # an agreement is followed by its distance, where that is known: "participle agreement, distance 5"
    *_AGREEMENT.values(), "determiner gender", "determiner number", "noun number", "form before a vowel", "elision",
    "contraction", "adjective order", "roles reversed", "word order", "negation", "article after a negation",
    "partitive or indefinite article", "determiner", "possessor", "number word", "clitic", "subject pronoun",
    "politeness (tu/vous)", "tense or auxiliary", "question form", "preposition", "relative pronoun", "conjunction",
    "wrong word", "unknown word", "words missing", "words added", "repetition", "capitals or punctuation",
)  # fmt: skip

_NAMES = {
    "subject": "subject pronoun", "question": "question form", "number": "number word", "ne": "negation",
    "that": "relative pronoun", "relative": "relative pronoun", "de": "preposition",
}  # fmt: skip
_VERBAL = {"verb", "infinitive", "participle"}
_CONTENT = _VERBAL | {"noun", "name", "adjective", "number", "word"}
_POLITE = ({"tu", "vous"}, {"te", "vous"}, {"ton", "votre"})
_POSSESSORS = {"mon", "ton", "son", "notre", "votre", "leur"}
_NEGATIONS = {"pas", "jamais", "plus"}
_LONG, _SHORT = {"ma", "ta", "sa", "ce", "beau", "nouveau", "vieux"}, {"cet", "bel", "nouvel", "vieil"}
_LONGEST_ECHO = 12  # words that are looked for twice in a row

_Words = list[Word]
_Pairs = list[tuple[Word, Word]]


def broken_rules(hypothesis: str, reference: str, forms: FrenchForms) -> list[str]:
    """Name the rules that the hypothesis breaks, in the order of `RULES`; none only if the two are equal."""
    if hypothesis == reference:
        return []
    expected, words = forms.words(reference), forms.words(hypothesis)
    once = _without_echoes(words, expected)
    (right, _), (said, names) = forms.read(expected), forms.read(once)
    right, said = ([word for word in side if word.category != "mark"] for side in (right, said))
    kept, pairs, missing, added = _paired(right, said, forms)
    names |= {"repetition"} if len(once) < len(words) else set()
    names |= {*_rearranged(right, said, forms), *filter(None, (_strayed(*pair) for pair in kept))}
    names |= {*filter(None, (_difference(*pair, forms) for pair in pairs))}
    moved = [one for one, other in pairs if one.text == other.text]
    if not names & {"roles reversed", "adjective order", "tense or auxiliary"}:
        names |= {_move(one) for one in moved}
    settled = bool(moved or names & {"roles reversed", "adjective order"})
    after_negation = not _NEGATIONS.isdisjoint(words) and not _NEGATIONS.isdisjoint(expected)
    for alone, name in ((missing, "words missing"), (added, "words added")):
        names |= set(_alone(alone, name, forms, settled=settled))
    if words[-1:] != expected[-1:] and words[-1:] in (["."], ["?"]) and expected[-1:] in (["."], ["?"]):
        names.add("question form")
    return sorted(_causes(names, after_negation) or {"capitals or punctuation"}, key=_rank)


def tally(pairs: Iterable[tuple[str, str]], forms: FrenchForms) -> Counter[str]:
    """Count the pairs (hypothesis, reference) in which each rule is broken."""
    return Counter(name for hypothesis, reference in pairs for name in broken_rules(hypothesis, reference, forms))


def _rank(name: str) -> tuple[int, int]:
    rule, _, distance = name.partition(", distance ")
    return RULES.index(rule), int(distance or 0)


def _causes(names: set[str], after_negation: bool) -> set[str]:
    """The names without those that follow from another: "je n'ai pas de chat" has another article for its negation."""
    article = "partitive or indefinite article"
    if "negation" in names:
        names = names - {article}
    elif after_negation and article in names:
        names = names - {article} | {"article after a negation"}
    if "tense or auxiliary" in names:
        names = {name for name in names if not name.startswith("participle")}
    return names - {"noun number"} if "number word" in names else names


def _without_echoes(words: list[str], right: list[str]) -> list[str]:
    """Say once what is said twice in a row, unless that is right (nous nous réveillons)."""
    words, text = list(words), f" {' '.join(right)} "
    for size in range(1, _LONGEST_ECHO + 1):
        at = 0
        while at + 2 * size <= len(words):
            twice = words[at : at + 2 * size]
            echo = twice[:size] == twice[size:] and twice not in (["nous"] * 2, ["vous"] * 2)
            if echo and f" {' '.join(twice)} " not in text:
                del words[at : at + size]
            else:
                at += 1
    return words


def _paired(right: _Words, said: _Words, forms: FrenchForms) -> tuple[_Pairs, _Pairs, _Words, _Words]:
    """The words that are kept, those that differ or have moved, those missing, those added."""
    before, after = ([(word.text, word.category) for word in side] for side in (right, said))
    blocks = list(enumerate(SequenceMatcher(None, before, after, autojunk=False).get_opcodes()))
    kept = [
        pair for _, (tag, a, b, c, d) in blocks if tag == "equal" for pair in zip(right[a:b], said[c:d], strict=True)
    ]
    missing = [(block, word) for block, (tag, a, b, _, _) in blocks if tag != "equal" for word in right[a:b]]
    added = [(block, word) for block, (tag, _, _, c, d) in blocks if tag != "equal" for word in said[c:d]]
    pairs: _Pairs = []
    for lexeme, near in ((True, True), (True, False), (False, True)):
        for here, one in list(missing):
            for there, other in added:
                same = forms.lexemes(one.text) & forms.lexemes(other.text) if lexeme else _alike(one, other)
                movable = one.text == other.text or one.category in _CONTENT | {"clitic", "negation"}
                if same and (here == there if near else movable):
                    missing.remove((here, one))
                    added.remove((there, other))
                    (kept if near and one.text == other.text else pairs).append((one, other))
                    break
    return kept, pairs, [word for _, word in missing], [word for _, word in added]


def _alike(one: Word, other: Word) -> bool:
    categories = {one.category, other.category}
    articles = categories <= {"determiner", "number", "de"}
    return len(categories) == 1 or articles or (other.category == "unknown" and one.category in _CONTENT)


def _move(word: Word) -> str:
    """What a word in another place breaks."""
    if word.category in _VERBAL and word.before in _NEGATIONS:
        return "negation"
    name = _NAMES.get(word.category, word.category)
    return name if name in ("clitic", "negation") else "word order"


def _rearranged(right: _Words, said: _Words, forms: FrenchForms) -> Iterator[str]:
    """Adjectives on the other side of their nouns; subjects and objects that changed places."""
    sides = [
        {_beside(word): word.place < word.controller.place for word in side if word.controller}
        for side in (right, said)
    ]
    if any(noun_last != sides[1].get(pair, noun_last) for pair, noun_last in sides[0].items() if pair):
        yield "adjective order"
    places = {lexeme: at for at, word in reversed(list(enumerate(said))) for lexeme in forms.lexemes(word.text)}
    for roles in _roles(right):
        found = [places.get(role.reading.lexeme, -1) for role in roles]
        if found[0] >= 0 and found == sorted(set(found)):
            yield "roles reversed"


def _beside(word: Word) -> tuple[str, str] | None:
    """An adjective and its noun."""
    noun = word.controller if word.category == "adjective" else None
    return (word.reading.lexeme, noun.reading.lexeme) if noun and noun.category == "noun" else None


def _roles(right: _Words) -> Iterator[tuple[Word, Word, Word]]:
    """Object, verb and subject in the order that reverses their roles."""
    verb: Word | None = None
    for word in right:
        if word.category == "verb":
            verb = word
            if word.controller and word.fronted:
                yield word.controller, word.fronted, word
        elif verb and word.category in ("noun", "name"):
            if verb.controller:
                yield word, verb, verb.controller
            verb = None


def _difference(one: Word, two: Word, forms: FrenchForms) -> str | None:
    """The rule that `two`, said for `one`, breaks; None if another word explains it."""
    right, said, controller = one.reading, two.reading, two.controller
    if one.text == two.text or two.category == "unknown":
        return "unknown word" if one.text != two.text else None
    if not forms.lexemes(one.text) & forms.lexemes(two.text):
        return _other_word(one, two)
    if one.category != two.category and {one.category, two.category} <= _VERBAL:
        return "tense or auxiliary"
    counted = one.category == "determiner" and one.controller and controller and one.controller.text == controller.text
    if controller and not counted and not right.agrees(controller.reading) and said.agrees(controller.reading):
        return None
    if right.agrees(said):
        return "form before a vowel" if two.text in (_LONG if two.short else _SHORT) else None
    return _disagreement(one, right, said)


def _other_word(one: Word, two: Word) -> str:
    lexemes = {one.reading.lexeme, two.reading.lexeme}
    if lexemes in _POLITE:
        return "politeness (tu/vous)"
    if "de" in lexemes:
        return "partitive or indefinite article" if _alike(one, two) else "preposition"
    if one.auxiliary and two.auxiliary:
        return "tense or auxiliary"
    if one.category == "determiner" and lexemes <= _POSSESSORS:
        return "possessor"
    name = _NAMES.get(two.category if two.category == "number" else one.category, one.category)
    return name if name in RULES else "wrong word"


def _strayed(one: Word, two: Word) -> str | None:
    """The agreement that a right word breaks with another, wrong word."""
    before, now = one.controller, two.controller
    if not before or not now or before.reading.lexeme == now.reading.lexeme or two.reading.agrees(now.reading):
        return None
    agrees = one.category in (*_AGREEMENT, "determiner") and now.category in ("noun", "name", "subject")
    return _disagreement(one, now.reading, two.reading) if agrees else None


def _disagreement(word: Word, right: Reading, said: Reading) -> str:
    """The agreement that fails, with the distance that it has in the reference."""
    if word.category in _AGREEMENT:
        distance = f", distance {abs(word.place - word.controller.place)}" if word.controller else ""
        return _AGREEMENT[word.category] + distance
    if word.category in ("determiner", "noun"):
        gender = word.category == "determiner" and right.features & said.features & {"s", "p"}
        return "determiner gender" if gender else f"{word.category} number"
    return _NAMES.get(word.category, word.category)


def _alone(words: _Words, name: str, forms: FrenchForms, *, settled: bool) -> Iterator[str]:
    """Names for words that only one sentence has; `settled` if something else explains the small ones."""
    settled = settled or any(word.category in _CONTENT and not word.auxiliary for word in words)
    verbal = any(word.category in _VERBAL and not word.auxiliary for word in words)
    for word in words:
        if word.category == "unknown":
            yield "unknown word"
        elif word.category in _CONTENT:
            tense = word.text == "aller" or (word.auxiliary and not verbal)
            yield "tense or auxiliary" if tense else name
        elif word.category in ("ne", "negation", "clitic", "question"):
            yield name if verbal else _NAMES.get(word.category, word.category)
        elif not settled and word.before != "est-ce":
            article = word.before == "de" or (word.text == "de" and forms.takes_article(word.before))
            yield "partitive or indefinite article" if article else _NAMES.get(word.category, word.category)
