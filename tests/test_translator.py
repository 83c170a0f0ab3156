"""`from entente import Translator`: what a library's user does with a model."""

from pathlib import Path

import pytest

import entente
from entente import Decoding, Translator
from entente.errors import EntenteError

SENTENCE = "The cat, which is fluffy, sleeps."


def test_it_attends_to_what_it_translates(model_folder: Path) -> None:
    translator = Translator.load(str(model_folder), "cpu", Decoding(max_length_factor=1, max_length_offset=4))
    first, second = translator.attend(["I love you.", f"  {SENTENCE} "])
    assert [first.translation, second.translation] == list(translator.translate(["I love you.", SENTENCE]))
    assert second.sentence == SENTENCE
    assert second.heard[1:] == second.written[:-1]
    shapes = {one.kind: one.weights.shape for one in second.maps}
    sources, targets = len(second.source), len(second.written)
    assert shapes == {
        "encoder_self_attention": (1, 2, sources, sources),
        "decoder_self_attention": (2, 2, targets, targets),
        "cross_attention": (2, 2, targets, sources),
    }
    for one in second.maps:
        assert one.weights.sum(-1) == pytest.approx(1, abs=1e-5)


def test_what_is_too_long_to_look_at_is_an_error_after_what_came_before(model_folder: Path) -> None:
    seen = Translator.load(model_folder, "cpu").attend(["I love you.", " ".join(["cat."] * 80)])
    assert next(seen).sentence == "I love you."
    with pytest.raises(EntenteError, match="reads at most 64"):
        next(seen)


def test_the_package_has_these_names_and_no_others() -> None:
    assert entente.__all__ == ["Decoding", "Translator"]
    with pytest.raises(AttributeError, match="Interpreter"):
        entente.Interpreter  # noqa: B018
