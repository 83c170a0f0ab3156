"""Muon's steps are orthogonal for maps, Adam's for all else."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.precision.amp import _optimizer_handles_unscaling
from torch import nn

from entente.errors import EntenteError
from entente.model.seq2seq import Seq2Seq
from entente.options import choose
from entente.training.optimizer import OPTIMIZERS, Adam, Muon, orthogonal, squares
from tests.model.networks import recurrent, transformer

Kept = tuple[dict[str, Any], dict[str, Any]]
ADAM = {"beta1": 0.9, "beta2": 0.98, "epsilon": 1e-9}


@pytest.mark.parametrize("shape", [(5, 16, 16), (2, 32, 16), (2, 16, 48)])
def test_a_step_keeps_its_singular_vectors_and_no_singular_value(shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    x = torch.randn(*shape) * torch.tensor([1e-3, 10.0]).repeat(3)[: shape[0], None, None]
    found = orthogonal(x)
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    values = u.mT @ found @ v.mT  # diagonal, and near the identity
    ahead = values.diagonal(dim1=1, dim2=2)
    assert (values - ahead.diag_embed()).abs().max() < 1e-3
    assert ahead.min() > 0.3
    assert ahead.max() < 1.3


@pytest.mark.parametrize("options", [{"kind": "adam"}, {"kind": "muon", "momentum": 0.9, "times": 2.0}])
def test_scaled_gradients_are_unscaled_before_they_are_clipped(options: dict[str, Any]) -> None:
    made = choose(OPTIMIZERS, options | ADAM, "optimizer")(transformer())
    # Where a step would do it by itself, Lightning leaves it to that, and clips what is 65,536 times too large.
    assert not _optimizer_handles_unscaling(made)


def test_several_maps_in_one_matrix_are_taken_apart() -> None:
    matrix = torch.arange(12.0).view(6, 2)
    assert [part.tolist() for part in squares(matrix)] == [matrix[i : i + 2].tolist() for i in (0, 2, 4)]
    assert [part.shape for part in squares(matrix.t())] == [(2, 2)] * 3
    assert [part.shape for part in squares(torch.ones(5, 3))] == [(5, 3)]


@pytest.mark.parametrize("make", [transformer, recurrent])
def test_maps_move_by_muon_and_all_else_by_adam(make: Callable[[], Seq2Seq]) -> None:
    torch.manual_seed(2)
    networks = [make(), make()]
    networks[1].load_state_dict(networks[0].state_dict())
    before = {name: weight.clone() for name, weight in networks[0].named_parameters()}
    muon, adam = Muon(networks[0], **ADAM, momentum=0.0, times=3.0), Adam(networks[1], **ADAM)
    for optimizer, network in ((muon, networks[0]), (adam, networks[1])):
        for group in optimizer.param_groups:
            group["lr"] *= 0.01  # as the schedule does
        torch.manual_seed(3)
        for weight in network.parameters():
            weight.grad = torch.randn_like(weight)
        optimizer.step()
    maps = {
        f"{name}.{own}"
        for name, module in networks[0].named_modules()
        if isinstance(module, nn.Linear | nn.RNNBase)
        for own, weight in module.named_parameters(recurse=False)
        if weight.ndim == 2
    }
    assert 0 < len(maps) < len(before)
    after = dict(networks[1].named_parameters())
    for name, weight in networks[0].named_parameters():
        if name not in maps:
            assert torch.equal(weight, after[name])
            continue
        for step in squares((weight - before[name]).detach()):
            values = torch.linalg.svdvals(step / 0.03 / max(1, step.shape[0] / step.shape[1]) ** 0.5)
            assert values.max() < 1.3
            assert values.median() > 0.6


def test_it_learns_and_takes_up_its_state_again() -> None:
    torch.manual_seed(4)
    x, target = torch.randn(64, 8), torch.randn(8, 8)

    def learnt(updates: int, begun: Kept | None = None) -> tuple[float, Kept]:
        torch.manual_seed(5)
        network = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 8))
        muon = Muon(network, **ADAM, momentum=0.9, times=3.0)
        for group in muon.param_groups:
            group["lr"] *= 0.01
        if begun:
            network.load_state_dict(begun[0])
            muon.load_state_dict(begun[1])
        for _ in range(updates):
            muon.zero_grad()
            loss = (network(x) - x @ target).square().mean()
            loss.backward()
            muon.step()
        return loss.item(), (network.state_dict(), muon.state_dict())

    first, _ = learnt(1)
    _, half = learnt(10)
    whole, _ = learnt(20)
    assert whole < 0.7 * first
    assert learnt(10, half)[0] == whole


def test_a_momentum_that_never_forgets_is_refused() -> None:
    with pytest.raises(EntenteError, match=r"momentum is 1\.0; it should be less than 1"):
        choose(OPTIMIZERS, {"kind": "muon", **ADAM, "momentum": 1.0, "times": 1.0}, "training.optimizer")
