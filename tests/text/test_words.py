import pytest

from entente.errors import EntenteError
from entente.text.words import Word, find, labels, words

PIECES = ["▁The", "▁cat", ",", "▁which", "▁is", "▁fl", "uff", "y", ",", "▁sleeps", ".", "</s>"]


def texts(pieces: list[str]) -> list[str]:
    return [word.text for word in words(pieces)]


def test_pieces_make_up_words_and_punctuation() -> None:
    sentence = words(PIECES)
    assert [word.text for word in sentence] == [
        "The", "cat", ",", "which", "is", "fluffy", ",", "sleeps", ".", "⟨end⟩",
    ]  # fmt: skip
    assert find(sentence, "fluffy") == Word("fluffy", (5, 6, 7))
    assert find(sentence, "cat").positions == (1,)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["▁I", "▁don", "'", "t", "!"], ["I", "don't", "!"]),
        (["▁", "(", "▁", "É", "lodie", ")", ".", "▁Oui"], ["(", "Élodie", ").", "Oui"]),
        (["▁«", "oui", "»"], ["«", "oui", "»"]),
        (["▁fluff", "y,", "▁sleeps."], ["fluffy", "sleeps"]),  # a vocabulary may join them
        (["▁caf", "<0xC3>", "<0xA9>", "s"], ["cafés"]),
        (["▁", "<0xF0>", "<0x9F>", "<0x90>", "<0xB1>", "</s>"], ["🐱", "⟨end⟩"]),
        (["<s>", "a", "▁b", "▁"], ["⟨start⟩", "a", "b", "␣"]),
        ([], []),
    ],
)
def test_words_are_what_a_person_reads(pieces: list[str], expected: list[str]) -> None:
    assert texts(pieces) == expected
    assert [position for word in words(pieces) for position in word.positions] == list(range(len(pieces)))


def test_a_word_is_found_by_its_label_and_in_any_case() -> None:
    sentence = words(["▁The", "▁cat", "▁sees", "▁the", "▁dog", "#", "2"])
    assert labels(sentence) == ["The", "cat", "sees", "the#2", "dog#2"]
    assert [find(sentence, label) for label in labels(sentence)[:-1]] == sentence[:-1]
    assert find(sentence, "the") == find(sentence, "THE#1") == sentence[0]


def test_a_word_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(EntenteError, match=r"no word `cat#2`.*`The`, `cat`, `,`, .*`,#2`"):
        find(words(PIECES), "cat#2")
    with pytest.raises(EntenteError, match="its words are none"):
        find([], "cat")
