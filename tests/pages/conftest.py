"""Models that have learnt nothing, for pages: their weights are as 16 bits hold them, so that pages lose nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from entente.decoding.settings import Decoding
from entente.model.weights import build
from entente.pages.attention import Shown
from entente.text import subwords
from entente.translator import Translator

TEXT = "I love you.\nThe cat, which is fluffy, sleeps.\nJe t'aime.\nLe chat, qui est duveteux, dort.\n"
KINDS = {"bpe": 300, "unigram": 290}  # subwords -> vocabulary
DECODING = Decoding(beam=4, length_penalty=0.6, max_length_factor=1.5, max_length_offset=3, batch_tokens=2048)

Make = Callable[..., Shown]


@pytest.fixture(scope="session")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, subwords.Subwords]:
    """Subwords of each kind."""
    found = {}
    for kind, vocabulary in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        (folder / "text").write_text(TEXT * 5, encoding="utf-8")
        subwords.learn([folder / "text"], folder, kind=kind, vocabulary=vocabulary, threads=1, sample=1000)
        found[kind] = subwords.Subwords(folder / "subwords.model")
    return found


@pytest.fixture(scope="session")
def make(vocabularies: Mapping[str, subwords.Subwords]) -> Make:
    """A function that makes a model of network options, and of a kind of subwords."""

    def shown(options: dict[str, Any], kind: str = "bpe", seed: int = 5) -> Shown:
        torch.manual_seed(seed)
        options = options | {"max_length": 200}  # what has learnt nothing writes long sentences
        network = build(options, KINDS[kind]).eval()
        network.load_state_dict({name: weight.half() for name, weight in network.state_dict().items()})
        translator = Translator(network, vocabularies[kind], DECODING, torch.device("cpu"))
        return Shown(f"{options['kind']} {kind}", translator, options)

    return shown


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.html"
