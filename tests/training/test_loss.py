import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from entente.errors import EntenteError
from entente.model import maps
from entente.options import choose
from entente.training import loss as module
from entente.training.loss import LOSSES, LabelSmoothedCrossEntropy, RDrop

PAD = 0


def example() -> tuple[Tensor, Tensor, Tensor]:
    """x (B, T, D), table (V, D), targets (B, T)."""
    random = torch.Generator().manual_seed(0)
    x, table = torch.randn(3, 5, 7, generator=random) * 2, torch.randn(11, 7, generator=random)
    targets = torch.randint(1, 11, (3, 5), generator=random)
    targets[0, 3:] = PAD
    targets[2, 1:] = PAD
    return x, table, targets


SIZES = st.integers(1, 12)
SMOOTHINGS = st.floats(0, 0.9)


@st.composite
def examples(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Any x (B, T, D), table (V, D) and targets (B, T), one of which at least is no padding."""
    batch, length, width, vocabulary = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(SIZES), draw(SIZES) + 1
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    x = draw(st.floats(0.01, 8)) * torch.randn(batch, length, width, generator=random)
    targets = torch.randint(0, vocabulary, (batch, length), generator=random)  # PAD is among them
    targets[0, 0] = vocabulary - 1
    return x, torch.randn(vocabulary, width, generator=random), targets


@given(examples(), SMOOTHINGS, st.integers(1, 30), st.booleans())
def test_equals_cross_entropy_of_torch_in_value_and_gradients(
    example: tuple[Tensor, Tensor, Tensor], smoothing: float, rows: int, onednn: bool
) -> None:
    x, table, targets = example
    ours = [x.clone().requires_grad_(), table.clone().requires_grad_()]
    theirs = [x.double().requires_grad_(), table.double().requires_grad_()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LOGITS", rows * len(table))
        patch.setattr(maps, "ROWS", 1)
        patch.setattr(maps, "onednn_is_faster", lambda: onednn and maps.has_onednn())
        mine = LabelSmoothedCrossEntropy(smoothing=smoothing, ignored=PAD)(*ours, targets)
    logits = F.linear(*theirs).flatten(0, 1)
    expected = F.cross_entropy(logits, targets.flatten(), ignore_index=PAD, label_smoothing=smoothing)
    torch.testing.assert_close(mine, expected.float(), rtol=1e-4, atol=1e-4)
    torch.autograd.backward([3 * mine, 3 * expected])
    for own, other in zip(ours, theirs, strict=True):
        assert other.grad is not None
        torch.testing.assert_close(own.grad, other.grad.float(), rtol=1e-3, atol=1e-3)


@given(examples(), SMOOTHINGS, st.floats(-100, 100))
def test_padding_weighs_nothing(example: tuple[Tensor, Tensor, Tensor], smoothing: float, other: float) -> None:
    x, table, targets = example
    loss = LabelSmoothedCrossEntropy(smoothing=smoothing, ignored=PAD)
    real = targets != PAD
    changed = x.clone()
    changed[~real] = other
    torch.testing.assert_close(loss(x, table, targets), loss(changed, table, targets))
    torch.testing.assert_close(loss(x, table, targets), loss(x[real][None], table, targets[real][None]))


@pytest.mark.parametrize("copies", [1, 2])
def test_in_bfloat16_the_gradient_is_that_of_float32_within_its_precision(copies: int) -> None:
    loss_of = LabelSmoothedCrossEntropy(smoothing=0.1, ignored=PAD)
    x, table, targets = example()
    if copies == 2:
        loss_of = RDrop(smoothing=0.1, ignored=PAD, weight=5.0)
        x, table, targets = twice()
        targets = targets.repeat(2, 1)
    found = []
    for low in (False, True):
        leaves = [x.clone().requires_grad_(), table.clone().requires_grad_()]
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss = loss_of(*leaves, targets)
        torch.autograd.backward([loss])
        found.append([loss, *(leaf.grad for leaf in leaves)])
    for exact, rounded in zip(*found, strict=True):
        assert rounded is not None
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.005)


def test_logits_that_lie_far_apart_do_not_overflow() -> None:
    table = torch.tensor([[300.0], [-300.0], [0.0]])
    loss = LabelSmoothedCrossEntropy(smoothing=0.0, ignored=PAD)(torch.ones(1, 1, 1), table, torch.tensor([[1]]))
    assert loss.item() == 600.0


def test_nothing_but_padding_costs_nothing() -> None:
    x, table, _ = example()
    x.requires_grad_()
    loss = LabelSmoothedCrossEntropy(smoothing=0.1, ignored=PAD)(x, table, torch.zeros(3, 5, dtype=torch.int64))
    torch.autograd.backward([loss])
    assert loss.item() == 0
    assert x.grad is not None
    assert x.grad.count_nonzero() == 0


def twice() -> tuple[Tensor, Tensor, Tensor]:
    """Two readings (2B, T, D) of the same sentences, one after the other."""
    x, table, targets = example()
    return torch.cat([x, x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))]), table, targets


@pytest.mark.parametrize("rows", [1, 4, 99])
def test_r_drop_is_half_of_the_papers_equation_in_value_and_gradients(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOGITS", rows * 2 * 11)
    x, table, targets = twice()
    ours, theirs = ([x.clone().requires_grad_(), table.clone().requires_grad_()] for _ in range(2))
    both = targets.repeat(2, 1)
    mine = RDrop(smoothing=0.1, ignored=PAD, weight=5.0)(*ours, both)

    real = targets.flatten() != PAD
    one, other = F.linear(*theirs).view(2, -1, 11).log_softmax(-1)[:, real]
    wanted = targets.flatten()[real]
    entropies = [F.cross_entropy(reading, wanted, label_smoothing=0.1) for reading in (one, other)]
    divergences = [
        F.kl_div(q, p, log_target=True, reduction="batchmean") for p, q in ((one, other), (other, one))
    ]  # of p from q
    papers = sum(entropies) + 5.0 / 2 * sum(divergences)
    torch.testing.assert_close(mine, papers / 2)
    torch.autograd.backward([mine, papers / 2])
    for own, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own.grad, reference.grad)


def test_readings_that_agree_cost_no_more_than_one() -> None:
    x, table, targets = example()
    alone = LabelSmoothedCrossEntropy(smoothing=0.1, ignored=PAD)(x, table, targets)
    agreed = RDrop(smoothing=0.1, ignored=PAD, weight=5.0)(x.repeat(2, 1, 1), table, targets.repeat(2, 1))
    torch.testing.assert_close(agreed, alone)


def test_readings_are_not_rewarded_for_differing() -> None:
    with pytest.raises(EntenteError, match=r"training\.loss\.weight is -1"):
        choose(LOSSES, {"kind": "r_drop", "weight": -1}, "training.loss")
