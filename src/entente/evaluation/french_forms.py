"""Reads the French of the grammar word by word: what each form can be, what it is here, and what it agrees with.

Each word gets a category, each agreeing word its controller: of an adjective the noun beside it, or else the subject of
the last finite verb; of a verb what "qui" refers to, or else the latest subject that still waits for its verb; of a
participle its auxiliary's subject with "être", with "avoir" the object before it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from entente.text.grammar.french import vowel
from entente.text.grammar.lexicon import Lexicon
from entente.text.grammar.rules import TITLES, Grammar

_WORD = re.compile(r"aujourd'hui|[^\W_]+'|[^\W_]+(?:-[^\W_]+)*|\S")
_ELIDED = {word: word[:-1] + "'" for word in ("la", "le", "je", "me", "te", "se", "de", "ne", "que", "ce")}
_FULL = {elided: word for word, elided in _ELIDED.items()} | {"l'": "l'"}
_CONTRACTED = {"du": ("de", "le"), "des": ("de", "les"), "au": ("à", "le"), "aux": ("à", "les")}
_GROUPS = frozenset("mf"), frozenset("sp"), frozenset("012345")  # gender, number, person from je to ils
_FOUR = ("ms", "fs", "mp", "fp")
_CLOSED = {  # lexeme, form, and the features that the form settles
    "subject": "je je s0,tu tu s1,il il ms2,il elle fs2,nous nous p3,vous vous 4,il ils mp5,il elles fp5,ce ce ms25",
    "determiner": "le le ms,le la fs,le l' s,le les p,un un ms,un une fs,tout tous mp,tout toutes fp,"
    "ce ce ms,ce cet ms,ce cette fs,ce ces p,mon mon ms,mon ma fs,mon mes p,ton ton ms,ton ta fs,ton tes p,"
    "son son ms,son sa fs,son ses p,notre notre s,notre nos p,votre votre s,votre vos p,leur leur s,leur leurs p",
    "clitic": "le le ms2,le la fs2,le l' s2,le les p5,lui lui s,lui leur p,me me s,te te s,se se,nous nous p,"
    "vous vous,y y",
    "question": "est-ce est-ce,où où,quand quand,pourquoi pourquoi,combien combien",
    "ne": "ne ne", "negation": "pas pas,jamais jamais,plus plus", "relative": "qui qui ms2", "that": "que que",
    "conjunction": "et et,mais mais,parce parce", "de": "de de", "preposition": "à à",
}  # fmt: skip
_NEVER = {  # what does not follow upon what
    "start that conjunction": "clitic participle",
    "determiner number": "verb infinitive participle clitic ne negation subject relative conjunction mark",
    "subject": "noun adjective determiner number infinitive participle name preposition word subject",
    "clitic": "noun adjective determiner number participle name preposition word subject mark",
    "noun name relative": "noun determiner subject infinitive",
    "verb negation": "noun verb",
    "infinitive participle ne": "noun",
    "preposition de": "verb subject clitic participle",
    "word": "participle",
}
_STRAINS = {(before, after) for one, two in _NEVER.items() for before in one.split() for after in two.split()}


@dataclass(frozen=True)
class Reading:
    """What a form can be; `features` are the genders, numbers and persons that it leaves open."""

    category: str
    lexeme: str
    features: frozenset[str] = frozenset().union(*_GROUPS)

    def agrees(self, other: "Reading") -> bool:
        """Whether no feature contradicts another."""
        return all(self.features & other.features & group for group in _GROUPS)


@dataclass(eq=False)
class Word:
    """A word in its sentence, in full (je for j'); `place` counts the words before it."""

    text: str
    place: int
    short: bool  # before a vowel
    before: str  # the text of the word before
    reading: Reading = Reading("start", "")
    controller: "Word | None" = None
    fronted: "Word | None" = None  # of a verb: the object that "que" or "combien de" puts before it
    auxiliary: bool = False

    @property
    def category(self) -> str:
        """The part of speech, with que ("that"), ne and de apart; "mark" and "unknown" for what is no word."""
        return self.reading.category


class FrenchForms:
    """Reads French sentences of the grammar: knows lexeme, category and features of every form."""

    def __init__(self, grammar: Grammar) -> None:
        lexicon = grammar.lexicon
        self._readings: defaultdict[str, dict[tuple[str, str], Reading]] = defaultdict(dict)
        starred = [*(form for noun in lexicon.nouns for form in noun.fr), *(number.fr for number in lexicon.numbers)]
        self._aspirated = {form[1:] for form in starred if form[0] == "*"}
        self._of_de = {verb.fr for verb in lexicon.verbs if verb.preposition == "de" and not verb.after}
        for category, lexeme, form, settled in _entries(lexicon):
            known = self._readings[form.removeprefix("*")]
            features = frozenset[str]().union(*(group & set(settled) or group for group in _GROUPS))
            features |= known[category, lexeme].features if (category, lexeme) in known else frozenset()
            known[category, lexeme] = Reading(category, lexeme, features)
        adverbs = (*lexicon.degrees, *lexicon.frequencies, *lexicon.manners, *lexicon.times, *lexicon.prepositions)
        others = [*(phrase.fr for phrase in adverbs), *(verb.after for verb in lexicon.verbs), *grammar.always.values()]
        for form in self.words(" ".join((*others, *(adjective.fr[0] for adjective in lexicon.adjectives)))):
            if form not in self._readings and form not in _FULL and form not in _CONTRACTED and form[0].isalpha():
                self._readings[form]["word", form] = Reading("word", form)

    def words(self, text: str) -> list[str]:
        """Words and marks in lower case; an elided word keeps its apostrophe, an inverted subject stands alone."""
        found = _WORD.findall(text.lower().replace("’", "'"))
        return [part for word in found for part in ([word] if word in self._readings else word.split("-")) if part]

    def lexemes(self, form: str) -> set[str]:
        """Those that the form may belong to."""
        return {reading.lexeme for reading in self._readings.get(form, {}).values()}

    def takes_article(self, form: str) -> bool:
        """Whether "de" after the form begins an object without a preposition: manger de la soupe."""
        readings = self._readings.get(form, {}).values()
        return any(one.category in ("verb", "infinitive", "participle", "negation") for one in readings) and not any(
            one.lexeme in self._of_de for one in readings
        )

    def read(self, words: Sequence[str]) -> tuple[list[Word], set[str]]:
        """Words in full (du: de le) with readings and controllers; which of elision and contraction is broken."""
        found: list[Word] = []
        broken = set()
        place = -1
        for word, following in pairwise((*words, ".")):
            place += word[0].isalnum()
            short = following not in self._aspirated and vowel(following)
            elides = word in _ELIDED and (word != "ce" or following == "est")
            if following[0].isalpha() and ((elides and short) or (word in _FULL and not short)):
                broken.add("elision")
            pair = (found[-1].text if found else "", "l'" if short and word == "le" else word)
            if pair in _CONTRACTED.values() or (short and word in ("du", "au")):
                broken.add("contraction")
            for part in _CONTRACTED.get(word, (word,)):
                text = "l'" if short and part in ("le", "la") else _FULL.get(part, part)
                found.append(Word(text, place, short, found[-1].text if found else ""))
        for one, reading in zip(found, self._likeliest([one.text for one in found]), strict=True):
            liaison = one.short and one.text in ("mon", "ton", "son")  # mon amie
            one.reading = replace(reading, features=reading.features | {"f"}) if liaison else reading
        _attach(found)
        return found, broken

    def _likeliest(self, texts: Sequence[str]) -> list[Reading]:
        """The readings that strain the order of words least."""
        paths = [(0.0, [Reading("start", "")])]
        for text in texts:
            unknown = Reading("unknown" if text[0].isalnum() else "mark", text)
            options = list(self._readings.get(text, {("", ""): unknown}).values())
            steps = [[(cost + _strain(path[-1], option), path) for cost, path in paths] for option in options]
            best = [min(step, key=lambda scored: scored[0]) for step in steps]
            paths = [(cost, [*path, option]) for (cost, path), option in zip(best, options, strict=True)]
        return min(paths, key=lambda scored: scored[0])[1][1:]


def _strain(before: Reading, after: Reading) -> float:
    pair = before.category, after.category
    unlike = pair == ("subject", "verb") and not after.agrees(before)
    return (pair in _STRAINS) + 0.5 * (unlike or pair == ("verb", "subject"))


def _entries(lexicon: Lexicon) -> Iterator[tuple[str, str, str, str]]:
    """Category, lexeme, form and what the form settles."""
    for category, entries in _CLOSED.items():
        for lexeme, form, *settled in map(str.split, entries.split(",")):
            yield category, lexeme, form, "".join(settled)
    for noun in lexicon.nouns:
        for form, number in zip(noun.fr, ("s2", "p5"), strict=True):
            yield "noun", noun.fr[0], form, number + "mf"[noun.feminine]
    for verb in (lexicon.be, *lexicon.verbs):
        yield from (("verb", verb.fr, form, str(person)) for person, form in enumerate(verb.present))
        yield "infinitive", verb.fr, verb.fr, ""
        yield from (("participle", verb.fr, *form) for form in zip(verb.participles, _FOUR, strict=True))
    for adjective in lexicon.adjectives:
        yield from (("adjective", adjective.fr[0], *form) for form in zip(adjective.fr, _FOUR, strict=True))
        yield "adjective", adjective.fr[0], adjective.vowel, "ms"
    yield from (("name", name.text, name.text.lower(), "s2" + "mf"[name.feminine]) for name in lexicon.names)
    yield from (("name", title.fr, title.fr, "mf"[bool(title.agreement.feminine)]) for title in TITLES[:4])
    yield from (("number", number.fr, number.fr, "p") for number in lexicon.numbers[1:])


def _attach(words: Sequence[Word]) -> None:
    """Give agreeing words their controllers; of "Marie et Paul", the last name."""
    waiting: list[Word] = []  # subjects, for their verbs
    verb = moved = fronted = referent = last = None
    expecting = True  # a subject
    for word, before in zip(words, [Word("", 0, False, ""), *words], strict=False):
        match word.category:
            case "noun" | "name" | "subject":
                if waiting and word.before == "et" and waiting[-1].category == word.category == "name":
                    both = word.reading.features & waiting.pop().reading.features & {"f"} or {"m"}
                    word.reading = replace(word.reading, features=frozenset({"p", "5", *both}))
                    waiting.append(word)
                elif verb and not verb.controller:  # où est le chat
                    verb.controller = word
                elif expecting or word.category == "subject":
                    waiting.append(word)
                expecting, last = False, last if word.category == "subject" else word
            case "relative":
                referent = last or word
            case "that":
                fronted = last if word.before != "parce" and last and last.category == "noun" else None
                expecting = True
            case "question" | "conjunction":
                referent, expecting = None, word.text != "et" or not waiting
            case "verb":
                word.controller = referent or (waiting.pop() if waiting else None)
                direct = before.category == "clitic" and before.reading.lexeme not in ("lui", "y")
                word.fronted, moved = fronted, before if direct else fronted
                verb, referent, fronted = word, None, None
            case "infinitive" | "participle" if verb:
                verb.auxiliary = True
                word.controller = verb.controller if verb.reading.lexeme == "être" else moved
            case "determiner":
                word.controller = _noun_beside(words, word)
                _settle_number(word)
            case "adjective":
                word.controller = _noun_beside(words, word) or (verb.controller if verb else None)


def _settle_number(determiner: Word) -> None:
    """La souris, les souris: where the noun has one form, its determiner tells the number."""
    noun, features = determiner.controller, determiner.reading.features
    if noun and noun.reading.features > {"s", "p"} and not features >= {"s", "p"}:
        other = {"s", "2"} if "p" in features else {"p", "5"}
        noun.reading = replace(noun.reading, features=noun.reading.features - other)


def _noun_beside(words: Sequence[Word], word: Word) -> Word | None:
    """The noun next to an adjective, or after a determiner, but for other adjectives."""
    at = words.index(word)
    sides = (words[:at][::-1], ("adjective",)), (words[at + 1 :], ("adjective", "number", "determiner"))
    for side, between in sides[word.category == "determiner" :]:
        beside = next((other for other in side if other.category not in between), word)
        if beside.category in ("noun", "name"):
            return beside
    return None
