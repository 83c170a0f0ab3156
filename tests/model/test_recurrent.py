from collections.abc import Callable, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entente.errors import EntenteError
from entente.model.attention import AttentionCore
from entente.model.cells import GRU, LSTM, READERS
from entente.model.masks import padding_mask
from entente.model.recurrent import summarise
from entente.model.weights import build
from tests.model.networks import BOS, EOS, PAD, VOCABULARY, prefixes, recurrent, recurrent_options, sentences

ATTENTIONS = ["none", "additive", "dot", "general"]


def looks(network: nn.Module, run: Callable[[], object]) -> list[tuple[str, Tensor]]:
    """Name and weights (B, 1, 1, S) of each look at the source, in turn, while `run` uses the network."""
    seen = []
    names = {core: name for name, core in network.named_modules() if isinstance(core, AttentionCore)}

    def note(core: AttentionCore, inputs: tuple[Tensor, ...]) -> None:
        q, k, _, mask = inputs
        seen.append((names[core], core.weights(q, k, mask)))

    handles = [core.register_forward_pre_hook(note) for core in names]
    run()
    for handle in handles:
        handle.remove()
    return seen


def test_what_a_decoder_put_out_is_fed_to_its_next_step() -> None:
    network = recurrent().double()
    src, src_mask = sentences([5])
    logits = network(src, src_mask, prefixes(1, 3))
    with torch.no_grad():
        network.decoder.feed.weight.zero_()
    unfed = network(src, src_mask, prefixes(1, 3))
    torch.testing.assert_close(unfed[:, 0], logits[:, 0])  # before the first word it has put out nothing
    assert not torch.allclose(unfed[:, 1], logits[:, 1])


def test_our_gru_equals_torch_under_copied_weights() -> None:
    torch.manual_seed(5)
    theirs, ours = nn.GRUCell(6, 8), GRU(inputs=6, width=8)
    with torch.no_grad():
        for mine, weight, bias in (
            (ours.into, theirs.weight_ih, theirs.bias_ih),
            (ours.over, theirs.weight_hh, theirs.bias_hh),
        ):
            mine.weight.copy_(weight)
            mine.bias.copy_(bias)
    x, h = torch.randn(3, 6), torch.randn(3, 8)
    torch.testing.assert_close(ours(ours.into(x), (h,))[0], theirs(x, h))


def test_our_lstm_equals_torch_under_copied_weights() -> None:
    torch.manual_seed(5)
    theirs, ours = nn.LSTMCell(6, 8), LSTM(inputs=6, width=8)

    def reordered(gates: Tensor) -> Tensor:
        write, keep, new, show = gates.chunk(4)
        return torch.cat((write, keep, show, new))

    with torch.no_grad():
        for mine, weight, bias in (
            (ours.into, theirs.weight_ih, theirs.bias_ih),
            (ours.over, theirs.weight_hh, theirs.bias_hh),
        ):
            mine.weight.copy_(reordered(weight))
            mine.bias.copy_(reordered(bias))
    x, h, c = torch.randn(3, 6), torch.randn(3, 8), torch.randn(3, 8)
    torch.testing.assert_close(ours(ours.into(x), (h, c)), theirs(x, (h, c)))


Weights = Mapping[str, Tensor]

SCORES: dict[str, Callable[[Tensor, Tensor, Weights], Tensor]] = {
    "additive": lambda h, m, by: by["core.v"][0] @ (by["to_query.weight"] @ h + by["key.weight"] @ m).tanh(),
    "general": lambda h, m, by: h @ by["key.weight"] @ m,
    "dot": lambda h, m, by: h @ m,
}


@pytest.mark.parametrize("kind", SCORES)
def test_the_weights_of_every_step_are_those_of_the_paper(kind: str) -> None:
    network = recurrent(attention={"kind": kind})
    src, src_mask = sentences([6, 4])
    tgt_in = prefixes(2, 3)
    seen = looks(network, lambda: network(src, src_mask, tgt_in))
    assert [name for name, _ in seen] == ["decoder.cross_attention.core"] * 3
    memory = network.encode(src, src_mask)  # (B, S, D)
    state = network.start(memory, src_mask)
    by = dict(network.decoder.cross_attention.named_parameters())
    for position, (_, weights) in enumerate(seen):
        _, state = network.step(tgt_in[:, position], state)
        for row, length in enumerate((6, 4)):
            h = state.cells[-1][0][row]  # (D,)
            scores = torch.stack([SCORES[kind](h, word, by) for word in memory[row, :length]])
            expected = F.pad(scores.softmax(0), (0, 6 - length))
            torch.testing.assert_close(weights[row, 0, 0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", SCORES)
def test_what_is_seen_is_the_mean_of_the_memory_by_the_weights(kind: str) -> None:
    network = recurrent(attention={"kind": kind})
    src, src_mask = sentences([6, 4])
    memory, attention, h = network.encode(src, src_mask), network.decoder.cross_attention, torch.ones(2, 16)
    k, v = attention.read(memory, summarise(memory, src_mask))
    ((_, weights),) = looks(attention, lambda: attention(h, k, v, src_mask))
    torch.testing.assert_close(attention(h, k, v, src_mask), torch.einsum("bs,bsd->bd", weights[:, 0, 0], memory))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_without_attention_a_sentence_is_its_two_ends(attention: str) -> None:
    network = recurrent(attention={"kind": attention})
    src, src_mask = sentences([6, 4])
    tgt_in = prefixes(2, 5)
    memory = network.encode(src, src_mask)
    changed = torch.randn_like(memory)
    changed[:, 0, 8:] = memory[:, 0, 8:]  # the first word's backward state has read all
    for row, length in enumerate((6, 4)):
        changed[row, length - 1, :8] = memory[row, length - 1, :8]  # the last word's forward state too
    logits = network.decode(tgt_in, memory, src_mask)
    same = torch.allclose(network.decode(tgt_in, changed, src_mask), logits)
    assert same is (attention == "none")


@pytest.mark.parametrize("kind", sorted(READERS))
def test_the_summary_is_where_either_direction_ends(kind: str) -> None:
    network = recurrent(cell={"kind": kind}, encoder_layers=1)
    src, src_mask = sentences([6])
    reader = network.encoder.layers[0]
    _, ended = reader(network.embedding(src) * 4)  # the root of the width
    ends = ended[0] if isinstance(ended, tuple) else ended  # (2, B, D/2)
    memory = network.encode(src, src_mask)
    torch.testing.assert_close(summarise(memory, src_mask), torch.cat((ends[0], ends[1]), dim=1))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"width": 15}, "even"),
        ({"cell": {"kind": "elman"}}, "elman.*gru, lstm"),
        ({"attention": {"kind": "scaled"}}, "scaled.*additive, dot, general, none"),
        ({"attention": {"kind": "dot", "colour": 1}}, "colour"),
        ({"heads": 3}, "heads"),
    ],
)
def test_options_that_do_not_fit_are_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(EntenteError, match=named):
        build(recurrent_options(**changes), VOCABULARY)


@pytest.mark.parametrize(
    ("cell", "attention"), [("gru", "none"), ("gru", "dot"), ("lstm", "additive"), ("lstm", "general")]
)
def test_learns_to_reverse(cell: str, attention: str) -> None:
    shape = {"width": 32, "encoder_layers": 1, "decoder_layers": 1}
    network = recurrent(cell={"kind": cell}, attention={"kind": attention}, **shape).train()
    adam = torch.optim.Adam(network.parameters(), 1e-2)
    random = torch.Generator().manual_seed(0)
    for _ in range(150):
        words = torch.randint(EOS + 1, EOS + 9, (32, 4), generator=random)  # (B, 4)
        src, tgt_out = (F.pad(side, (0, 1), value=EOS) for side in (words, words.flip(1)))
        logits = network(src, padding_mask(src, PAD), F.pad(tgt_out[:, :-1], (1, 0), value=BOS))
        loss = F.cross_entropy(logits.flatten(0, 1), tgt_out.flatten())
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
    assert loss < 0.5  # to guess costs 4/5 log 8 = 1.66
