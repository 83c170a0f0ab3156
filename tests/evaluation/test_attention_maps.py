from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.image import imread

from entente.evaluation.attention_maps import AttentionMap, attention_maps, draw, readable
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build
from entente.text.subwords import Subwords, learn

LAYERS, HEADS, VOCABULARY = 2, 2, 300
OPTIONS = {
    "kind": "transformer",
    "width": 16,
    "hidden": 32,
    "heads": HEADS,
    "encoder_layers": LAYERS,
    "decoder_layers": LAYERS,
    "dropout": 0.1,
    "max_length": 64,
    "encoder_positions": {"kind": "sinusoidal"},
    "decoder_positions": {"kind": "sinusoidal"},
    "encoder_attention": {"kind": "scaled_dot_product"},
    "decoder_attention": {"kind": "scaled_dot_product"},
    "cross_attention": {"kind": "scaled_dot_product"},
    "decoder_layer": {"kind": "standard"},
    "feed_forward": {"kind": "relu"},
    "residual": {"kind": "post_norm"},
}


@pytest.fixture(scope="module")
def network() -> Seq2Seq:
    torch.manual_seed(0)
    return build(OPTIONS, VOCABULARY).eval()


@pytest.fixture(scope="module")
def subwords(tmp_path_factory: pytest.TempPathFactory) -> Subwords:
    folder = tmp_path_factory.mktemp("subwords")
    text = folder / "text"
    text.write_text("The cat sleeps.\nLe chat dort.\n" * 5, encoding="utf-8")
    learn([text], folder, kind="bpe", vocabulary=VOCABULARY, threads=1, sample=1000)
    return Subwords(folder / "subwords.model")


def small(kind: str, weights: Sequence[Sequence[float]]) -> AttentionMap:
    return AttentionMap(kind, ["a", "b"], ["c", "$d$"], np.array([[weights]], np.float32))


def test_maps_pair_words_with_weights(network: Seq2Seq, subwords: Subwords) -> None:
    source, target = subwords.encode(["The cat sleeps.", "Le chat."])
    encoder, decoder, cross = attention_maps(network, subwords, source, target)
    for attention in (encoder, decoder, cross):
        assert attention.weights.shape == (LAYERS, HEADS, len(attention.rows), len(attention.columns))
    assert encoder.rows == encoder.columns == cross.columns
    assert (decoder.rows[0], cross.rows[-1], cross.columns[-1]) == ("<s>", "</s>", "</s>")
    assert decoder.rows[1:] == cross.rows[:-1]


def test_an_rnn_has_a_map_of_its_attention_over_the_encoder_alone(subwords: Subwords) -> None:
    recurrent = {"kind": "recurrent", "width": 16, "encoder_layers": 1, "decoder_layers": 1, "dropout": 0.0}
    recurrent |= {"max_length": 64, "cell": {"kind": "gru"}, "attention": {"kind": "additive"}}
    source, target = subwords.encode(["The cat sleeps.", "Le chat."])
    (cross,) = attention_maps(build(recurrent, VOCABULARY).eval(), subwords, source, target)
    assert cross.kind == "cross_attention"
    assert (
        cross.weights.shape == (1, 1, len(target) + 1, len(source) + 1) == (1, 1, len(cross.rows), len(cross.columns))
    )
    np.testing.assert_allclose(cross.weights.sum(-1), 1, rtol=1e-5)


def test_words_are_written_for_a_reader() -> None:
    assert readable(["<s>", "▁The", "▁cat", "s", ",", "▁", "<0xE2>", "'", "</s>"]) == [
        "⟨start⟩", "The", "cat", "·s", ",", "␣", "<0xE2>", "'", "⟨end⟩",
    ]  # fmt: skip


def test_the_same_map_is_the_same_file_whatever_the_style_in_force(tmp_path: Path) -> None:
    attention = small("cross_attention", [[0.25, 0.75], [1.0, 0.0]])
    draw(attention, "A title with $mathematics$", tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 20, "savefig.dpi": 30, "image.cmap": "gray"}):
        draw(attention, "A title with $mathematics$", tmp_path / "two.png")
    one, two = ((tmp_path / name).read_bytes() for name in ("one.png", "two.png"))
    assert one == two
    assert b"Software" not in one
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_what_the_mask_hides_is_grey_and_what_is_merely_0_is_not(tmp_path: Path) -> None:
    draw(small("decoder_self_attention", [[1.0, 0.0], [0.5, 0.5]]), "", tmp_path / "masked.png")
    draw(small("decoder_self_attention", [[1.0, 1e-9], [0.5, 0.5]]), "", tmp_path / "seen.png")
    masked, seen = (imread(tmp_path / name)[..., :3] for name in ("masked.png", "seen.png"))
    changed = (masked != seen).any(axis=-1)
    colours = masked[changed]
    assert changed.sum() > 1000
    assert np.ptp(colours, axis=-1).max() < 0.2  # greys, where light yellow was


def test_a_row_for_each_layer_and_a_panel_for_each_head_after_their_mean(tmp_path: Path) -> None:
    def size(layers: int, heads: int) -> tuple[int, int]:
        words = [f"w{number}" for number in range(40)]
        weights = np.full((layers, heads, 9, 40), 1 / 40, np.float32)
        draw(AttentionMap("cross_attention", words[:9], words, weights), "", tmp_path / "map.png")
        high, wide = imread(tmp_path / "map.png").shape[:2]
        return high, wide

    (one_high, one_wide), (two_high, three_wide) = size(1, 1), size(2, 2)
    assert 1.5 < two_high / one_high < 2
    assert 2.5 < three_wide / one_wide < 3
