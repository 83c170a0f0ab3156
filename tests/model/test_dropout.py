import pytest
import torch

from entente.model.dropout import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_drops_about_its_rate_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(0)
    x = Dropout(rate).train()(torch.ones(1001, 333))
    assert (x == 0).float().mean().item() == pytest.approx(rate, abs=0.005)
    assert x.mean().item() == pytest.approx(1.0, abs=0.01)


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5).train()(torch.ones(200_000)) > 0).float()
    for distance in (1, 4, 8):
        both = (kept[:-distance] * kept[distance:]).mean().item()
        assert both == pytest.approx(0.25, abs=0.01)


def test_does_nothing_in_evaluation_or_at_rate_zero() -> None:
    x = torch.randn(4, 7)
    assert Dropout(0.3).eval()(x) is x
    assert Dropout(0.0).train()(x) is x


def test_same_seed_same_mask_and_the_gradient_follows_it() -> None:
    x = torch.ones(50, requires_grad=True)
    outs = []
    for _ in range(2):
        torch.manual_seed(7)
        outs.append(Dropout(0.3).train()(x))
    assert torch.equal(outs[0], outs[1])
    (gradient,) = torch.autograd.grad(outs[0].sum(), x)
    assert torch.equal(gradient, outs[0].detach())
