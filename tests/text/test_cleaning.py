import pytest

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


@pytest.mark.parametrize("sentence", UGLY)
def test_normalising_twice_changes_nothing_more(sentence: str) -> None:
    assert normalise(normalise(sentence)) == normalise(sentence)


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
