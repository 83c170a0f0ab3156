"""The attention page as a file: whole, safe, and true to what PyTorch computed."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entente.evaluation.attention_maps import attention_maps
from entente.pages import attention
from entente.pages.attention import ALIVE, LEVELS, lacking, write
from tests.model.networks import options, recurrent_options
from tests.pages.conftest import Make

SENTENCE = "The cat, which is fluffy, sleeps."


def data(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found
    return dict(json.loads(found[1]))


def test_attention_is_recorded_as_pytorch_computed_it(make: Make, page: Path) -> None:
    shown = make(options(feed_forward={"kind": "swiglu"}))
    write([shown], [SENTENCE], page)
    recorded = data(page)["models"][0]["recorded"][SENTENCE]
    [translation] = shown.translator.translate([SENTENCE])
    assert recorded["translation"] == translation
    subwords = shown.translator.subwords
    maps = attention_maps(shown.translator.network, subwords, *subwords.encode([SENTENCE, translation]))
    assert recorded["maps"].keys() == {one.kind for one in maps}
    for one in maps:
        own = recorded["maps"][one.kind]
        levels = np.frombuffer(base64.b64decode(own["weights"]), "<u2").reshape(own["shape"])
        np.testing.assert_allclose(levels / LEVELS, one.weights, atol=0.5 / LEVELS + 1e-6)


def test_weights_of_the_network_are_those_of_16_bits(make: Make, page: Path) -> None:
    shown = make(options())
    write([shown], [SENTENCE], page)
    tensors = data(page)["models"][0]["tensors"]
    state = shown.translator.network.state_dict()
    assert tensors.keys() == state.keys()
    for name, (shape, text) in tensors.items():
        found = np.frombuffer(base64.b64decode(text), "<f2").reshape(shape)
        assert (found == state[name].numpy()).all(), name


def test_the_page_is_whole_and_the_same_each_time(make: Make, page: Path) -> None:
    write([make(options())], [SENTENCE], page)
    before = page.read_text(encoding="utf-8")
    assert "{{" not in before
    assert not re.findall(r"(?:src|href)=(?!.data:)|@import|url\(|https?://(?!www\.w3\.org/2000/svg)", before)
    write([make(options())], [SENTENCE], page)
    assert page.read_text(encoding="utf-8") == before


def test_no_sentence_gets_out_of_the_data(make: Make, page: Path) -> None:
    nasty = "</script><script>alert(1)</script> {{style}} <!--"
    write([make(options())], [nasty], page)
    assert data(page)["sentences"] == [nasty]
    assert page.read_text(encoding="utf-8").count("<script") == 2


def test_a_network_that_is_too_large_for_a_page_is_recorded_alone(
    make: Make, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "MOST", 1000)
    write([make(options())], [SENTENCE], page)
    (model,) = data(page)["models"]
    assert "tensors" not in model
    assert re.search(r"This network \([\d,]+ parameters\) does not run", model["why"])


def test_a_network_that_the_page_does_not_know_is_recorded_alone(make: Make, page: Path) -> None:
    shown = make(recurrent_options())
    write([shown], [SENTENCE], page)
    (model,) = data(page)["models"]
    assert "tensors" not in model
    assert "recurrent" in model["why"]
    assert list(model["recorded"][SENTENCE]["maps"]) == ["cross_attention"]


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, ""),
        ({"encoder_positions": {"kind": "alibi"}}, "alibi"),
        ({"feed_forward": {"kind": "swiglu"}, "residual": {"kind": "other"}}, "swiglu, other"),
        ({"kind": "unmasked_transformer"}, "unmasked_transformer"),
    ],
)
def test_what_the_page_lacks_is_named(changes: dict[str, Any], missing: str) -> None:
    assert lacking(options(**changes)) == missing


def test_every_ingredient_of_the_page_is_one_of_the_network() -> None:
    made = options()
    assert ALIVE.keys() <= made.keys()
    assert not {key for key, value in made.items() if isinstance(value, dict)} - ALIVE.keys()
