"""How much of a test set training had seen."""

from pathlib import Path

import pytest

from pipelines.overlap import parts

TRAINING = {"en": ["Go on!", "I am here.", "The cat sleeps."], "fr": ["Continue !", "Je suis là.", "Le chat dort."]}


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    for side, lines in TRAINING.items():
        (tmp_path / f"train.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def row(source: str, *references: str, hypothesis: str = "rien du tout, vraiment rien") -> dict[str, str]:
    own = {f"reference_{number}": text for number, text in enumerate([*references, ""], start=1)}
    return {"source": source, "hypothesis": hypothesis, **own}


def test_a_sentence_is_in_the_part_that_its_words_say_whatever_their_case_and_punctuation(prepared: Path) -> None:
    said = "Je suis ici en ce moment."
    rows = [
        row("go on.", "Vas-y, continue donc."),
        row("Here I am now.", said, "je suis là", hypothesis="Je suis là."),  # the second reference was seen
        row("The cat sleeps", "le chat dort"),
        row("The dog sleeps.", "Le chien dort."),
        row("Here I am.", "Me voici."),
    ]
    assert [found[:3] for found in parts(rows, prepared)] == [
        ["neither", "2", "40.0%"],
        ["the source", "1", "20.0%"],
        ["a reference", "1", "20.0%"],
        ["both", "1", "20.0%"],
        ["all", "5", "100.0%"],
    ]
    assert [found[3] for found in parts(rows, prepared)] == ["3.0", "2.0", "4.0", "3.0", "3.0"]
    assert float(parts(rows, prepared)[2][4]) < 50  # by the first reference


def test_parts_in_which_nothing_is_are_left_out(prepared: Path) -> None:
    assert [found[0] for found in parts([row("The dog sleeps.", "Le chien dort.")], prepared)] == ["neither", "all"]
