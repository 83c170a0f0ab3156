"""Clauses drawn by a rule: subject, verb, objects, predicate and circumstances that suit each other."""

from dataclasses import replace

from entente.text.grammar.lexicon import Verb
from entente.text.grammar.rules import Rule
from entente.text.grammar.sampling import Sampler
from entente.text.grammar.syntax import (
    Agreement,
    Clause,
    Determiner,
    Nominal,
    NounPhrase,
    Place,
    Pronoun,
    Relative,
    Undetermined,
)

_PERSON = frozenset(("person",))
_ANIMATE = frozenset(("person", "animal"))
_PARTICULAR = frozenset(("person", "building", "land"))


def draw_clause(sampler: Sampler, rule: Rule, frame: str, kind: str, mood: str) -> Clause:
    """A clause of the frame with this kind of subject, as the mood of the sentence allows."""
    random = sampler.random
    verb = sampler.verb(frame, None if kind == "noun" or frame in ("presentation", "existence") else _PERSON)
    tense, polarity = rule.tense.draw(random), rule.polarity.draw(random)
    if verb.stative and (tense == "past" or (tense == "future" and frame != "copula")):
        tense = "present"
    if tense == "progressive" and not verb.progressive:
        tense = "present"
    if mood not in ("statement", "why"):
        polarity = "affirmative"
    never = polarity == "never" and (tense != "present" or verb.stative)
    if never or (polarity == "no longer" and tense in ("past", "future")):
        polarity = "not"
    subject = None if mood == "who" else _subject(sampler, rule, verb, kind, mood, polarity)
    clause = Clause(subject, verb, tense, polarity)
    if frame in ("presentation", "existence"):
        clause = _presented(sampler, rule, clause)
    elif verb.object:
        clause = _objects(sampler, rule, clause, mood)
    if frame == "copula":
        clause = _predicative(sampler, rule, clause)
    return _circumstances(sampler, rule, clause, mood)


def _subject(sampler: Sampler, rule: Rule, verb: Verb, kind: str, mood: str, polarity: str) -> Nominal:
    match kind:
        case "noun":
            noun = sampler.noun(verb.subject & _ANIMATE if verb.frame != "copula" else verb.subject)
            # An indefinite subject is natural now and then, before a verb that tells what it does.
            indefinite = mood == "statement" and verb.frame not in ("copula", "location") and sampler.chance(0.4)
            phrase = sampler.noun_phrase(rule, noun, indefinite=indefinite)
            if phrase.determiner.kind == "some" or (phrase.determiner.kind == "all" and polarity != "affirmative"):
                phrase = replace(phrase, determiner=Determiner("the"))
            return _with_relatives(sampler, rule, phrase, rule.relatives.draw(sampler.random))
        case "name":
            return sampler.names(1)
        case "names":
            return sampler.names(2)
        case "you":
            return sampler.pronoun("2")
        case "we":
            return sampler.pronoun("w")
        case "introduction":
            return sampler.pronoun("1")
        case _:
            return sampler.pronoun("12hsw" if verb.frame != "copula" else "12hhhsssw")


def _with_relatives(sampler: Sampler, rule: Rule, phrase: NounPhrase, depth: int) -> NounPhrase:
    """Hang a relative clause on the noun; of depth 2, its object has one too."""
    if depth == 0:
        return phrase
    if phrase.determiner.kind in ("many", "genitive"):
        phrase = replace(phrase, determiner=Determiner("the"))
    frame = "people" if depth > 1 else rule.relative_frame.draw(sampler.random)
    classes = phrase.noun.classes & _ANIMATE
    verb = sampler.verb(frame, classes or phrase.noun.classes)
    tense = sampler.random.choice(("present", "progressive", "past") if not verb.stative else ("present",))
    if tense == "progressive" and not verb.progressive:
        tense = "past"
    clause = Clause(None, verb, tense)
    if frame == "copula":
        noun, very = phrase.noun, None
        predicate = sampler.adjective(noun, predicate=True)
        if predicate.graded and sampler.chance(0.25):
            very = sampler.pick("degrees", sampler.lexicon.degrees)
        clause = replace(clause, predicate=predicate, degree=very)
    elif verb.object:
        inner = sampler.noun_phrase(rule, sampler.noun(verb.object, verb.unfit))
        inner = replace(inner, determiner=Determiner("the"), adjectives=inner.adjectives[:1] if depth == 1 else ())
        if "relative" in inner.noun.classes:
            inner = replace(inner, determiner=Determiner("possessive", owner=Agreement(1, False, None)))
        clause = replace(clause, object=_with_relatives(sampler, rule, inner, depth - 1))
        plain = phrase.determiner.kind not in ("possessive", "this")
        if depth == 1 and plain and sampler.chance(0.3) and phrase.noun.classes & verb.object and not verb.preposition:
            return replace(phrase, relative=_object_relative(sampler, clause))
    elif verb.place == "required" or (verb.place and sampler.chance(0.4)):
        clause = replace(clause, place=draw_place(sampler, verb))
    aside = phrase.determiner.kind in ("possessive", "this") or sampler.chance(0.4)
    return replace(phrase, relative=Relative(clause, aside=aside))


def _object_relative(sampler: Sampler, clause: Clause) -> Relative:
    noun = sampler.noun(clause.verb.subject & _ANIMATE, count=True)
    subject: Nominal = NounPhrase(Determiner("the"), noun, sampler.chance(0.3))
    if "relative" in noun.classes:
        subject = sampler.names(1)
    return Relative(replace(clause, subject=subject, object=None), aside=False)


def _nominal_object(sampler: Sampler, rule: Rule, clause: Clause, kind: str) -> Nominal:
    verb = clause.verb
    if "person" not in verb.object:
        kind = "noun"
    match kind:
        case "pronoun":
            return sampler.pronoun("12hhsswt")
        case "you":
            return sampler.pronoun("2")
        case "name":
            return sampler.names(1)
        case _:
            indefinite = not verb.preposition and not (verb.stative and verb.en not in ("have", "want"))
            indefinite = indefinite and clause.polarity not in ("never", "no longer")
            noun = sampler.noun(verb.object, verb.unfit)
            if verb.generic and not noun.classes & _PARTICULAR and sampler.chance(0.4):
                adjectives = sampler.adjectives(noun, rule.adjectives.draw(sampler.random))
                return NounPhrase(Determiner("generic"), noun, not noun.single, adjectives)
            return sampler.noun_phrase(rule, noun, indefinite=indefinite, owning=verb.en == "have")


def _objects(sampler: Sampler, rule: Rule, clause: Clause, mood: str) -> Clause:
    verb = clause.verb
    if mood in ("whom", "what"):
        return clause  # the question word is the object
    kind = "noun" if verb.frame == "oblique" else rule.object.draw(sampler.random)
    clause = replace(clause, object=_nominal_object(sampler, rule, clause, kind))
    if isinstance(clause.object, NounPhrase) and clause.polarity != "affirmative":
        number = clause.object.determiner.number
        if number and number.en == "one":
            raise Undetermined("not one: not a single one?")
    if verb.frame == "ditransitive":
        if sampler.chance(0.4):
            recipient: Nominal = sampler.pronoun("12hhsswt")
        elif sampler.chance(0.4):
            recipient = sampler.names(1)
        else:
            recipient = sampler.noun_phrase(rule, sampler.noun(_PERSON), indefinite=False)
        clause = replace(clause, recipient=recipient)
    people = (clause.subject, clause.object, clause.recipient)
    persons = [nominal.agreement.person for nominal in people if isinstance(nominal, Pronoun)]
    # "I see me" and "she sees her" (another her) are said otherwise or leave a doubt.
    if len(set(persons)) < len(persons) and persons != [3, 3]:
        raise Undetermined("reflexive")
    return clause


def _presented(sampler: Sampler, rule: Rule, clause: Clause) -> Clause:
    noun = sampler.noun(clause.verb.object, count=True)
    phrase = sampler.noun_phrase(rule, noun)
    singular_only = clause.verb.frame == "presentation" and phrase.determiner.kind in ("many", "number")
    if singular_only or phrase.determiner.kind in ("the", "this", "all"):
        phrase = replace(phrase, determiner=Determiner("a"), plural=False)
    subject = Pronoun(Agreement(3, phrase.plural, False), "this" if clause.verb.frame == "presentation" else "there")
    polarity = "affirmative" if phrase.determiner.kind == "number" else clause.polarity
    return replace(clause, subject=subject, object=phrase, polarity=polarity)


def _predicative(sampler: Sampler, rule: Rule, clause: Clause) -> Clause:
    subject = clause.subject
    assert subject is not None
    if isinstance(subject, NounPhrase):
        predicate = sampler.adjective(subject.noun, predicate=True)
    else:
        predicate = sampler.personal_adjective(subject.agreement.feminine)
    if not predicate.graded:
        tense, polarity = "present", "not" if clause.polarity == "no longer" else clause.polarity
        clause = replace(clause, tense=tense, polarity=polarity)
    degree = None
    if predicate.graded and sampler.chance(rule.degree):
        degree = sampler.pick("degrees", sampler.lexicon.degrees)
    return replace(clause, predicate=predicate, degree=degree)


def draw_place(sampler: Sampler, verb: Verb) -> Place:
    """Where; verbs of dwelling take fewer prepositions."""
    dwelling = verb.place == "required" and verb.frame in ("intransitive", "arrival")
    preposition = sampler.pick(
        ("prepositions", dwelling), sampler.lexicon.prepositions, lambda word: word.dwelling or not dwelling
    )
    noun = sampler.noun(preposition.fits, count=True)
    return Place(preposition, NounPhrase(Determiner("the"), noun))


def _circumstances(sampler: Sampler, rule: Rule, clause: Clause, mood: str) -> Clause:
    verb, lexicon = clause.verb, sampler.lexicon
    elsewhere = mood == "where"
    if elsewhere and verb.frame != "location" and (not verb.place or clause.object):
        raise Undetermined("where")
    if (verb.place == "required" and not elsewhere) or (verb.place and not elsewhere and sampler.chance(rule.place)):
        clause = replace(clause, place=draw_place(sampler, verb))
    if sampler.chance(rule.manner) and not clause.place and not clause.object and not verb.particle:
        manners = [manner for manner in lexicon.manners if verb.en in manner.fits]
        if manners:
            clause = replace(clause, manner=sampler.pick(("manner", verb.en), manners))
    number = isinstance(clause.object, NounPhrase) and clause.object.determiner.kind == "number"
    habit = clause.tense == "present" and clause.polarity == "affirmative" and not verb.stative and not number
    if habit and sampler.chance(rule.frequency):
        clause = replace(clause, frequency=sampler.pick("frequencies", lexicon.frequencies))
    if sampler.chance(rule.time) and not verb.stative and mood != "when" and not clause.frequency:
        tense, clumsy = clause.tense, verb.particle or "-"  # not "come in in winter"
        time = sampler.pick(
            ("time", tense, verb.en, clumsy),
            lexicon.times,
            lambda time: (
                tense in time.fits and verb.en in (time.verbs or (verb.en,)) and not time.en.startswith(clumsy)
            ),
        )
        clause = replace(clause, time=time)
    return clause
