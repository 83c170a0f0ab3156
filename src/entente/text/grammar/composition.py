"""Sentences drawn by a rule: a clause, its mood and addressee, and what follows it."""

from dataclasses import replace

from entente.text.grammar.clauses import draw_clause, draw_place
from entente.text.grammar.coherence import coherent
from entente.text.grammar.rules import Rule
from entente.text.grammar.sampling import Sampler
from entente.text.grammar.syntax import Clause, Nominal, NounPhrase, Pronoun, Sentence, Undetermined

_PERSON = frozenset(("person",))
_ANIMATE = frozenset(("person", "animal"))


def draw(sampler: Sampler, rule: Rule) -> Sentence:
    """One sentence of the rule; `Undetermined` if the draw comes to nothing (draw again)."""
    random = sampler.random
    mood, kind = rule.mood.draw(random), rule.subject.draw(random)
    clause = draw_clause(sampler, rule, rule.frame.draw(random), kind, mood)
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
    plain = mood == "statement" and clause.polarity == "affirmative" and not address and kind != "introduction"
    if clause.time and plain:
        sentence = replace(sentence, time_first=sampler.chance(0.3))
    if address and address.en[0].isupper():
        sentence = replace(sentence, address_first=sampler.chance(0.3))
    return coherent(_followed(sampler, rule, sentence, rule.followed.draw(random)))


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
    conjunction = kind.split()[0]
    other = _matching(sampler, rule, first, "intransitive", subject, conjunction)
    return replace(sentence, clauses=(first, other), conjunctions=(conjunction,))


def _matching(sampler: Sampler, rule: Rule, first: Clause, frame: str, kind: str, conjunction: str) -> Clause:
    """A clause to join to the first: in its tense; after "but" of the other polarity."""
    clause = draw_clause(sampler, rule, frame, kind, "statement")
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
    moved = first.predicate is not None and first.predicate.scale in ("mood", "strength")
    if because and (first.polarity != "affirmative" or not moved):
        raise Undetermined("not because")
    # She is sad and she cries; she is tired, but she is not sad; she is tired because she works.
    contrary = sampler.chance(0.2) if because else (conjunction == "but") != (first.polarity != "affirmative")
    polarity = "not" if contrary else "affirmative"
    classes = _about(subject)
    neuter = "person" not in classes and not subject.agreement.plural
    pronoun = Pronoun(subject.agreement, "neuter" if neuter else "personal")
    if because or (classes & _ANIMATE and sampler.chance(0.5)):
        verb = sampler.verb("intransitive", classes & _ANIMATE)
        tense = "progressive" if verb.progressive else "present"
        second = Clause(pronoun, verb, tense, polarity)
        if verb.place == "required":
            second = replace(second, place=draw_place(sampler, verb))
    else:
        noun = subject.noun if isinstance(subject, NounPhrase) else None
        feminine = subject.agreement.feminine
        predicate = sampler.adjective(noun, predicate=True) if noun else sampler.personal_adjective(feminine)
        second = Clause(pronoun, sampler.lexicon.be, "present", polarity, predicate=predicate)
    return replace(sentence, clauses=(first, second), conjunctions=(conjunction,))


def _about(nominal: Nominal) -> frozenset[str]:
    return nominal.noun.classes if isinstance(nominal, NounPhrase) else _PERSON
