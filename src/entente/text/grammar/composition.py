"""Clauses and sentences drawn by a rule."""

from dataclasses import replace

from entente.text.grammar.lexicon import Adjective, Noun, Verb
from entente.text.grammar.sampling import Rule, Sampler
from entente.text.grammar.syntax import (
    Agreement, Clause, Determiner, Names, Nominal, NounPhrase, Place, Pronoun, Relative, Sentence, Undetermined,
)  # fmt: skip

_PERSON = frozenset(("person",))
_ANIMATE = frozenset(("person", "animal"))
_PARTICULAR = frozenset(("person", "building", "land"))


def draw(sampler: Sampler, rule: Rule) -> Sentence:
    """One sentence of the rule; `Undetermined` if the draw comes to nothing (draw again)."""
    random = sampler.random
    mood, kind = rule.mood.draw(random), rule.subject.draw(random)
    clause = _clause(sampler, rule, rule.frame.draw(random), kind, mood)
    address = sampler.address(rule.address.draw(random))
    sentence = Sentence((clause,), mood=mood, address=address, contracted=sampler.chance(rule.contracted))
    if kind == "introduction":
        speaker = sampler.names(1).names[0]
        sentence = replace(sentence, speaker=speaker)
    if mood == "how many":
        assert isinstance(clause.object, NounPhrase)
        if clause.object.noun.single or ("relative" in clause.object.noun.classes and clause.verb.en != "have"):
            raise Undetermined("how many fathers")
        sentence = replace(sentence, clauses=(replace(clause, object=None),), counted=clause.object.noun)
    if clause.time and mood == "statement" and clause.polarity == "affirmative" and not address and kind != "introduction":
        sentence = replace(sentence, time_first=sampler.chance(0.3))
    if address and address.en[0].isupper():
        sentence = replace(sentence, address_first=sampler.chance(0.3))
    return coherent(_followed(sampler, rule, sentence, rule.followed.draw(random)))


def coherent(sentence: Sentence) -> Sentence:
    """The sentence, if it names nobody and nothing twice and says nothing of one noun on one scale twice."""
    named: list[object] = []
    for index, clause in enumerate(sentence.clauses):
        _survey(clause, named)
        first = sentence.clauses[0]
        if index and isinstance(clause.subject, Pronoun) and isinstance(first.subject, NounPhrase | Names):
            about = first.subject.adjectives if isinstance(first.subject, NounPhrase) else ()
            _check_scales((*about, first.predicate, clause.predicate))
        _check_motion(clause)
    if len(set(map(id, named))) < len(named):
        raise Undetermined("said twice")
    return sentence


def _check_motion(clause: Clause) -> None:
    """Nobody who is walking is running."""
    relative = clause.subject.relative if isinstance(clause.subject, NounPhrase) else None
    if relative and relative.clause.verb.frame == clause.verb.frame == "intransitive":
        raise Undetermined("walking and running")


def _survey(item: object, named: list[object], said: tuple[Adjective | None, ...] = ()) -> None:
    match item:
        case Clause():
            _survey(item.subject, named, (item.predicate,))
            _survey(item.object, named)
            _survey(item.recipient, named)
            _survey(item.place and item.place.nominal, named)
        case Names():
            named += item.names
        case NounPhrase():
            named.append(item.noun)
            _survey(item.determiner.owner, named)
            inner = item.relative.clause if item.relative else None
            _check_scales((*item.adjectives, *said, inner and inner.predicate))
            _survey(inner, named)


def _check_scales(adjectives: tuple[Adjective | None, ...]) -> None:
    scales = [adjective.scale for adjective in adjectives if adjective]
    if len(set(scales)) < len(scales):
        raise Undetermined("black and white")


def _clause(sampler: Sampler, rule: Rule, frame: str, kind: str, mood: str) -> Clause:
    random = sampler.random
    verb = sampler.verb(frame, None if kind in ("noun",) or frame in ("presentation", "existence") else _PERSON)
    tense, polarity = rule.tense.draw(random), rule.polarity.draw(random)
    if verb.stative and (tense == "past" or (tense == "future" and frame != "copula")):
        tense = "present"
    if tense == "progressive" and not verb.progressive:
        tense = "present"
    if mood not in ("statement", "why"):
        polarity = "affirmative"
    if polarity == "never" and (tense != "present" or verb.stative) or polarity == "no longer" and tense in ("past", "future"):
        polarity = "not"
    subject = None if mood == "who" else _subject(sampler, rule, verb, kind, mood)
    clause = Clause(subject, verb, tense, polarity)
    if frame in ("presentation", "existence"):
        clause = _presented(sampler, rule, clause)
    elif verb.object:
        clause = _objects(sampler, rule, clause, mood)
    if frame == "copula":
        clause = _predicative(sampler, rule, clause)
    return _circumstances(sampler, rule, clause, mood)


def _subject(sampler: Sampler, rule: Rule, verb: Verb, kind: str, mood: str) -> Nominal:
    match kind:
        case "noun":
            noun = sampler.noun(verb.subject & _ANIMATE if verb.frame != "copula" else verb.subject)
            # An indefinite subject is natural now and then, before a verb that tells what it does.
            indefinite = mood == "statement" and verb.frame not in ("copula", "location") and sampler.chance(0.4)
            phrase = sampler.noun_phrase(rule, noun, indefinite=indefinite)
            if phrase.determiner.kind == "some":
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
        inner = sampler.noun_phrase(rule, _object_noun(sampler, verb))
        inner = replace(inner, determiner=Determiner("the"), adjectives=inner.adjectives[:1] if depth == 1 else ())
        if "relative" in inner.noun.classes:
            inner = replace(inner, determiner=Determiner("possessive", owner=Agreement(1, False, None)))
        clause = replace(clause, object=_with_relatives(sampler, rule, inner, depth - 1))
        if depth == 1 and sampler.chance(0.3) and phrase.noun.classes & verb.object and not verb.preposition:
            return replace(phrase, relative=_object_relative(sampler, clause))
    elif verb.place == "required" or (verb.place and sampler.chance(0.4)):
        clause = replace(clause, place=_place(sampler, verb))
    aside = phrase.determiner.kind in ("possessive", "this") or sampler.chance(0.4)
    return replace(phrase, relative=Relative(clause, aside=aside))


def _object_relative(sampler: Sampler, clause: Clause) -> Relative:
    noun = sampler.noun(clause.verb.subject & _ANIMATE, count=True)
    subject: Nominal = NounPhrase(Determiner("the"), noun, sampler.chance(0.3))
    if "relative" in noun.classes:
        subject = sampler.names(1)
    return Relative(replace(clause, subject=subject, object=None), aside=False)


def _object_noun(sampler: Sampler, verb: Verb) -> Noun:
    return sampler.noun(verb.object, verb.unfit)


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
            noun = _object_noun(sampler, verb)
            if verb.generic and not noun.classes & _PARTICULAR and sampler.chance(0.4):
                adjectives = sampler.adjectives(noun, rule.adjectives.draw(sampler.random))
                return NounPhrase(Determiner("generic"), noun, not noun.mass, adjectives)
            return sampler.noun_phrase(rule, noun, indefinite=indefinite, owning=verb.en == "have")


def _objects(sampler: Sampler, rule: Rule, clause: Clause, mood: str) -> Clause:
    verb = clause.verb
    if mood in ("whom", "what"):
        return clause  # the question word is the object
    kind = "noun" if verb.frame == "oblique" else rule.object.draw(sampler.random)
    clause = replace(clause, object=_nominal_object(sampler, rule, clause, kind))
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
    if isinstance(clause.subject, Names) and isinstance(clause.object, Names) and set(clause.subject.names) & set(clause.object.names):
        raise Undetermined("reflexive")
    return clause


def _presented(sampler: Sampler, rule: Rule, clause: Clause) -> Clause:
    noun = sampler.noun(clause.verb.object, count=True)
    phrase = sampler.noun_phrase(rule, noun)
    singular_only = clause.verb.frame == "presentation" and phrase.determiner.kind in ("many", "number")
    if singular_only or phrase.determiner.kind in ("the", "this", "all"):
        phrase = replace(phrase, determiner=Determiner("a"), plural=False)
    subject = Pronoun(Agreement(3, phrase.plural, False), "this" if clause.verb.frame == "presentation" else "there")
    return replace(clause, subject=subject, object=phrase)


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


def _place(sampler: Sampler, verb: Verb) -> Place:
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
    if verb.place == "required" and not elsewhere or (verb.place and not elsewhere and sampler.chance(rule.place)):
        clause = replace(clause, place=_place(sampler, verb))
    if sampler.chance(rule.manner) and not clause.place and not clause.object and not verb.particle:
        manners = [manner for manner in lexicon.manners if verb.en in manner.fits]
        if manners:
            clause = replace(clause, manner=sampler.pick(("manner", verb.en), manners))
    if clause.tense == "present" and sampler.chance(rule.frequency) and not verb.stative and clause.polarity == "affirmative":
        clause = replace(clause, frequency=sampler.pick("frequencies", lexicon.frequencies))
    if sampler.chance(rule.time) and not verb.stative and mood != "when" and not clause.frequency:
        clause = replace(
            clause, time=sampler.pick(("time", clause.tense), lexicon.times, lambda time: clause.tense in time.fits)
        )
    return clause


def _followed(sampler: Sampler, rule: Rule, sentence: Sentence, kind: str) -> Sentence:
    first = sentence.clauses[0]
    match kind:
        case "none":
            return sentence
        case "and" | "but" | "because":
            return _anaphora(sampler, rule, sentence, kind)
        case "chain":
            frame = rule.frame.draw
            others = [_matching(sampler, rule, first, frame(sampler.random), "noun", word) for word in ("and", "but")]
            return replace(sentence, clauses=(first, *others), conjunctions=("and", "but"))
    subject = "name" if sampler.chance(0.5) else "noun"
    return replace(sentence, clauses=(first, _matching(sampler, rule, first, "intransitive", subject, kind[:3])), conjunctions=(kind[:3],))


def _matching(sampler: Sampler, rule: Rule, first: Clause, frame: str, kind: str, conjunction: str) -> Clause:
    """A clause to join to the first: in its tense; after "but" of the other polarity."""
    clause = _clause(sampler, rule, frame, kind, "statement")
    if (clause.tense == "past") != (first.tense == "past"):
        raise Undetermined("tenses that clash")
    polarity = "affirmative" if conjunction == "and" or first.polarity != "affirmative" else "not"
    return replace(clause, polarity=polarity)


def _anaphora(sampler: Sampler, rule: Rule, sentence: Sentence, conjunction: str) -> Sentence:
    """A second clause about the first one's subject: he, she, it or they, whose French gender the subject gives."""
    first = sentence.clauses[0]
    subject = first.subject
    assert subject is not None
    because = conjunction == "because"
    if because and (first.polarity != "affirmative" or not _about(subject) & _ANIMATE):
        raise Undetermined("not because")
    classes = _about(subject)
    neuter = "person" not in classes and not subject.agreement.plural
    pronoun = Pronoun(subject.agreement, "neuter" if neuter else "personal")
    if because or classes & _ANIMATE and sampler.chance(0.5):
        verb = sampler.verb("intransitive", classes & _ANIMATE)
        tense = "progressive" if verb.progressive else "present"
        second = Clause(pronoun, verb, tense, "not" if sampler.chance(0.2 if because else 0.4) else "affirmative")
        if verb.place == "required":
            second = replace(second, place=_place(sampler, verb))
    else:
        noun = subject.noun if isinstance(subject, NounPhrase) else None
        feminine = subject.agreement.feminine
        predicate = sampler.adjective(noun, predicate=True) if noun else sampler.personal_adjective(feminine)
        second = Clause(pronoun, sampler.lexicon.be, "present", "not" if sampler.chance(0.2) else "affirmative", predicate=predicate)
    return replace(sentence, clauses=(first, second), conjunctions=(conjunction,))


def _about(nominal: Nominal) -> frozenset[str]:
    return nominal.noun.classes if isinstance(nominal, NounPhrase) else _PERSON
