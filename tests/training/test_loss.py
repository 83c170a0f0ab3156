import pytest
import torch
import torch.nn.functional as F

from entente.training.loss import LabelSmoothedCrossEntropy

PAD = 0


def example() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 11, generator=random) * 3
    targets = torch.randint(1, 11, (3, 5), generator=random)
    targets[0, 3:] = PAD
    targets[2, 1:] = PAD
    return logits, targets


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_equals_cross_entropy_of_torch_in_value_and_gradient(smoothing: float) -> None:
    logits, targets = example()
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    # The gradient is written into the logits' own memory, so they are handed over as a copy.
    mine = LabelSmoothedCrossEntropy(smoothing=smoothing, ignored=PAD)(ours * 1.0, targets)
    expected = F.cross_entropy(theirs.flatten(0, 1), targets.flatten(), ignore_index=PAD, label_smoothing=smoothing)
    torch.testing.assert_close(mine, expected)
    torch.autograd.backward([3 * mine, 3 * expected])
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_padding_weighs_nothing() -> None:
    logits, targets = example()
    loss = LabelSmoothedCrossEntropy(smoothing=0.1, ignored=PAD)
    real = targets != PAD
    changed = logits.clone()
    changed[~real] = 99.0
    torch.testing.assert_close(loss(logits.clone(), targets), loss(changed, targets))
    alone = loss(logits[real][None].clone(), targets[real][None])
    torch.testing.assert_close(loss(logits.clone(), targets), alone)


def test_nothing_but_padding_costs_nothing() -> None:
    logits = torch.randn(1, 2, 5, requires_grad=True)
    loss = LabelSmoothedCrossEntropy(smoothing=0.1, ignored=PAD)(logits * 1.0, torch.zeros(1, 2, dtype=torch.int64))
    torch.autograd.backward([loss])
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.count_nonzero() == 0
