"""Laws of the embedded corpus: a function from English to French, right French, splits that share nothing."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entente.errors import EntenteError
from entente.text.grammar import Expansion, write_corpus
from entente.text.grammar.composition import draw
from entente.text.grammar.contrasts import CONTRASTS
from entente.text.grammar.expansion import SPLITS, Seen, combinations, held_out, translate
from entente.text.grammar.french import sandhi
from entente.text.grammar.lexicon import Adjective, Noun, Verb, french_present, read_lexicon
from entente.text.grammar.rules import TITLES, read_grammar, read_rule
from entente.text.grammar.syntax import (
    Agreement,
    Clause,
    Determiner,
    NounPhrase,
    Pronoun,
    Relative,
    Sentence,
    Undetermined,
)

GRAMMAR = Path(__file__).parents[2] / "data" / "grammar"
SIZES = {"pairs": 8_000, "val": 200, "test": 300, "compositional": 200, "longer": 200, "probes": 100}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grammar")
    counts = write_corpus(GRAMMAR, folder, **SIZES, seed=7)
    assert counts["train"] == SIZES["pairs"]
    return folder


def pairs(folder: Path, split: str) -> list[tuple[str, str]]:
    sides = [(folder / f"{split}.{language}").read_text(encoding="utf-8").splitlines() for language in ("en", "fr")]
    return list(zip(*sides, strict=True))


def probes(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "probes.jsonl").read_text(encoding="utf-8").splitlines()]


def everything(folder: Path) -> Iterator[tuple[str, str]]:
    for split in SPLITS:
        yield from pairs(folder, split)
    for probe in probes(folder):
        yield probe["source"], probe["target"]


def test_every_split_has_the_size_asked_for(corpus: Path) -> None:
    sizes = {split: len(pairs(corpus, split)) for split in SPLITS}
    assert sizes == {"train": 8_000, "val": 200, "test": 300, "compositional": 200, "longer": 200}
    assert sorted(path.name for path in corpus.iterdir()) == sorted(
        ["probes.jsonl", *(f"{split}.{language}" for split in SPLITS for language in ("en", "fr"))]
    )


def test_no_english_side_stands_twice(corpus: Path) -> None:
    sources = Counter(source for source, _ in everything(corpus))
    assert [source for source, count in sources.items() if count > 1] == []


def test_english_alone_determines_french() -> None:
    """Drawn with repetition: the same English, drawn again, has the same French."""
    expansion = Expansion(GRAMMAR, seed=3)
    french: dict[str, str] = dict(expansion.grammar.always)
    again = 0
    for section in ("training", "longer", "probes"):
        for name, rule in expansion.grammar.rules[section].items():
            sampler = expansion.sampler(name)
            for _ in range(150):
                try:
                    source, target = translate(draw(sampler, rule))
                except Undetermined:
                    continue
                again += source in french
                assert french.setdefault(source, target) == target, source
    assert again > 50  # the law was put to the test


def test_a_second_french_side_is_refused() -> None:
    seen = Seen()
    assert seen.new("You sleep.", "Tu dors.")
    assert not seen.new("You sleep.", "Tu dors.")
    with pytest.raises(EntenteError, match="two French sides"):
        seen.new("You sleep.", "Vous dormez.")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("I love you.", "Je t'aime."),
        ("I see her.", "Je la vois."),
        ("I saw her.", "Je l'ai vue."),
        ("She is not happy.", "Elle n'est pas heureuse."),
        ("The cat sleeps.", "Le chat dort."),
        ("The cat, which is fluffy, sleeps.", "Le chat, qui est duveteux, dort."),
        ("The cat chased the dog.", "Le chat a poursuivi le chien."),
        ("The dog chased the cat.", "Le chien a poursuivi le chat."),
        ("She went to the market.", "Elle est allée au marché."),
        ("Thank you.", "Merci."),
        ("Good morning, madam.", "Bonjour, madame."),
    ],
)
def test_first_sentences_of_a_learner_are_in_training(corpus: Path, source: str, target: str) -> None:
    assert (source, target) in pairs(corpus, "train")


def noun(english: str) -> Noun:
    return next(noun for noun in LEXICON.nouns if noun.en[0] == english)


def verb(french: str) -> Verb:
    return next(verb for verb in LEXICON.verbs if verb.fr == french)


def adjective(english: str) -> Adjective:
    return next(adjective for adjective in LEXICON.adjectives if adjective.en == english)


LEXICON = read_lexicon(GRAMMAR)
THE = Determiner("the")
FIRST = Pronoun(Agreement(1, False, None))
YOU = Pronoun(Agreement(2, False, None))
SHE = Pronoun(Agreement(3, False, True))
FLUFFY = Relative(Clause(None, LEXICON.be, "present", predicate=adjective("fluffy")), aside=True)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (Sentence((Clause(FIRST, verb("aimer"), "present", object=YOU),)), ("I love you.", "Je t'aime.")),
        (
            Sentence((Clause(FIRST, verb("aimer"), "present", object=YOU),), address=TITLES[1]),
            ("I love you, madam.", "Je vous aime, madame."),
        ),
        (
            Sentence((Clause(YOU, verb("aller"), "past", "not", NounPhrase(THE, noun("market"))),), address=TITLES[2]),
            ("You did not go to the market, ladies.", "Vous n'êtes pas allées au marché, mesdames."),
        ),
        (Sentence((Clause(FIRST, verb("voir"), "past", object=SHE),)), ("I saw her.", "Je l'ai vue.")),
        (
            Sentence((Clause(SHE, LEXICON.be, "present", "not", predicate=adjective("happy")),)),
            ("She is not happy.", "Elle n'est pas heureuse."),
        ),
        (
            Sentence((Clause(NounPhrase(THE, noun("cat"), relative=FLUFFY), verb("dormir"), "present"),)),
            ("The cat, which is fluffy, sleeps.", "Le chat, qui est duveteux, dort."),
        ),
        (
            Sentence((Clause(NounPhrase(THE, noun("owl"), True, (adjective("old"),)), verb("réveiller"), "past"),)),
            ("The old owls woke up.", "Les vieux hiboux se sont réveillés."),
        ),
    ],
)
def test_trees_are_written_in_both_languages(sentence: Sentence, expected: tuple[str, str]) -> None:
    assert translate(sentence) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        Sentence((Clause(FIRST, LEXICON.be, "present", predicate=adjective("happy")),)),  # heureux or heureuse?
        Sentence((Clause(YOU, verb("aller"), "past", object=NounPhrase(THE, noun("market"))),)),  # allé or allée?
        Sentence((Clause(SHE, verb("voir"), "past", object=YOU),)),  # vu or vue?
        Sentence((Clause(FIRST, verb("lire"), "present", object=NounPhrase(THE, noun("book"))),)),  # now?
    ],
)
def test_what_the_english_leaves_open_is_not_said(sentence: Sentence) -> None:
    with pytest.raises(Undetermined):
        translate(sentence)


def test_probes_come_in_pairs_with_one_right_answer(corpus: Path) -> None:
    found = probes(corpus)
    counts = Counter(probe["phenomenon"] for probe in found)
    assert set(counts) == set(CONTRASTS)
    assert min(counts.values()) >= 100
    for one, other in zip(found[::2], found[1::2], strict=True):
        assert one["phenomenon"] == other["phenomenon"]
        assert one["source"] != other["source"]
        assert one["target"] != other["target"] or one["foil"] != other["foil"]
    for probe in found:
        assert probe["foil"] != probe["target"]
        assert probe["longer"] == (probe["phenomenon"] == "relative_agreement_longer")


def test_foils_differ_in_the_phenomenon_alone(corpus: Path) -> None:
    """A foil that is not the partner's French keeps most of the words."""
    for probe in probes(corpus):
        if probe["phenomenon"] in ("adjective_agreement", "relative_agreement", "possessives", "passe_compose_etre"):
            target, foil = Counter(probe["target"].split()), Counter(probe["foil"].split())
            assert 1 <= sum((target - foil).values()) <= 2, probe


def test_held_out_combinations_are_for_the_compositional_test(corpus: Path) -> None:
    expansion = Expansion(GRAMMAR, seed=11)
    rules = expansion.grammar.rules["training"]
    sampler = expansion.sampler("check")
    drawn: dict[str, bool] = {}
    for rule in rules.values():
        for _ in range(100):
            try:
                sentence = draw(sampler, rule)
                drawn[translate(sentence)[0]] = any(map(held_out, combinations(sentence)))
            except Undetermined:
                continue
    trained = {source for split in ("train", "val", "test") for source, _ in pairs(corpus, split)}
    always = set(expansion.grammar.always)
    assert [source for source, held in drawn.items() if held and source in trained - always] == []
    assert not any(drawn[source] is False for source, _ in pairs(corpus, "compositional") if source in drawn)
    assert sum(drawn.values()) > 30


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w-]+'?", text.lower()))


def test_words_of_the_tests_occur_in_training(corpus: Path) -> None:
    known = set().union(*(words(f"{source} {target}") for source, target in pairs(corpus, "train")))
    for split in ("val", "test", "compositional"):
        asked = [word for source, _ in pairs(corpus, split) for word in words(source)]
        assert sum(word not in known for word in asked) <= len(asked) / 500


def test_longer_is_longer_than_training(corpus: Path) -> None:
    def clauses(source: str) -> int:
        return len(re.findall(r"\b(who|whom|which|that|and|but|because)\b", source))

    assert min(clauses(source) for source, _ in pairs(corpus, "longer")) >= 2
    mean = [
        sum(len(s.split()) for s, _ in pairs(corpus, split)) / len(pairs(corpus, split))
        for split in ("train", "longer")
    ]
    assert mean[1] > 1.7 * mean[0]


def test_lexicon_is_as_large_as_promised() -> None:
    lexicon = read_lexicon(GRAMMAR)
    assert len({noun.en[0] for noun in lexicon.nouns}) >= 150
    assert len({verb.fr for verb in lexicon.verbs}) >= 80
    assert len({adjective.en for adjective in lexicon.adjectives}) >= 60
    assert len(lexicon.numbers) == 20


def test_every_word_of_the_lexicon_is_trained(corpus: Path) -> None:
    seen = set().union(*(words(source) for source, _ in pairs(corpus, "train")))
    lexicon = read_lexicon(GRAMMAR)
    assert [noun.en[0] for noun in lexicon.nouns if not {noun.en[0], noun.en[1]} & seen] == []
    assert [adjective.en for adjective in lexicon.adjectives if adjective.en.lower() not in seen] == []
    assert [name.text for name in lexicon.names if name.text.lower() not in seen] == []


UNFRENCH = {
    "elision": r"\b(?:je|me|te|se|le|la|de|ne|que) (?!hibou|hérisson|huit\b|onze\b)[aeiouàâéèêëîïôœh]",
    "contraction": r"\b(?:de|à) les? (?![aeiouéèêœh]\w*r\b)",
    "si il": r"\bsi ils?\b",
    "beau before a vowel": r"\b(?:beau|nouveau|vieux) (?:arbre|homme|hôtel|hôpital|âne|éléphant|oiseau|oncle|acteur)\b",
    "ce before a vowel": r"\bce (?:arbre|homme|hôtel|âne|enfant|oiseau|œuf|ours)\b",
    "ma before a vowel": r"\b(?:ma|ta|sa) [aeiouéèêœ]",
    "spaces": r"  | [,.]|,,|' | '|\s$|^\s",
    "question mark": r"[^ ][?!]",
    "typographic apostrophe or a mark of the lexicon": "[’*]",
}


@pytest.mark.parametrize("law", UNFRENCH)
def test_no_french_side_breaks_a_law(corpus: Path, law: str) -> None:
    assert [target for _, target in everything(corpus) if re.search(UNFRENCH[law], target, re.IGNORECASE)] == []


def test_des_before_an_adjective_is_de(corpus: Path) -> None:
    """De beaux chats; des stands before an adjective only for de + les (près des beaux châteaux)."""
    adjectives = "beaux|belles|petits|petites|vieux|vieilles|grands|grandes|jolis|jolies|jeunes|bons|bonnes"
    leaders = ("près", "loin", "côté", "peur", "besoin", "revien", "reven", "sor")
    for _, target in everything(corpus):
        for match in re.finditer(rf"(\S+)(?: pas| plus)? des (?:{adjectives})\b", target):
            assert match[1].startswith(leaders), target


def test_sentences_begin_and_end_as_sentences_do(corpus: Path) -> None:
    for source, target in everything(corpus):
        assert re.fullmatch(r"[A-Z][A-Za-z' ,-]*[.?!]", source), source
        assert re.fullmatch(r"[A-ZÉÀ][a-zA-Zàâçéèêëîïôûùœ' ,-]*(?:\.| \?| !)", target), target
        assert source[-1] == target[-1]


def test_sandhi_elides_and_contracts() -> None:
    assert sandhi(["je", "aime", "le", "arbre"]) == ["j'", "aime", "l'", "arbre"]
    assert sandhi(["de", "le", "jardin"]) == ["du", "jardin"]
    assert sandhi(["de", "le", "arbre"]) == ["de", "l'", "arbre"]
    assert sandhi(["à", "les", "enfants"]) == ["aux", "enfants"]
    assert sandhi(["le", "*hibou"]) == ["le", "*hibou"]
    assert sandhi(["il", "ne", "y", "a"]) == ["il", "n'", "y", "a"]


def test_regular_verbs_keep_their_soft_g() -> None:
    assert french_present("manger") == ("mange", "manges", "mange", "mangeons", "mangez", "mangent")


def test_same_seed_same_corpus_and_another_seed_another(tmp_path: Path) -> None:
    small = {"pairs": 800, "val": 20, "test": 20, "compositional": 20, "longer": 20, "probes": 4}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_corpus(GRAMMAR, tmp_path / name, **small, seed=seed)
    files = [path.name for path in sorted((tmp_path / "a").iterdir())]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    assert all((tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes() for name in files)


def test_more_than_the_rules_have_is_refused(tmp_path: Path) -> None:
    poor = poor_grammar(tmp_path)
    with pytest.raises(EntenteError, match="ask for fewer"):
        write_corpus(poor, tmp_path / "out", pairs=10**6, val=0, test=0, compositional=0, longer=0, probes=0, seed=1)
    assert not (tmp_path / "out" / "train.en").exists()


def poor_grammar(folder: Path) -> Path:
    """A grammar whose only training rule is short."""
    for path in GRAMMAR.glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())
    text = (folder / "rules.yaml").read_text(encoding="utf-8")
    head, tail = text.split("\ntraining:\n")[0], text[text.index("\nlonger:\n") :]
    only = "  whereabouts: {frame: {location: 1}, subject: {pronoun: 1}, mood: {where: 1}, tense: {present: 1}}\n"
    (folder / "rules.yaml").write_text(f"{head}\ntraining:\n{only}{tail}", encoding="utf-8")
    return folder


def test_bad_grammar_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match=r"rules\.yaml"):
        read_grammar(tmp_path)
    with pytest.raises(EntenteError, match="unknown"):
        read_rule("odd", {"wieght": 1}, {"weight": 1})
    poor_grammar(tmp_path)
    (tmp_path / "nouns.yaml").write_text("- is: [person]\n  nouns:\n    - {en: cat, fr: chat, gender: n}\n")
    with pytest.raises(EntenteError, match="gender"):
        read_grammar(tmp_path)
    for broken in ("- {", "- 2001-99-99", "[" * 10_000):
        (tmp_path / "nouns.yaml").write_text(broken)
        with pytest.raises(EntenteError, match=r"nouns\.yaml"):
            read_grammar(tmp_path)


@pytest.mark.parametrize(("file", "content"), [("verbs", "[1]"), ("rules", "[1]"), ("phrases", "")])
def test_grammar_files_of_another_shape_are_named(tmp_path: Path, file: str, content: str) -> None:
    poor_grammar(tmp_path)
    (tmp_path / f"{file}.yaml").write_text(content)
    with pytest.raises(EntenteError, match="bad entry"):
        read_grammar(tmp_path)
