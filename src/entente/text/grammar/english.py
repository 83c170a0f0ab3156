"""English sentences from meaning trees."""

import re
from collections.abc import Sequence

from entente.text.grammar.lexicon import english_s
from entente.text.grammar.syntax import (
    Agreement,
    Clause,
    Determiner,
    Names,
    Nominal,
    NounPhrase,
    Pronoun,
    Relative,
    Sentence,
    Undetermined,
)

_SUBJECTS = ("I", "you", "he", "we", "you", "they")
_OBJECTS = ("me", "you", "him", "us", "you", "them")
_POSSESSIVES = ("my", "your", "his", "our", "your", "their")
_QUESTION_WORDS = {"polar": [], "where": ["where"], "when": ["when"], "why": ["why"], "whom": ["who"], "what": ["what"]}
_COMMAS = re.compile(",+")
_PEOPLE = "person"
_NOT = re.compile(r"\b(is|are|do|does|did) not\b", re.IGNORECASE)
_BE = re.compile(r"\b(I|you|he|she|it|we|they) (am|are|is)\b(?!,|\.)", re.IGNORECASE)


def _personal(agreement: Agreement, forms: Sequence[str], feminine: str) -> str:
    if agreement.person == 3 and not agreement.plural and agreement.feminine:
        return feminine
    return forms[agreement.person - 1 + 3 * agreement.plural]


def _indefinite(word: str) -> str:
    return "an" if word[0] in "aeiouAEIOU" and not word.startswith("use") else "a"


def _determiner(determiner: Determiner, nominal: NounPhrase, following: str, negated: bool) -> list[str]:
    owner = determiner.owner
    match determiner.kind:
        case "the":
            return ["the"]
        case "generic":
            return []
        case "a" | "some" if negated and (nominal.plural or nominal.noun.mass):
            return ["any"]
        case "a":
            return [_indefinite(following)]
        case "this":
            return ["these" if nominal.plural else "this"]
        case "all":
            return ["all", "the"]
        case "number":
            assert determiner.number is not None
            return [determiner.number.en]
        case "possessive":
            assert isinstance(owner, Agreement)
            return [_personal(owner, _POSSESSIVES, "her")]
        case "genitive":
            assert isinstance(owner, Names | NounPhrase)
            words = noun_phrase(owner)
            return [*words[:-1], words[-1] + "'s"]
        case _:
            return [determiner.kind]  # some, many


def _relative(relative: Relative, antecedent: NounPhrase) -> list[str]:
    person = _PEOPLE in antecedent.noun.classes
    if relative.of_subject:
        word = "who" if person else "which" if relative.aside else "that"
        words = [word, *_predicate(relative.clause, antecedent.agreement)]
    else:
        assert relative.clause.subject is not None
        subject = relative.clause.subject
        word = "that" if not relative.aside else "whom" if person else "which"
        words = [word, *noun_phrase(subject), *_predicate(relative.clause, subject.agreement)]
    return [",", *words, ","] if relative.aside else words


def noun_phrase(nominal: Nominal, *, as_object: bool = False, negated: bool = False) -> list[str]:
    """Words of a noun phrase, names or a pronoun."""
    match nominal:
        case Pronoun(kind="this"):
            return ["these" if nominal.agreement.plural else "this"]
        case Pronoun(kind="there"):
            return ["there"]
        case Pronoun(kind="neuter") if not nominal.agreement.plural:
            return ["it"]
        case Pronoun():
            return [_personal(nominal.agreement, *((_OBJECTS, "her") if as_object else (_SUBJECTS, "she")))]
        case Names():
            return " and ".join(name.text for name in nominal.names).split()
        case NounPhrase():
            words = [adjective.en for adjective in nominal.adjectives] + [nominal.noun.en[nominal.plural]]
            words = _determiner(nominal.determiner, nominal, words[0], negated) + words
            return words + (_relative(nominal.relative, nominal) if nominal.relative else [])


def _be(agreement: Agreement) -> str:
    if agreement.plural or agreement.person == 2:
        return "are"
    return "am" if agreement.person == 1 else "is"


def _verb(clause: Clause, agreement: Agreement, supported: bool) -> tuple[str | None, list[str]]:
    """The auxiliary (if any: `supported` wants one, as questions and "not" do) and the rest of the verb."""
    verb = clause.verb
    third = agreement.person == 3 and not agreement.plural
    if clause.tense == "future":
        return _be(agreement), ["going", "to", verb.en]
    if verb.en == "be":
        return _be(agreement), []
    if clause.tense == "progressive":
        return _be(agreement), [verb.en_ing]
    if supported:
        return "did" if clause.tense == "past" else "does" if third else "do", [verb.en]
    if verb.en_past == verb.en and not third:
        raise Undetermined(verb.en)  # "they read": today or yesterday
    if clause.tense == "past":
        return None, [verb.en_past]
    return None, ["has" if verb.en == "have" else english_s(verb.en)] if third else [verb.en]


def _complements(clause: Clause) -> list[str]:
    negated = clause.polarity != "affirmative"
    words = clause.verb.particle.split()
    if clause.predicate:
        words += ([clause.degree.en] if clause.degree else []) + [clause.predicate.en]
    if clause.object:
        words += noun_phrase(clause.object, as_object=True, negated=negated and clause.verb.takes_any)
    if clause.recipient:
        words += ["to", *noun_phrase(clause.recipient, as_object=True)]
    for phrase in (clause.manner, clause.place and clause.place.preposition):
        words += phrase.en.split() if phrase else []
    return words + (noun_phrase(clause.place.nominal) if clause.place else [])


def _middle(clause: Clause) -> list[str]:
    middle = [] if clause.polarity == "affirmative" else clause.polarity.split()
    return middle + ([clause.frequency.en] if clause.frequency else [])


def _predicate(
    clause: Clause, agreement: Agreement, subject: Sequence[str] = (), *, inverted: bool = False
) -> list[str]:
    """Verb and complements with the subject before them, or after the auxiliary."""
    auxiliary, rest = _verb(clause, agreement, inverted or clause.polarity == "not")
    front = [auxiliary] if auxiliary else []
    start = [*front, *subject] if inverted else [*subject, *front]
    return [*start, *_middle(clause), *rest, *_complements(clause)]


def _agreement(clause: Clause) -> Agreement:
    assert clause.subject is not None
    if isinstance(clause.subject, Pronoun) and clause.subject.kind == "there":
        assert isinstance(clause.object, NounPhrase)
        return clause.object.agreement
    return clause.subject.agreement


def _clause(clause: Clause, sentence: Sentence) -> list[str]:
    if sentence.mood == "statement":
        assert clause.subject is not None
        return _predicate(clause, _agreement(clause), noun_phrase(clause.subject))
    if sentence.mood == "who":
        return ["who", *_predicate(clause, Agreement(3, False, False))]
    if sentence.mood == "how many":
        assert sentence.counted is not None
        words = ["how", "many", sentence.counted.en[1]]
    else:
        words = _QUESTION_WORDS[sentence.mood]
    assert clause.subject is not None
    return words + _predicate(clause, _agreement(clause), noun_phrase(clause.subject), inverted=True)


def write(sentence: Sentence) -> str:
    """The English of a sentence."""
    words = ["my", "name", "is", sentence.speaker.text, "and"] if sentence.speaker else []
    time = sentence.clauses[0].time
    if time and sentence.time_first:
        words += [*time.en.split(), ","]
    for index, clause in enumerate(sentence.clauses):
        if index:
            conjunction = sentence.conjunctions[index - 1]
            words += [",", conjunction] if conjunction == "but" else [conjunction]
        words += _clause(clause, sentence)
    if time and not sentence.time_first:
        words += time.en.split()
    if sentence.address:
        called = sentence.address.en
        words = [called, ",", *words] if sentence.address_first else [*words, ",", called]
    text = finish(words, "." if sentence.mood == "statement" else "?")
    return _contract(text) if sentence.contracted else text


def _contract(text: str) -> str:
    text = _NOT.sub(r"\1n't", text)
    return _BE.sub(lambda match: match[1] + {"am": "'m", "are": "'re", "is": "'s"}[match[2]], text)


def finish(words: Sequence[str], mark: str) -> str:
    """Join words; commas cling and double as well as final ones vanish; capital first, mark last."""
    text = _COMMAS.sub(",", " ".join(words).replace(" ,", ",")).rstrip(",")
    return text[0].upper() + text[1:] + mark
