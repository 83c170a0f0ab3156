"""What makes a minimal pair for each phenomenon: the other sentence, and one that is spoilt.

A spoilt sentence has one word's entry miswritten (an adjective with its genders swapped, a noun of the wrong gender):
its French is wrong in the phenomenon alone.
"""

from collections.abc import Callable
from dataclasses import replace

from entente.text.grammar.lexicon import Adjective, Forms, Verb
from entente.text.grammar.sampling import Sampler
from entente.text.grammar.syntax import Agreement, Clause, Names, NounPhrase, Pronoun, Sentence, Undetermined

Contrast = tuple[
    Sentence, Sentence | None
]  # the other sentence; this one spoilt, or None if the other's French will do


def _only(sentence: Sentence) -> Clause:
    return sentence.clauses[0]


def _with(sentence: Sentence, clause: Clause) -> Sentence:
    return replace(sentence, clauses=(clause,))


def _phrase(nominal: object) -> NounPhrase:
    if not isinstance(nominal, NounPhrase):
        raise Undetermined("needs a noun")
    return nominal


def _renumbered(forms: Forms) -> Forms:
    return forms[2], forms[3], forms[0], forms[1]


def _regendered(forms: Forms) -> Forms:
    return forms[1], forms[0], forms[3], forms[2]


def _spoilt(adjective: Adjective) -> Adjective:
    """The adjective in the wrong gender, or in the wrong number where the genders look the same."""
    forms = _regendered(adjective.fr) if adjective.fr[0] != adjective.fr[1] else _renumbered(adjective.fr)
    return replace(adjective, fr=forms, vowel=forms[0])


def _swapped_numbers(verb: Verb) -> Verb:
    present = verb.present
    return replace(verb, present=present[3:] + present[:3], participles=_renumbered(verb.participles))


def _plural_flipped(phrase: NounPhrase) -> NounPhrase:
    if phrase.noun.single or phrase.determiner.kind not in ("the", "this", "possessive", "genitive"):
        raise Undetermined("one number only")
    return replace(phrase, plural=not phrase.plural)


def role_reversal(sampler: Sampler, sentence: Sentence) -> Contrast:
    """The cat chased the dog / the dog chased the cat."""
    clause = _only(sentence)
    subject, other = clause.subject, clause.object
    if other is None or isinstance(other, Pronoun) or isinstance(subject, Pronoun) or subject == other:
        raise Undetermined("one role")
    classes = other.noun.classes if isinstance(other, NounPhrase) else {"person"}
    own = subject.noun.classes if isinstance(subject, NounPhrase) else {"person"}
    if not classes & clause.verb.subject or not own & clause.verb.object:
        raise Undetermined("roles that cannot be reversed")
    if isinstance(subject, NounPhrase) and isinstance(other, NounPhrase) and subject.noun is other.noun:
        raise Undetermined("one noun twice")
    return _with(sentence, replace(clause, subject=other, object=subject)), None


def adjective_agreement(sampler: Sampler, sentence: Sentence) -> Contrast:
    """The black cat / the black cats; the foil's adjective does not agree."""
    clause = _only(sentence)
    if clause.predicate:
        subject = _phrase(clause.subject)
        if subject.adjectives:
            raise Undetermined("two adjectives")
        wrong = replace(clause, predicate=_spoilt(clause.predicate))
        return _with(sentence, replace(clause, subject=_plural_flipped(subject))), _with(sentence, wrong)
    role = "object" if isinstance(clause.object, NounPhrase) and clause.object.adjectives else "subject"
    phrase = _phrase(getattr(clause, role))
    if len(phrase.adjectives) != 1:
        raise Undetermined("no adjective")
    bad = replace(phrase, adjectives=(_spoilt(phrase.adjectives[0]),))
    other = _plural_flipped(phrase)
    if role == "object":
        return _with(sentence, replace(clause, object=other)), _with(sentence, replace(clause, object=bad))
    return _with(sentence, replace(clause, subject=other)), _with(sentence, replace(clause, subject=bad))


def adjective_order(sampler: Sampler, sentence: Sentence) -> Contrast:
    """The big cat / the black cat; the foil's adjective is on the wrong side."""
    clause = _only(sentence)
    phrase = _phrase(clause.object if clause.object and not isinstance(clause.object, Pronoun) else clause.subject)
    if len(phrase.adjectives) != 1:
        raise Undetermined("no adjective")
    adjective = phrase.adjectives[0]
    other = sampler.adjective(phrase.noun, predicate=False, kind="second" if adjective.before else "before")
    # Some may change sides (un énorme chien, un chien jeune); those of colour, origin, size and beauty may not.
    if "age" in (adjective.scale, other.scale) or not (adjective.before or adjective.second):
        raise Undetermined("either side will do")
    partner = replace(phrase, adjectives=(other,))
    bad = replace(phrase, adjectives=(replace(adjective, before=not adjective.before),))
    if phrase is clause.object:
        return _with(sentence, replace(clause, object=partner)), _with(sentence, replace(clause, object=bad))
    return _with(sentence, replace(clause, subject=partner)), _with(sentence, replace(clause, subject=bad))


def relative_agreement(sampler: Sampler, sentence: Sentence) -> Contrast:
    """The cat which ... sleeps / the cats which ... sleep; the foil's main verb has the wrong number."""
    clause = _only(sentence)
    subject = _phrase(clause.subject)
    wrong = replace(clause, verb=_swapped_numbers(clause.verb))
    if clause.predicate:
        predicate = replace(clause.predicate, fr=_renumbered(clause.predicate.fr))
        wrong = replace(wrong, predicate=predicate)
    return _with(sentence, replace(clause, subject=_plural_flipped(subject))), _with(sentence, wrong)


def negation(sampler: Sampler, sentence: Sentence) -> Contrast:
    """She is happy / she is not happy."""
    return _with(sentence, replace(_only(sentence), polarity="not")), None


def clitics(sampler: Sampler, sentence: Sentence) -> Contrast:
    """I see her / I see him: another object pronoun."""
    clause = _only(sentence)
    if not isinstance(clause.object, Pronoun):
        raise Undetermined("no pronoun")
    pronoun = sampler.pronoun("12hswt")
    subject = clause.subject
    if isinstance(subject, Pronoun) and subject.agreement.person == pronoun.agreement.person < 3:
        raise Undetermined("reflexive")
    return _with(sentence, replace(clause, object=pronoun)), None


def elision_contraction(sampler: Sampler, sentence: Sentence) -> Contrast:
    """To the market / to the school; the foil neither contracts nor elides."""
    clause = _only(sentence)
    phrase = _phrase(clause.object)
    noun = sampler.noun(clause.verb.object, clause.verb.unfit)
    if noun is phrase.noun or "relative" in noun.classes:
        raise Undetermined("the same noun")
    return _with(sentence, replace(clause, object=replace(phrase, noun=noun))), sentence


def possessives(sampler: Sampler, sentence: Sentence) -> Contrast:
    """Her hat / her dress; the foil's possessive has the wrong gender."""
    clause = _only(sentence)
    phrase = _phrase(clause.object)
    if phrase.determiner.kind != "possessive" or phrase.plural:
        raise Undetermined("no possessive")
    noun = sampler.noun(clause.verb.object, clause.verb.unfit)
    if noun.feminine == phrase.noun.feminine or noun.mass or not noun.owned:
        raise Undetermined("the same gender")
    bad = replace(phrase, noun=replace(phrase.noun, feminine=not phrase.noun.feminine))
    other = replace(phrase, noun=noun)
    return _with(sentence, replace(clause, object=other)), _with(sentence, replace(clause, object=bad))


def questions(sampler: Sampler, sentence: Sentence) -> Contrast:
    """You love the sea / do you love the sea?"""
    return replace(sentence, mood="polar"), None


def passe_compose_etre(sampler: Sampler, sentence: Sentence) -> Contrast:
    """He arrived / she arrived; the foil's participle does not agree."""
    clause = _only(sentence)
    subject = clause.subject
    if isinstance(subject, NounPhrase):
        other = _plural_flipped(subject)
        wrong = replace(clause, verb=replace(clause.verb, participles=_renumbered(clause.verb.participles)))
        return _with(sentence, replace(clause, subject=other)), _with(sentence, wrong)
    if isinstance(subject, Names):
        partner = sampler.names(1)
        if partner.names[0].feminine == subject.names[0].feminine:
            raise Undetermined("the same gender")
        wrong = replace(clause, verb=replace(clause.verb, participles=_regendered(clause.verb.participles)))
        return _with(sentence, replace(clause, subject=partner)), _with(sentence, wrong)
    assert subject is not None
    if subject.agreement.person < 3:
        raise Undetermined("whose gender?")
    pronoun = Pronoun(replace(subject.agreement, feminine=not subject.agreement.feminine))
    wrong = replace(clause, verb=replace(clause.verb, participles=_regendered(clause.verb.participles)))
    return _with(sentence, replace(clause, subject=pronoun)), _with(sentence, wrong)


def passe_compose_avoir(sampler: Sampler, sentence: Sentence) -> Contrast:
    """He saw her / he saw him; the foil's participle ignores the object before it, or heeds the one after it."""
    clause = _only(sentence)
    verb = replace(clause.verb, participles=_regendered(clause.verb.participles))
    if isinstance(clause.object, Pronoun):
        agreement = clause.object.agreement
        other = Pronoun(Agreement(agreement.person, agreement.plural, agreement.feminine is not True))
        if agreement.person < 3 or agreement.plural:
            raise Undetermined("whose gender?")
        return _with(sentence, replace(clause, object=other)), _with(sentence, replace(clause, verb=verb))
    phrase = _phrase(clause.object)
    if not phrase.noun.feminine or phrase.plural:
        raise Undetermined("no trap")
    return _with(sentence, replace(clause, object=_plural_flipped(phrase))), _with(sentence, replace(clause, verb=verb))


def near_future(sampler: Sampler, sentence: Sentence) -> Contrast:
    """He is going to eat / he is eating."""
    clause = _only(sentence)
    if clause.tense != "future" or not clause.verb.progressive:
        raise Undetermined("no such pair")
    return _with(sentence, replace(clause, tense="progressive")), None


def numbers(sampler: Sampler, sentence: Sentence) -> Contrast:
    """Three cats / thirteen cats."""
    clause = _only(sentence)
    phrase = _phrase(clause.object)
    number = sampler.pick("numbers", sampler.lexicon.numbers)
    if phrase.determiner.kind != "number" or not phrase.plural or number.en == "one":
        raise Undetermined("no number")
    other = replace(phrase, determiner=replace(phrase.determiner, number=number))
    return _with(sentence, replace(clause, object=other)), None


def politeness(sampler: Sampler, sentence: Sentence) -> Contrast:
    """Are you hungry, madam? / Are you hungry, Marie?; the foil says tu for vous, or vous for tu."""
    address = sentence.address
    if address is None:
        raise Undetermined("nobody addressed")
    people = sampler.names(1)
    if people.agreement.feminine != address.agreement.feminine:
        raise Undetermined("another gender")
    name = people.names[0].text
    other = replace(address, en=name, fr=name, agreement=replace(address.agreement, polite=False))
    confused = replace(address, agreement=replace(address.agreement, polite=not address.agreement.polite))
    return replace(sentence, address=other), replace(sentence, address=confused)


CONTRASTS: dict[str, Callable[[Sampler, Sentence], Contrast]] = {
    "role_reversal": role_reversal,
    "adjective_agreement": adjective_agreement,
    "adjective_order": adjective_order,
    "relative_agreement": relative_agreement,
    "relative_agreement_longer": relative_agreement,
    "negation": negation,
    "clitics": clitics,
    "elision_contraction": elision_contraction,
    "possessives": possessives,
    "questions": questions,
    "passe_compose_etre": passe_compose_etre,
    "passe_compose_avoir": passe_compose_avoir,
    "near_future": near_future,
    "numbers": numbers,
    "politeness": politeness,
}
