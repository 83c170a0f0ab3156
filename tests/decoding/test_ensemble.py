"""Networks that translate as one."""

import pytest
import torch

from entente.decoding.ensemble import Ensemble
from entente.errors import EntenteError
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build
from tests.model.networks import VOCABULARY, network, options, prefixes, recurrent_options, sentences


def members() -> list[Seq2Seq]:
    """A Transformer, another one of another width, and an RNN."""
    torch.manual_seed(1)
    shapes = (options(), options(width=24, heads=2), recurrent_options(max_length=30))
    return [build(shape, VOCABULARY).eval() for shape in shapes]


def test_an_ensemble_expects_the_mean_of_what_its_members_expect() -> None:
    several = members()
    src, src_mask = sentences([5, 3])
    tgt_in = prefixes(2, 4)
    found = Ensemble(several)(src, src_mask, tgt_in).exp()
    expected = torch.stack([member(src, src_mask, tgt_in).softmax(-1) for member in several]).mean(0)
    torch.testing.assert_close(found, expected)


def test_step_by_step_is_teacher_forcing() -> None:
    together = Ensemble(members())
    src, src_mask = sentences([5, 3, 7])
    tgt_in = prefixes(3, 6)
    at_once = together(src, src_mask, tgt_in)
    state = together.start(together.encode(src, src_mask), src_mask)
    for position in range(6):
        logits, state = together.step(tgt_in[:, position], state)
        torch.testing.assert_close(logits, at_once[:, position], atol=1e-5, rtol=1e-5)


def test_hypotheses_are_kept_in_every_state() -> None:
    together = Ensemble(members())
    src, src_mask = sentences([5, 3])
    state = together.start(together.encode(src, src_mask), src_mask).expand(2)
    _, state = together.step(torch.tensor([4, 5, 6, 7]), state)
    swapped, _ = together.step(torch.tensor([9, 9, 9, 9]), state.reorder(torch.tensor([1, 0, 3, 2])))
    kept, _ = together.step(torch.tensor([9, 9]), state.select(torch.tensor([2, 3])))
    straight, _ = together.step(torch.tensor([9, 9, 9, 9]), state)
    torch.testing.assert_close(swapped, straight[[1, 0, 3, 2]])
    torch.testing.assert_close(kept, straight[2:])


def test_one_member_is_itself() -> None:
    alone = network()
    src, src_mask = sentences([6])
    tgt_in = prefixes(1, 5)
    found = Ensemble([alone])(src, src_mask, tgt_in)
    torch.testing.assert_close(found, alone(src, src_mask, tgt_in).log_softmax(-1))


def test_it_reads_what_its_narrowest_member_reads() -> None:
    assert Ensemble(members()).max_length == 30


def test_members_share_a_vocabulary() -> None:
    with pytest.raises(EntenteError, match="members must share one vocabulary"):
        Ensemble([network(), build(options(), VOCABULARY + 1)])
    with pytest.raises(EntenteError, match="an ensemble of networks with no pieces"):
        Ensemble([])
