"""Networks, and the pieces that they read, as a person may describe them."""

from pathlib import Path
from typing import Any

import pytest

from tests.rubbish.configurations import GONE, NAN, changed, refuse
from tests.rubbish.table import table


@table(
    ("a width below 0", {"model.width": -4}, r"model\.width is -4; it should be at least 1"),
    ("no width", {"model.width": 0}, r"model\.width is 0; it should be at least 1"),
    ("a width in words", {"model.width": "wide"}, r"model\.width is 'wide'; it should be a valid integer"),
    ("a width as text", {"model.width": "128"}, r"model\.width is '128'; it should be a valid integer"),
    ("half a width", {"model.width": 64.5}, r"model\.width is 64\.5; it should be a valid integer"),
    ("a width of null", {"model.width": None}, r"model\.width is None; it should be a valid integer"),
    ("two widths", {"model.width": [64, 128]}, r"model\.width is \[64, 128\]; it should be a valid integer"),
    ("a width that no memory holds", {"model.width": 10**12}, r"model\.width is 1000000000000; it should be at most"),
    ("a width that heads do not divide", {"model.heads": 3}, "width 128 does not divide into 3 heads; choose heads"),
    ("no head", {"model.heads": 0}, r"model\.heads is 0; it should be at least 1"),
    ("yes for heads", {"model.heads": True}, r"model\.heads is True; it should be a valid integer"),
    ("nothing hidden", {"model.hidden": 0}, r"model\.hidden is 0; it should be at least 1"),
    ("dropout of more than all", {"model.dropout": 1.5}, r"model\.dropout is 1\.5; it should be less than 1"),
    ("dropout of all", {"model.dropout": 1}, r"model\.dropout is 1; it should be less than 1"),
    ("dropout below 0", {"model.dropout": -0.1}, r"model\.dropout is -0\.1; it should be at least 0"),
    ("dropout that is no number", {"model.dropout": NAN}, r"model\.dropout is nan; it should be a finite number"),
    (
        "dropout of all attention",
        {"model.attention_dropout": 1},
        r"model\.attention_dropout is 1; it should be less than 1",
    ),
    (
        "dropout in words",
        {"model.feed_forward_dropout": "none"},
        r"model\.feed_forward_dropout is 'none'; it should be a valid number",
    ),
    (
        "embeddings shared in words",
        {"model.shared_embeddings": "no"},
        r"model\.shared_embeddings is 'no'; it should be a valid boolean",
    ),
    ("layers below 0", {"model.encoder_layers": -1}, r"model\.encoder_layers is -1; it should be at least 0"),
    (
        "layers without end",
        {"model.decoder_layers": 10**9},
        r"model\.decoder_layers is 1000000000; it should be at most",
    ),
    ("room for no word", {"model.max_length": 0}, r"model\.max_length is 0; it should be at least 2"),
    (
        "a sentence of a library",
        {"model.max_length": 10**12},
        r"model\.max_length is 1000000000000; it should be at most",
    ),
    ("an unknown network", {"model.kind": "mamba"}, "model: unknown kind 'mamba'; there are recurrent, transformer"),
    ("a list of networks", {"model.kind": ["transformer"]}, r"model: unknown kind \['transformer'\]; there are"),
    ("no kind", {"model.kind": GONE}, "model: unknown kind None; there are recurrent, transformer"),
    ("no model", {"model": GONE}, "the configuration lacks model; conf/config.yaml has all groups"),
    ("a model in a word", {"model": "tiny"}, "model is 'tiny'; it should be a group of options"),
    ("a misspelt kind", {"model.feed_forward.kind": "rleu"}, "model.feed_forward: unknown kind 'rleu'; there are gelu"),
    (
        "an option without its kind",
        {"model.residual": "none"},
        "model.residual is 'none'; it should be a group of options",
    ),
    ("an option of another kind", {"model.feed_forward.slope": 3}, "model.feed_forward: relu has no option slope"),
    ("an option that is gone", {"model.heads": GONE}, "model lacks heads; conf/ has an example"),
    ("an option told twice", {"model.vocabulary": 70}, "model has no option vocabulary: that is known from elsewhere"),
    (
        "layers that nothing leaves",
        {"model.residual.kind": "none", "model.feed_forward.kind": "none"},
        "without a feed-forward network and without residuals nothing leaves a layer",
    ),
    (
        "rotations of half a pair",
        {"model.encoder_positions.kind": "rotary", "model.width": 12},
        r"rotary positions turn pairs of numbers.*choose model\.width and model\.heads",
    ),
    (
        "one head that looks both ways",
        {"model.encoder_positions.kind": "alibi", "model.heads": 1},
        "ALiBi over both sides gives half of the heads to each, but there are 1: choose an even number",
    ),
    ("a word of its own", {"model.cross_attention.kind": "identity"}, "a target word has no source word of its own"),
    ("a vocabulary below its symbols", {"subwords.vocabulary": 2}, r"model\.vocabulary is 2; it should be at least 4"),
    ("a vocabulary below 0", {"subwords.vocabulary": -5}, r"subwords\.vocabulary is -5; it should be at least 1"),
    ("pieces of another school", {"subwords.kind": "words"}, "subwords: unknown kind 'words'; there are bpe, unigram"),
    (
        "too few sentences to learn from",
        {"subwords.sample": 50},
        r"subwords\.sample is 50; it should be greater than 100",
    ),
    ("no thread", {"subwords.threads": 0}, r"subwords\.threads is 0; it should be at least 1"),
    ("no way to cut", {"segmentation.each": 0}, r"segmentation\.each is 0; choose at least 1"),
    (
        "one and a half ways to cut",
        {"segmentation.each": 1.5},
        r"segmentation\.each is 1\.5; it should be a valid integer",
    ),
    ("a text for texts", {"synthetic": "ours"}, r"synthetic is 'ours'; it should be a list"),
    ("nothing for texts", {"synthetic": None}, r"synthetic is None; it should be a list"),
    ("a text elsewhere", {"synthetic": ["../ours"]}, r"synthetic\.0 is '\.\./ours'"),
    (
        "a text twice",
        {"synthetic": ["ours", "ours"]},
        r"synthetic is \['ours', 'ours'\]; it should name each text once",
    ),
    ("more than any chance", {"segmentation.alpha": 2}, r"segmentation\.alpha is 2; choose a number from 0 to 1"),
)
def test_a_network(
    put_in: Any, said: str, default: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse(changed(default, put_in), said, monkeypatch, tmp_path)


@table(
    (
        "halves of an odd width",
        {"model.width": 7},
        "the encoder reads both ways, half of the width each: make width 7 even",
    ),
    ("a decoder of nothing", {"model.decoder_layers": 0}, r"model\.decoder_layers is 0; it should be at least 1"),
    ("an unknown cell", {"model.cell.kind": "sru"}, r"model\.cell: unknown kind 'sru'; there are gru, lstm"),
    ("heads of an RNN", {"model.heads": 4}, "model: recurrent has no option heads; it has vocabulary, width"),
)
def test_a_recurrent_network(
    put_in: Any, said: str, rnn: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse(changed(rnn, put_in), said, monkeypatch, tmp_path)
