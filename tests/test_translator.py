"""`from entente import Translator`: what a library's user does with a model."""

from pathlib import Path

import pytest
import torch

import entente
from entente import Decoding, Translator
from entente.errors import EntenteError
from entente.model import weights
from entente.text.subwords import Subwords
from tests.model.networks import options

SENTENCE = "The cat, which is fluffy, sleeps."
NETWORK = options(hidden=32, heads=2, encoder_layers=1, decoder_layers=2, max_length=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, subwords_model: Path) -> Path:
    """A complete model: a Transformer that has learnt nothing."""
    made = tmp_path_factory.mktemp("model")
    (made / "subwords.model").write_bytes(subwords_model.read_bytes())
    subwords = Subwords(subwords_model)
    torch.manual_seed(3)
    config = {"network": NETWORK, "vocabulary": len(subwords), "subwords": subwords.digest}
    weights.save(weights.build(NETWORK, len(subwords)), config, made)
    return made


def test_it_attends_to_what_it_translates(folder: Path) -> None:
    translator = Translator.load(str(folder), "cpu", Decoding(max_length_factor=1, max_length_offset=4))
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


def test_what_is_too_long_to_look_at_is_an_error_after_what_came_before(folder: Path) -> None:
    seen = Translator.load(folder, "cpu").attend(["I love you.", " ".join(["cat."] * 80)])
    assert next(seen).sentence == "I love you."
    with pytest.raises(EntenteError, match="reads at most 64"):
        next(seen)


def test_the_package_has_these_names_and_no_others() -> None:
    assert entente.__all__ == ["Decoding", "Translator"]
    with pytest.raises(AttributeError, match="Interpreter"):
        entente.Interpreter  # noqa: B018
