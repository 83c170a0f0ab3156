from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import Tensor

from entente.evaluation.attention_maps import AttentionMap, attention_maps, draw, observe, readable
from entente.model.attention import ScaledDotProduct
from entente.model.masks import padding_mask
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build
from entente.text.subwords import PAD, Subwords, learn

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
    "attention": {"kind": "scaled_dot_product"},
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


@pytest.fixture
def sentences() -> tuple[Tensor, Tensor, Tensor]:
    src = torch.tensor([[5, 6, 7, 8, 3], [9, 10, 3, PAD, PAD]])
    return src, padding_mask(src, PAD), torch.tensor([[2, 11, 12, 13], [2, 14, 15, 16]])


def small(kind: str, weights: Sequence[Sequence[float]]) -> AttentionMap:
    return AttentionMap(kind, ["a", "b"], ["c", "$d$"], np.array([[weights]], np.float32))


def test_the_observer_sees_every_core_by_module_name(
    network: Seq2Seq, sentences: tuple[Tensor, Tensor, Tensor]
) -> None:
    with observe(network) as seen:
        network(*sentences)
    stacks = {"encoder": ["self_attention"], "decoder": ["self_attention", "cross_attention"]}
    assert set(seen) == {
        f"{stack}.{layer}.{attention}.core"
        for stack, attentions in stacks.items()
        for layer in range(LAYERS)
        for attention in attentions
    }
    assert seen["decoder.0.cross_attention.core"].shape == (2, HEADS, 4, 5)


def test_rows_sum_to_1_and_masked_keys_get_0(network: Seq2Seq, sentences: tuple[Tensor, Tensor, Tensor]) -> None:
    with observe(network) as seen:
        network(*sentences)
    for weights in seen.values():
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    for name in ("encoder.1.self_attention.core", "decoder.1.cross_attention.core"):
        assert (seen[name][1, :, :, 3:] == 0).all()  # padding
        assert (seen[name][0] > 0).all()
    assert (seen["decoder.1.self_attention.core"].triu(1) == 0).all()  # words to come


def test_visible_weights_times_values_are_what_the_fused_kernel_returns(
    network: Seq2Seq, sentences: tuple[Tensor, Tensor, Tensor]
) -> None:
    given: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str):  # type: ignore[no-untyped-def]
        return lambda core, inputs, output: given.update({name: (inputs[2], output)})

    cores = [(name, core) for name, core in network.named_modules() if isinstance(core, ScaledDotProduct)]
    handles = [core.register_forward_hook(keep(name)) for name, core in cores]
    with observe(network) as seen:
        network(*sentences)
    for handle in handles:
        handle.remove()
    for name, (values, output) in given.items():
        torch.testing.assert_close(seen[name] @ values, output, rtol=1e-5, atol=1e-6)


def test_observing_changes_nothing_and_leaves_no_hook(
    network: Seq2Seq, sentences: tuple[Tensor, Tensor, Tensor]
) -> None:
    before = network(*sentences)
    with observe(network) as seen:
        during = network(*sentences)
    kept = dict(seen)
    assert torch.equal(before, during)
    network(*sentences)
    assert all(seen[name] is weights for name, weights in kept.items())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_maps_pair_words_with_weights(network: Seq2Seq, subwords: Subwords) -> None:
    source, target = subwords.encode(["The cat sleeps.", "Le chat."])
    encoder, decoder, cross = attention_maps(network, subwords, source, target)
    for attention in (encoder, decoder, cross):
        assert attention.weights.shape == (LAYERS, HEADS, len(attention.rows), len(attention.columns))
    assert encoder.rows == encoder.columns == cross.columns
    assert (decoder.rows[0], cross.rows[-1], cross.columns[-1]) == ("⟨start⟩", "⟨end⟩", "⟨end⟩")
    assert decoder.rows[1:] == cross.rows[:-1]


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
