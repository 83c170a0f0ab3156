"""The grammar's own foils are named by what they spoil, hand-made errors by the rule that a teacher would name."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from entente.evaluation.broken_rules import RULES, FrenchForms, broken_rules, tally
from entente.text.grammar import Expansion

EXPANSION = Expansion(Path(__file__).parents[2] / "data" / "grammar", seed=3)
FORMS = FrenchForms(EXPANSION.grammar)
PROBES = list(EXPANSION.probes(30))  # of each phenomenon
SENTENCES = [french for split in ("longer", "test") for _, french in EXPANSION.split(split, 500)]
NAMED = {
    "role_reversal": {"roles reversed"},
    "adjective_agreement": {"adjective agreement"},
    "adjective_order": {"adjective order"},
    "relative_agreement": {"subject-verb agreement"},
    "relative_agreement_longer": {"subject-verb agreement"},
    "negation": {"negation"},
    "clitics": {"clitic"},  # but where only the participle tells: "Luc l'a suivi(e)"
    "elision_contraction": {"elision", "contraction"},
    "possessives": {"determiner gender"},
    "questions": {"question form"},
    "passe_compose_etre": {"participle agreement"},
    "passe_compose_avoir": {"participle agreement"},
    "near_future": {"tense or auxiliary"},
    "numbers": {"number word"},
    "politeness": {"politeness (tu/vous)"},
}


def rules(names: list[str]) -> set[str]:
    return {name.partition(", distance ")[0] for name in names}


@pytest.mark.parametrize("phenomenon", NAMED)
def test_foils_are_named_by_their_phenomenon(phenomenon: str) -> None:
    probes = [probe for probe in PROBES if probe.phenomenon == phenomenon]
    named = [bool(rules(broken_rules(probe.foil, probe.target, FORMS)) & NAMED[phenomenon]) for probe in probes]
    assert len(named) >= 30
    assert sum(named) >= 0.9 * len(named)


def test_foils_break_nothing_else_but_what_follows() -> None:
    """A predicate goes with its verb: the foils of relative clauses spoil both."""
    besides: dict[str, Counter[str]] = defaultdict(Counter)
    for probe in PROBES:
        names = rules(broken_rules(probe.foil, probe.target, FORMS)) - NAMED[probe.phenomenon]
        besides[probe.phenomenon.removesuffix("_longer")].update(names)
    assert set(besides.pop("relative_agreement")) <= {"adjective agreement"}
    assert all(others.total() <= 3 for others in besides.values())


def test_every_phenomenon_has_its_name() -> None:
    assert {probe.phenomenon for probe in PROBES} == set(NAMED)
    assert set.union(*NAMED.values()) <= set(RULES)


def test_across_a_relative_clause_the_distance_counts_its_words() -> None:
    """In these probes the subject is the second word, and the first wrong word is its verb."""
    for probe in PROBES:
        if probe.phenomenon.startswith("relative_agreement"):
            target, foil = (FORMS.words(text.replace(",", "")) for text in (probe.target, probe.foil))
            place = next(at for at, (right, wrong) in enumerate(zip(target, foil, strict=True)) if right != wrong)
            assert broken_rules(probe.foil, probe.target, FORMS)[0] == f"subject-verb agreement, distance {place - 1}"


def test_right_sentences_break_nothing() -> None:
    for sentence in SENTENCES:
        assert broken_rules(sentence, sentence, FORMS) == []


def test_agreeing_words_of_right_sentences_agree_with_their_controllers() -> None:
    """Verbs and adjectives always have a controller, and no controller contradicts."""
    agreeing = bare = 0
    for sentence in SENTENCES:
        words, broken = FORMS.read(FORMS.words(sentence))
        assert not broken, sentence
        for word in words:
            assert word.category != "unknown", word.text
            if word.category in ("verb", "adjective", "participle", "determiner"):
                agreeing += 1
                bare += word.category in ("verb", "adjective") and not word.controller
                # Parler à takes a dative, "elle nous a parlé", which looks like an object.
                if word.controller and word.controller.category != "clitic":
                    assert word.reading.agrees(word.controller.reading), (sentence, word.text)
    assert agreeing > 3_000
    assert bare == 0


@pytest.mark.parametrize(
    ("reference", "hypothesis", "names"),
    [
        ("Le chat, qui suit les chiens, dort.", "Le chat, qui suit les chiens, dorment.",
         ["subject-verb agreement, distance 5"]),
        ("Marie et Paul sont heureux.", "Marie et Paul est heureux.", ["subject-verb agreement, distance 1"]),
        ("Où es-tu ?", "Où est-tu ?", ["subject-verb agreement, distance 1"]),
        ("Elle a vu les chats.", "Elle ai vu les chats.", ["subject-verb agreement, distance 1"]),
        ("Elle n'est pas arrivée.", "Elle n'est pas arrivé.", ["participle agreement, distance 4"]),
        ("La femme que les garçons ont suivie est partie.", "La femme que les garçons ont suivi est partie.",
         ["participle agreement, distance 5"]),
        ("La femme que les garçons ont suivie est partie.", "La femme que les garçons ont suivie est partis.",
         ["participle agreement, distance 7"]),
        ("Combien de pommes est-ce que tu as achetées ?", "Combien de pommes est-ce que tu as acheté ?",
         ["participle agreement, distance 5"]),
        ("Il a regardé la femme.", "Il a regardée la femme.", ["participle agreement"]),
        ("Je m'appelle Marie et je suis arrivée hier.", "Je m'appelle Marie et je suis arrivé hier.",
         ["participle agreement, distance 2"]),
        ("Les chats noirs dorment.", "Les chats noir dorment.", ["adjective agreement, distance 1"]),
        ("Marie et Julie sont très généreuses.", "Marie et Julie sont très généreux.",
         ["adjective agreement, distance 3"]),
        ("Elle a vu le camion vert.", "Elle a vu la voiture vert.", ["adjective agreement, distance 1", "wrong word"]),
        ("La souris dort.", "Le souris dort.", ["determiner gender"]),
        ("Elle porte ma robe.", "Elle porte mon robe.", ["determiner gender"]),
        ("Tous les chats dorment.", "Toutes les chats dorment.", ["determiner gender"]),
        ("La souris dort.", "Les souris dorment.", ["determiner number"]),
        ("Les chats dorment.", "Les chat dorment.", ["noun number"]),
        ("Les chats dorment.", "Le chat dort.", ["noun number"]),
        ("Il porte mon écharpe.", "Il porte ma écharpe.", ["form before a vowel"]),
        ("Cet homme a un bel oiseau.", "Cet homme a un beau oiseau.", ["form before a vowel"]),
        ("J'aime les pommes.", "Je aime les pommes.", ["elision"]),
        ("Le hérisson dort.", "L'hérisson dort.", ["elision"]),
        ("Il va au marché.", "Il va à le marché.", ["contraction"]),
        ("Il va à l'école.", "Il va au école.", ["contraction"]),
        ("Le chat noir dort.", "Le noir chat dort.", ["adjective order"]),
        ("Il a de grands chats.", "Il a des chats grands.", ["adjective order"]),
        ("Le chat a poursuivi les souris.", "Les souris ont poursuivi le chat.", ["roles reversed"]),
        ("Le chien que le chat suit dort.", "Le chat que le chien suit dort.", ["roles reversed"]),
        ("Le chat dort dans le jardin.", "Dans le jardin le chat dort.", ["word order"]),
        ("Elle n'est pas heureuse.", "Elle est pas heureuse.", ["negation"]),
        ("Elle n'a pas vu le chat.", "Elle n'a vu pas le chat.", ["negation"]),
        ("Elle n'a jamais faim.", "Elle n'a pas faim.", ["negation"]),
        ("Je n'ai pas de chat.", "J'ai un chat.", ["negation"]),
        ("Je n'ai pas de chat.", "Je n'ai pas un chat.", ["article after a negation"]),
        ("Je n'ai pas de chats.", "Je n'ai pas des chats.", ["article after a negation"]),
        ("Il mange de la soupe.", "Il mange la soupe.", ["partitive or indefinite article"]),
        ("Il a de grands chats.", "Il a des grands chats.", ["partitive or indefinite article"]),
        ("Il lit un livre.", "Il lit le livre.", ["determiner"]),
        ("Il lit mon livre.", "Il lit son livre.", ["possessor"]),
        ("Il a deux chats.", "Il a douze chats.", ["number word"]),
        ("Je la vois.", "Je le vois.", ["clitic"]),
        ("Je la vois.", "Je vois la.", ["clitic"]),
        ("Il lui parle.", "Il le parle.", ["clitic"]),
        ("Nous nous réveillons.", "Nous réveillons.", ["clitic"]),
        ("Elle est arrivée.", "Il est arrivé.", ["subject pronoun"]),
        ("Vous lavez votre chemise, madame.", "Tu laves ta chemise, madame.", ["politeness (tu/vous)"]),
        ("Elle est arrivée hier.", "Elle a arrivé hier.", ["tense or auxiliary"]),
        ("Elle ne va pas la manger.", "Elle ne la mange pas.", ["tense or auxiliary"]),
        ("Elle va aller au marché.", "Elle va au marché.", ["tense or auxiliary"]),
        ("Est-ce que tu aimes le thé ?", "Tu aimes le thé.", ["question form"]),
        ("Où est le chat ?", "Quand est le chat ?", ["question form"]),
        ("Il revient de la plage.", "Il revient la plage.", ["preposition"]),
        ("Le chat de Marie dort.", "Le chat à Marie dort.", ["preposition"]),
        ("La femme qui dort est triste.", "La femme que dort est triste.", ["relative pronoun"]),
        ("Elle est triste et elle pleure.", "Elle est triste mais elle pleure.", ["conjunction"]),
        ("Elle a vu le camion vert.", "Elle a vu la voiture verte.", ["wrong word"]),
        ("Elle a vu le chat.", "Elle a vu le chamion.", ["unknown word"]),
        ("Elle a vu le chat noir.", "Elle a vu le chat.", ["words missing"]),
        ("Le chat qui dort ne voit pas la souris.", "Le chat qui dort", ["words missing"]),
        ("Elle a vu le chat.", "Elle a vu le petit chat.", ["words added"]),
        ("Elle a vu le chat.", "Elle a vu le chat vu le chat.", ["repetition"]),
        ("Le chat, qui est noir, dort.", "Le chat qui est noir dort.", ["capitals or punctuation"]),
    ],
)  # fmt: skip
def test_errors_have_the_name_of_their_rule(reference: str, hypothesis: str, names: list[str]) -> None:
    assert broken_rules(hypothesis, reference, FORMS) == names


def rubbish(random: Random) -> Iterator[str]:
    words = FORMS.words(" ".join(SENTENCES[:50]))
    yield from (
        "",
        " ",
        "'",
        "''l'",
        "---",
        "l' l' l'",
        "\x00\n",
        "É" * 50,
        "de le " * 40,
        "🐈 ½ ² ١ _",
        "qui que",
        "İ'",
    )
    for _ in range(150):
        yield " ".join(random.choices(words, k=random.randrange(1, 25)))
        yield "".join(random.choices("aàéœ'’-_ .,?!0½\u0300\U0001f408LTle", k=random.randrange(1, 30)))


def test_rubbish_has_names_of_the_list_too() -> None:
    random = Random(5)
    for text in rubbish(random):
        for hypothesis, reference in ((text, random.choice(SENTENCES)), (random.choice(SENTENCES), text)):
            names = broken_rules(hypothesis, reference, FORMS)
            assert names
            assert rules(names) <= set(RULES)
            order = [RULES.index(name.partition(", distance ")[0]) for name in names]
            assert order == sorted(order)
            assert len(set(names)) == len(names)
            assert names == broken_rules(hypothesis, reference, FORMS)


def test_a_tally_counts_sentences() -> None:
    pairs = [
        ("Les chats noir et les chats noir dorment.", "Les chats noirs et les chats noirs dorment."),
        ("Les chats noir dort.", "Les chats noirs dorment."),
        ("Le chat dort.", "Le chat dort."),
    ]
    counts = tally(pairs, FORMS)
    assert counts == {"adjective agreement, distance 1": 2, "subject-verb agreement, distance 2": 1}
