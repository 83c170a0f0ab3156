"""Which sentences make sense as a whole."""

from entente.text.grammar.lexicon import Adjective
from entente.text.grammar.syntax import Clause, Names, NounPhrase, Pronoun, Sentence, Undetermined


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
            _survey(item.place.nominal if item.place else None, named)
        case Names():
            named += item.names
        case NounPhrase():
            named.append(item.noun)
            _survey(item.determiner.owner, named)
            inner = item.relative.clause if item.relative else None
            _check_scales((*item.adjectives, *said, inner.predicate if inner else None))
            _survey(inner, named)


def _check_scales(adjectives: tuple[Adjective | None, ...]) -> None:
    scales = [adjective.scale for adjective in adjectives if adjective]
    if len(set(scales)) < len(scales):
        raise Undetermined("black and white")
