from pathlib import Path

import pytest
import torch

from entente.evaluation.collapse import alike, collapse, rank
from entente.model.weights import build
from entente.text.subwords import Subwords
from tests.model.networks import options

SOURCES = ["I love you.", "The cat, which is fluffy, sleeps."]


def test_words_that_point_one_way_are_alike_and_of_rank_one() -> None:
    x = torch.arange(1.0, 6.0)[:, None] * torch.randn(1, 16)  # (S, D)
    assert alike(x) == pytest.approx(1.0)
    assert rank(x) == pytest.approx(1.0, abs=1e-3)


def test_words_at_right_angles_are_not_alike_and_of_full_rank() -> None:
    assert alike(torch.eye(5, 16)) == 0.0
    assert rank(torch.eye(5, 16)) == pytest.approx(5.0)


def test_every_encoder_layer_is_measured_and_left_as_it_was(subwords_model: Path) -> None:
    subwords = Subwords(subwords_model)
    network = build(options(), len(subwords)).eval()
    found = collapse(network, subwords, SOURCES)
    places = ("encoder.1", "encoder.2", "memory")
    assert set(found) == {f"{place}/{figure}" for place in places for figure in ("cosine", "rank_share")}
    assert all(0 < found[f"{place}/rank_share"] <= 1 for place in places)
    assert not any(module._forward_hooks for module in network.modules())


def test_uniform_attention_alone_makes_all_words_one(subwords_model: Path) -> None:
    subwords = Subwords(subwords_model)
    changes = {"encoder_attention": {"kind": "uniform"}, "residual": {"kind": "none"}}
    network = build(options(**changes), len(subwords)).eval()
    assert collapse(network, subwords, SOURCES)["encoder.1/cosine"] == pytest.approx(1.0, abs=1e-4)
