"""Translations as files: with the sentences of the corpus and without them, the same figures."""

from pathlib import Path

import numpy as np
import pytest

from entente.evaluation.report import write_translations
from entente.evaluation.translations import read_translations, translations, withhold

SOURCES = ["I love you.", "The black cat sleeps on the old bed.", 'He says "yes".']
HYPOTHESES = ["Je t'aime.", "Le chat noir dort\u2028sur le lit.", 'Il dit "oui".']


@pytest.mark.parametrize("others", [[], ["Je vous aime."]])
def test_what_is_left_of_a_table_counts_the_same_without_a_sentence_of_the_corpus(
    tmp_path: Path, others: list[str]
) -> None:
    references = [["Je t'aime !", *others], ["Le chat noir dort sur le vieux lit."], ["Il dit « oui »."]]
    table = tmp_path / "test.tsv"
    write_translations(table, SOURCES, HYPOTHESES, references)
    before = read_translations(table)
    expected = translations(SOURCES, HYPOTHESES, references)
    withhold(table)
    after = read_translations(table)
    for own in (before, after):
        assert (own.asked, own.words, own.hypotheses) == (expected.asked, [3, 8, 3], HYPOTHESES)
        assert np.array_equal(own.first, expected.first)
        assert np.array_equal(own.every, expected.every)
    assert (after.first is after.every) == (not others)
    assert (tmp_path / "test.fr").read_text(encoding="utf-8") == "".join(f"{one}\n" for one in HYPOTHESES)
    left = table.read_text(encoding="utf-8")
    assert not [
        word
        for text in [*SOURCES, *(text for own in references for text in own)]
        for word in text.split()
        if word in left
    ]
    withhold(table)
    assert table.read_text(encoding="utf-8") == left


def test_a_sentence_with_another_reference_is_another() -> None:
    one, other = (translations(["Yes."], ["Oui."], [[text]]) for text in ("Oui.", "Si."))
    assert one.asked != other.asked
