"""What every sequence-to-sequence network keeps, whatever it is made of: training and search rely on these laws."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from entente.model.attention import ATTENTIONS
from entente.model.cells import CELLS
from entente.model.feed_forward import FEED_FORWARDS
from entente.model.layers import RESIDUALS
from entente.model.positions import POSITIONS
from entente.model.recurrent_attention import RECURRENT_ATTENTIONS
from entente.model.seq2seq import Seq2Seq
from tests.model.networks import PAD, VOCABULARY, network, prefixes, sentences


def everywhere(attention: str) -> dict[str, Any]:
    return {f"{place}_attention": {"kind": attention} for place in ("encoder", "decoder", "cross")}


# Each ingredient in turn, and some that might get in each other's way.
KINDS: Mapping[str, dict[str, Any]] = {
    **{
        f"{place}-{kind}": {place: {"kind": kind}}
        for place in ("encoder_positions", "decoder_positions")
        for kind in POSITIONS
    },
    **{kind: everywhere(kind) for kind in ATTENTIONS if kind != "identity"},
    **{f"feed-forward-{kind}": {"feed_forward": {"kind": kind}} for kind in FEED_FORWARDS},
    **{f"residual-{kind}": {"residual": {"kind": kind}} for kind in RESIDUALS},
    "no-self-attention": {"encoder_attention": {"kind": "identity"}},
    "no-decoder-self-attention": {"decoder_attention": {"kind": "identity"}},
    "one-vector": {"cross_attention": {"kind": "uniform"}},
    "feed-forward-twice": {"decoder_layer": {"kind": "feed_forward_twice"}},
    "post-norm-rotary-additive": {
        "residual": {"kind": "post_norm"},
        "decoder_positions": {"kind": "rotary"},
        **everywhere("additive"),
    },
    "unmasked": {"kind": "unmasked_transformer"},
    "separate-embeddings": {"shared_embeddings": False},
    "recurrent-separate-embeddings": {"kind": "recurrent", "shared_embeddings": False},
    **{
        f"{cell}-{attention}": {"kind": "recurrent", "cell": {"kind": cell}, "attention": {"kind": attention}}
        for cell in CELLS
        for attention in RECURRENT_ATTENTIONS
    },
}


def every_kind(*, but: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """Run a test on `changes` of every kind but those named."""
    assert KINDS.keys() >= set(but)
    return pytest.mark.parametrize(
        "changes", [pytest.param(changes, id=name) for name, changes in KINDS.items() if name not in but]
    )


def scrambled(**changes: Any) -> Seq2Seq:
    """A network none of whose parameters is zero, as after training."""
    built = network(**changes)
    random = torch.Generator().manual_seed(4)
    for weight in built.parameters():
        weight.data.add_(torch.randn(weight.shape, generator=random), alpha=0.1)
    return built


@every_kind(but=("unmasked",))  # its earlier logits hang on later words
def test_step_by_step_equals_teacher_forcing(changes: dict[str, Any]) -> None:
    network = scrambled(**changes)
    src, src_mask = sentences([6, 3])
    tgt_in = prefixes(2, 5)
    logits = network(src, src_mask, tgt_in)
    state = network.start(network.encode(src, src_mask), src_mask)
    for position in range(5):
        stepped, state = network.step(tgt_in[:, position], state)
        torch.testing.assert_close(stepped, logits[:, position], rtol=1e-4, atol=1e-5)


@every_kind()
def test_state_keeps_the_selected_rows(changes: dict[str, Any]) -> None:
    network = scrambled(**changes)
    src, src_mask = sentences([6, 3, 5])
    tgt_in = prefixes(3, 4)
    rows = torch.tensor([2, 0, 0, 2])
    state = network.start(network.encode(src, src_mask), src_mask)
    for position in (0, 1):
        _, state = network.step(tgt_in[:, position], state)
    selected = state.select(rows)
    for position in (2, 3):
        of_all, state = network.step(tgt_in[:, position], state)
        of_selected, selected = network.step(tgt_in[rows, position], selected)
        torch.testing.assert_close(of_selected, of_all[rows])


@every_kind()
def test_hypotheses_side_by_side_are_read_as_if_alone(changes: dict[str, Any]) -> None:
    network = scrambled(**changes)
    src, src_mask = sentences([6, 3, 5])
    memory = network.encode(src, src_mask)
    whose = torch.tensor([0, 0, 1, 1, 2, 2])
    words = prefixes(6, 5)
    several = network.start(memory, src_mask).expand(2)
    alone = network.start(memory[whose], src_mask[whose])
    for position in range(5):
        if position == 2:
            rows = torch.tensor([1, 0, 3, 3, 4, 5])  # within each sentence
            several, alone, words = several.reorder(rows), alone.select(rows), words[rows]
        if position == 3:
            rows = torch.tensor([5, 4, 1, 1])  # one sentence leaves, the others change places
            several, alone, words = several.select(rows), alone.select(rows), words[rows]
        of_several, several = network.step(words[:, position], several)
        of_alone, alone = network.step(words[:, position], alone)
        torch.testing.assert_close(of_several, of_alone, rtol=1e-4, atol=1e-5)


@every_kind()
def test_padding_changes_nothing(changes: dict[str, Any]) -> None:
    network = scrambled(**changes)
    src, src_mask = sentences([5, 9, 7])
    alone, alone_mask = src[:1, :5], src_mask[:1, ..., :5]
    tgt_in = prefixes(3, 6)
    tgt_in[0, 4:] = PAD
    memory = network.encode(src, src_mask)
    torch.testing.assert_close(memory[:1, :5], network.encode(alone, alone_mask), rtol=1e-4, atol=1e-6)
    logits = network(src, src_mask, tgt_in)
    torch.testing.assert_close(logits[:1, :4], network(alone, alone_mask, tgt_in[:1, :4]), rtol=1e-4, atol=1e-5)
    spoilt = torch.where(src_mask[:, 0, 0, :, None], memory, 7.0)
    torch.testing.assert_close(network.decode(tgt_in, spoilt, src_mask), logits)


@every_kind(but=("unmasked",))  # it sees them: that is its point
def test_future_words_cannot_change_past_logits(changes: dict[str, Any]) -> None:
    network = scrambled(**changes)
    src, src_mask = sentences([5, 5])
    tgt_in = prefixes(2, 6)
    changed = tgt_in.clone()
    changed[:, 4:] = 9
    before, after = network(src, src_mask, tgt_in), network(src, src_mask, changed)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@every_kind()
def test_every_source_word_matters(changes: dict[str, Any]) -> None:
    src, src_mask = sentences([5])
    assert unheard(src, scrambled(**changes), src, src_mask, prefixes(1, 4)) == []


@every_kind(but=("no-decoder-self-attention",))  # it never sees earlier words
def test_every_past_word_matters(changes: dict[str, Any]) -> None:
    tgt_in = prefixes(1, 4)
    assert unheard(tgt_in[:, :-1], scrambled(**changes), *sentences([5]), tgt_in) == []


def unheard(words: Tensor, network: Seq2Seq, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> list[int]:
    """Positions in `words` (1, n), a view of src or tgt_in, where another word leaves the last logits as they are."""
    network = network.double()  # a word far away may matter little
    last = network(src, src_mask, tgt_in)[:, -1]
    found = []
    for position, word in enumerate(words[0].tolist()):
        words[0, position] = (word + 1) % VOCABULARY
        if torch.allclose(network(src, src_mask, tgt_in)[:, -1], last, rtol=0, atol=1e-4):
            found.append(position)
        words[0, position] = word
    return found


@every_kind()
def test_one_table_serves_source_target_and_output_unless_the_source_has_its_own(changes: dict[str, Any]) -> None:
    shapes = {name: weight.shape for name, weight in network(**changes).named_parameters()}
    own = [] if changes.get("shared_embeddings", True) else ["source_embedding.weight"]
    assert [name for name, shape in shapes.items() if VOCABULARY in shape] == ["embedding.weight", *own]


# A plain mean has no use for queries, nor a missing feed-forward network for the norm before it.
@every_kind(but=("uniform", "one-vector", "feed-forward-none"))
def test_every_parameter_learns(changes: dict[str, Any]) -> None:
    network = scrambled(**changes)
    src, src_mask = sentences([5, 3])
    network(src, src_mask, prefixes(2, 4)).logsumexp(-1).sum().backward()
    idle = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


@every_kind()
def test_dropout_acts_in_training_only(changes: dict[str, Any]) -> None:
    network = scrambled(**changes, dropout=0.5)
    src, src_mask = sentences([5])
    still = scrambled(**changes)(src, src_mask, prefixes(1, 3))
    torch.testing.assert_close(network(src, src_mask, prefixes(1, 3)), still)
    network.train()
    assert not torch.allclose(network(src, src_mask, prefixes(1, 3)), still)
