import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entente.text.cleaning import Cleaning, key, normalise

LIMITS = Cleaning(max_characters=100, max_words=5, max_ratio=2.0, ratio_slack=10)

UGLY = [
    "  Ça\u00a0va\u202f?\t",
    "e\u0301te\u0301",
    "un\u00adbreak\u200bable\ufeff",
    "a\x00b\x07c\x1b",
    "line\u2028separator\u2009thin",
    "\u202edrawkcab\u202c",
    "👨‍👩‍👧",
    "",
]
CLEAN = ["Ça va ?", "été", "unbreakable", "abc", "line separator thin", "drawkcab", "👨‍👩‍👧", ""]


@pytest.mark.parametrize(
    ("ugly", "clean"),
    list(zip(UGLY, CLEAN, strict=True)),
)
def test_normalised_text_has_one_form_and_plain_spaces(ugly: str, clean: str) -> None:
    assert normalise(ugly) == clean


@given(st.text())
def test_normalising_twice_changes_nothing_more(sentence: str) -> None:
    assert normalise(normalise(sentence)) == normalise(sentence)


@given(st.text())
def test_what_is_normalised_is_composed_has_no_control_character_and_did_not_grow(sentence: str) -> None:
    clean = normalise(sentence)
    assert unicodedata.is_normalized("NFC", clean)
    assert "Cc" not in {unicodedata.category(character) for character in clean}
    assert len(clean) <= len(unicodedata.normalize("NFC", sentence))


LETTERS = st.text(st.characters(categories=["L", "N"]), min_size=1).map(lambda word: unicodedata.normalize("NFC", word))
SPACES = st.text(st.sampled_from(" \t\u00a0\u202f\u2028\x85"), min_size=1)


@given(st.lists(st.tuples(SPACES, LETTERS)))
def test_words_stay_as_they_are_and_in_order(parted: list[tuple[str, str]]) -> None:
    assert normalise("".join(space + word for space, word in parted)) == " ".join(word for _, word in parted)


@given(st.text().map(normalise), st.text().map(normalise))
def test_neither_side_of_a_pair_is_the_first(one: str, other: str) -> None:
    assert LIMITS.complaint(one, other) == LIMITS.complaint(other, one)


def test_keys_ignore_case_and_punctuation_and_nothing_else() -> None:
    assert key("Go on!") == key("go on.") == key("« Go on »")
    assert key("L'été.") == key("l’été")
    assert key("l'été") != key("l'ete")
    assert key("Go on!") != key("Go in!")
    assert key("?!") != key("...")


@pytest.mark.parametrize(
    ("source", "target", "complaint"),
    [
        ("Hello.", "Bonjour.", None),
        ("", "Bonjour.", "empty"),
        ("Hello.", "", "empty"),
        ("x" * 100, "y" * 100, None),
        ("x" * 101, "y" * 100, "too_long"),
        ("a b c d e", "a b c d e", None),
        ("a b c d e", "a b c d e f", "too_long"),
        ("x" * 10, "y" * 30, None),
        ("x" * 10, "y" * 31, "unequal"),
        ("x" * 31, "y" * 10, "unequal"),
    ],
)
def test_limits_hold_to_the_last_character(source: str, target: str, complaint: str | None) -> None:
    assert LIMITS.complaint(source, target) == complaint
