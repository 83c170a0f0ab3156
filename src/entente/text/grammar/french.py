"""French sentences from meaning trees: agreement, clitics, negation, the passé composé, elision and contraction.

Conventions: the apostrophe is ', a plain space stands before ? and !, yes-or-no questions take "est-ce que".
"""

import re
from collections.abc import Sequence

from entente.text.grammar.lexicon import Verb
from entente.text.grammar.syntax import (
    Address,
    Agreement,
    Clause,
    Names,
    Nominal,
    NounPhrase,
    Place,
    Pronoun,
    Relative,
    Sentence,
)

_COMMAS = re.compile(",+")
_ELIDED = frozenset(("je", "me", "te", "se", "le", "la", "de", "ne", "que", "ce"))
_CONTRACTED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}
_VOWELS = frozenset("aàâeéèêëiîïoôuùûœh")
_SUBJECTS = ("je", "tu", "il", "nous", "vous", "ils")
_DIRECT = ("me", "te", "le", "nous", "vous", "les")
_DATIVE = ("me", "te", "lui", "nous", "vous", "leur")
_REFLEXIVE = ("me", "te", "se", "nous", "vous", "se")
_POSSESSIVES = (
    ("mon", "ma", "mes"), ("ton", "ta", "tes"), ("son", "sa", "ses"),
    ("notre", "notre", "nos"), ("votre", "votre", "vos"), ("leur", "leur", "leurs"),
)  # fmt: skip
_NEGATIONS = {"not": "pas", "never": "jamais", "no longer": "plus"}
_CONJUNCTIONS = {"and": ["et"], "but": [",", "mais"], "because": ["parce", "que"]}
_ETRE = ("suis", "es", "est", "sommes", "êtes", "sont")
_AVOIR = ("ai", "as", "a", "avons", "avez", "ont")
_ALLER = ("vais", "vas", "va", "allons", "allez", "vont")
_QUESTION_WORDS = {
    "polar": [],
    "where": ["où"],
    "when": ["quand"],
    "why": ["pourquoi"],
    "whom": ["qui"],
    "what": ["qu'"],
}


def vowel(word: str) -> bool:
    """Whether words elide before `word` (y alone does; a leading * marks an aspirated h)."""
    return word[0].lower() in _VOWELS or word == "y"


def sandhi(words: Sequence[str]) -> list[str]:
    """Elide (je aime: j' aime) and contract (de le: du); an elided word ends with its apostrophe."""
    done: list[str] = []
    for position, word in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else ""
        elides = word in _ELIDED and following and vowel(following)
        spoken = word[:-1] + "'" if elides else word
        if done and (done[-1], spoken) in _CONTRACTED:
            done[-1] = _CONTRACTED[done[-1], spoken]
        else:
            done.append(spoken)
    return done


def finish(words: Sequence[str], mark: str, *, smooth: bool = True) -> str:
    """Join words with elision and contraction (unless not `smooth`, for a wrong answer); capital first, mark last."""
    spoken = sandhi(words) if smooth else words
    text = " ".join(spoken).replace("' ", "'").replace(" ,", ",").replace("*", "")
    text = _COMMAS.sub(",", text).rstrip(",")
    return text[0].upper() + text[1:] + mark


class French:
    """Writes one sentence. The addressee settles what *you* is, the speaker the gender of *I*."""

    def __init__(self, sentence: Sentence, *, smooth: bool = True) -> None:
        self.sentence = sentence
        self.smooth = smooth
        self.address: Address | None = sentence.address

    def agreement(self, nominal: Nominal) -> Agreement:
        """What a noun phrase passes on, with the addressee and speaker known."""
        return self._resolve(nominal.agreement)

    def _resolve(self, agreement: Agreement) -> Agreement:
        if agreement.person == 2 and self.address:
            return self.address.agreement
        if agreement.person == 1 and not agreement.plural and self.sentence.speaker:
            return Agreement(1, False, self.sentence.speaker.feminine)
        return agreement

    def _determiner(self, nominal: NounPhrase, following: str, negated: bool) -> list[str]:
        determiner, plural, feminine = nominal.determiner, nominal.plural, nominal.noun.feminine
        liaison = vowel(following)
        match determiner.kind:
            case "the" | "genitive" | "generic":
                return ["les" if plural else "la" if feminine else "le"]
            case "a" | "some" if negated:
                return ["de"]
            case "a":
                return ["une" if feminine else "un"]
            case "some" if not plural:
                return ["de", "la" if feminine else "le"]
            case "some":
                return ["de" if nominal.adjectives and nominal.adjectives[0].before else "des"]
            case "this":
                return ["ces" if plural else "cette" if feminine else "cet" if liaison else "ce"]
            case "all":
                return ["toutes" if feminine else "tous", "les"]
            case "many":
                return ["beaucoup", "de"]
            case "number":
                assert determiner.number is not None
                return ["une" if determiner.number.fr == "un" and feminine else determiner.number.fr]
        assert isinstance(determiner.owner, Agreement)
        forms = _POSSESSIVES[self._resolve(determiner.owner).conjugation]
        return [forms[2] if plural else forms[1] if feminine and not liaison else forms[0]]

    def noun_phrase(self, nominal: Nominal, *, negated: bool = False) -> list[str]:
        """Words of a noun phrase, names or a subject pronoun."""
        match nominal:
            case Pronoun(kind="this"):
                return ["ce"]
            case Pronoun(kind="there"):
                return ["il"]
            case Pronoun():
                agreement = self.agreement(nominal)
                if agreement.person < 3:
                    return [_SUBJECTS[agreement.conjugation]]
                return [agreement.form(("il", "elle", "ils", "elles"))]
            case Names():
                return " et ".join(name.text for name in nominal.names).split()
            case NounPhrase():
                return self._noun_phrase(nominal, negated)

    def _noun_phrase(self, nominal: NounPhrase, negated: bool) -> list[str]:
        words = [nominal.noun.fr[nominal.plural]]
        for adjective in reversed(nominal.adjectives):
            form = nominal.agreement.form(adjective.fr)
            if not adjective.before:
                words = [*words, *form.split()]
            elif not nominal.plural and not nominal.noun.feminine and vowel(words[0]):
                words = [adjective.vowel, *words]
            else:
                words = [form, *words]
        words = self._determiner(nominal, words[0], negated) + words
        if nominal.determiner.kind == "genitive":
            assert isinstance(nominal.determiner.owner, Names | NounPhrase)
            words += ["de", *self.noun_phrase(nominal.determiner.owner)]
        return words + (self._relative(nominal.relative, nominal) if nominal.relative else [])

    def _relative(self, relative: Relative, antecedent: NounPhrase) -> list[str]:
        if relative.of_subject:
            words = ["qui", *self._predicate(relative.clause, antecedent.agreement)]
        else:
            subject = relative.clause.subject
            assert subject is not None
            said = self._predicate(relative.clause, self.agreement(subject), moved=antecedent.agreement)
            words = ["que", *self.noun_phrase(subject), *said]
        return [",", *words, ","] if relative.aside else words

    def _clitics(self, clause: Clause, subject: Agreement) -> list[str]:
        clitics = [_REFLEXIVE[subject.conjugation]] if clause.verb.reflexive else []
        if clause.verb.frame == "existence":
            clitics.append("y")
        if isinstance(clause.object, Pronoun):
            target = self.agreement(clause.object)
            form = (_DATIVE if clause.verb.preposition else _DIRECT)[target.conjugation]
            clitics.append("la" if form == "le" and target.form(("m", "f", "m", "f")) == "f" else form)
        if isinstance(clause.recipient, Pronoun):
            clitics.append(_DATIVE[self.agreement(clause.recipient).conjugation])
        return clitics

    def _participle(self, clause: Clause, subject: Agreement, moved: Agreement | None) -> str:
        forms = clause.verb.participles
        if clause.verb.etre:
            return subject.form(forms)
        if isinstance(clause.object, Pronoun) and not clause.verb.preposition:
            moved = self.agreement(clause.object)
        return moved.form(forms) if moved else forms[0]

    def _predicate(self, clause: Clause, subject: Agreement, moved: Agreement | None = None) -> list[str]:
        """Verb and complements. `moved` is the agreement of a direct object that stands before the verb."""
        verb, person = clause.verb, subject.conjugation
        clitics = self._clitics(clause, subject)
        early = clause.manner.fr.split() if clause.manner and clause.manner.early else []
        negation = [_NEGATIONS[clause.polarity]] if clause.polarity != "affirmative" else []
        if clause.tense == "past":
            finite = [*clitics, (_ETRE if verb.etre else _AVOIR)[person]]
            rest = [*early, self._participle(clause, subject, moved)]
        elif clause.tense == "future":
            finite = [_ALLER[person]]
            rest = [*early, *clitics, verb.fr]
        else:
            finite = [*clitics, verb.present[person]]
            rest = early
        middle = clause.frequency.fr.split() if clause.frequency else []
        start = ["ne", *finite, *negation] if negation else finite
        return [*start, *middle, *rest, *self._complements(clause, subject)]

    def _complements(self, clause: Clause, subject: Agreement) -> list[str]:
        words = clause.verb.after.split()
        if clause.predicate:
            words += clause.degree.fr.split() if clause.degree else []
            words += subject.form(clause.predicate.fr).split()
        if clause.object and not isinstance(clause.object, Pronoun):
            # "Je n'ai pas de chat", but "Ce n'est pas un chat".
            negated = clause.polarity != "affirmative" and clause.verb.takes_any
            words += clause.verb.preposition.split() + self.noun_phrase(clause.object, negated=negated)
        if clause.recipient and not isinstance(clause.recipient, Pronoun):
            words += ["à", *self.noun_phrase(clause.recipient)]
        if clause.manner and not clause.manner.early:
            words += clause.manner.fr.split()
        return words + (self._place(clause.place) if clause.place else [])

    def _place(self, place: Place) -> list[str]:
        return place.preposition.fr.split() + self.noun_phrase(place.nominal)

    def _subject(self, clause: Clause) -> Agreement:
        assert clause.subject is not None
        if isinstance(clause.subject, Pronoun) and clause.subject.kind in ("this", "there"):
            plural = clause.subject.kind == "this" and clause.subject.agreement.plural
            return Agreement(3, plural, False)
        return self.agreement(clause.subject)

    def _clause(self, clause: Clause) -> list[str]:
        mood = self.sentence.mood
        if mood == "who":
            return ["qui", *self._predicate(clause, Agreement(3, False, False))]
        assert clause.subject is not None
        agreement = self._subject(clause)
        if mood == "where" and clause.verb.frame == "location":
            return ["où", *self._inverted(clause.verb, clause.subject, agreement)]
        moved, start = None, []
        if mood == "how many":
            counted = self.sentence.counted
            assert counted is not None
            moved, start = Agreement(3, True, counted.feminine), ["combien", "de", counted.fr[1]]
        elif mood != "statement":
            start = _QUESTION_WORDS[mood]
        if mood != "statement":
            start = [*start, "est-ce", "que"]
        return [*start, *self.noun_phrase(clause.subject), *self._predicate(clause, agreement, moved)]

    def _inverted(self, verb: Verb, subject: Nominal, agreement: Agreement) -> list[str]:
        words = self.noun_phrase(subject)
        finite = verb.present[agreement.conjugation]
        return [f"{finite}-{words[0]}"] if isinstance(subject, Pronoun) else [finite, *words]

    def write(self) -> str:
        """The French of the sentence; `Undetermined` where the English does not settle it."""
        sentence = self.sentence
        words = ["je", "me", "appelle", sentence.speaker.text, "et"] if sentence.speaker else []
        time = sentence.clauses[0].time
        if time and sentence.time_first:
            words += [*time.fr.split(), ","]
        for index, clause in enumerate(sentence.clauses):
            words += _CONJUNCTIONS[sentence.conjunctions[index - 1]] if index else []
            words += self._clause(clause)
        if time and not sentence.time_first:
            words += time.fr.split()
        if self.address:
            called = self.address.fr
            words = [called, ",", *words] if sentence.address_first else [*words, ",", called]
        return finish(words, "." if sentence.mood == "statement" else " ?", smooth=self.smooth)
