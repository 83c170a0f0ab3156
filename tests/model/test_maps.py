"""Linear maps are the same, whichever library multiplies."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from entente.model import maps
from entente.model.maps import ROWS, Map, linear

SHAPES = [(7, 9, 32), (ROWS, 32), (2, ROWS, 32)]
FEW = [(ROWS - 1, 32), (3, 0, 32), (1, 32), (32,)]


@pytest.fixture(params=[pytest.param(True, marks=pytest.mark.skipif(not maps.has_onednn(), reason="no oneDNN")), False])
def onednn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Whether oneDNN is to be used, on any processor; and it is."""
    use, calls, product = bool(request.param), [], maps._product

    def counting(*tensors: Tensor | None) -> Tensor:
        calls.append(tensors)
        return product(*tensors)  # type: ignore[arg-type]

    monkeypatch.setattr(maps, "onednn_is_faster", lambda: use)
    monkeypatch.setattr(maps, "_product", counting)
    yield use
    assert bool(calls) == use


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if oneDNN were faster."""
    monkeypatch.setattr(maps, "onednn_is_faster", lambda: True)


def gradients(x: Tensor, weight: Tensor, bias: Tensor | None, upstream: Tensor) -> list[Tensor]:
    leaves = [x, weight] + ([bias] if bias is not None else [])
    return list(torch.autograd.grad(linear(x, weight, bias), leaves, upstream))


@pytest.mark.parametrize("shape", FEW)
@pytest.mark.usefixtures("ours")
def test_few_rows_are_left_to_pytorch(shape: tuple[int, ...]) -> None:
    x, layer = torch.randn(shape), Map(32, 24)
    assert not maps.is_ours(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))


@torch.inference_mode()
@pytest.mark.usefixtures("onednn")
def test_when_nothing_is_learnt_few_numbers_of_rows_are_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    counting, seen = maps._product, {ROWS}
    weight = torch.randn(24, 32)

    def watched(x: Tensor, *others: Tensor | None) -> Tensor:
        seen.add(len(x))
        return counting(x, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(maps, "_product", watched)
    for rows in range(1, 1000):
        x = torch.randn(rows, 32)
        torch.testing.assert_close(linear(x, weight), F.linear(x, weight))
        assert max(seen) <= max(ROWS, rows + max(ROWS, rows // 16))
    assert len(seen) <= 48


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.usefixtures("onednn")
def test_values_and_gradients_are_those_of_double_precision(shape: tuple[int, ...], biased: bool) -> None:
    x, weight = torch.randn(shape, requires_grad=True), torch.randn(24, 32, requires_grad=True)
    bias = torch.randn(24, requires_grad=True) if biased else None
    upstream = torch.randn(*shape[:-1], 24)
    exact = [None if tensor is None else tensor.detach().double().requires_grad_() for tensor in (x, weight, bias)]
    y = F.linear(*exact)  # type: ignore[arg-type]
    torch.testing.assert_close(linear(x, weight, bias), y.float(), rtol=1e-5, atol=1e-5)
    wanted = torch.autograd.grad(y, [tensor for tensor in exact if tensor is not None], upstream.double())
    for ours, theirs in zip(gradients(x, weight, bias, upstream), wanted, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-5, atol=1e-4)


@pytest.mark.usefixtures("onednn")
def test_tensors_may_be_views_that_lie_otherwise_in_memory() -> None:
    x, weight = torch.randn(32, 40).t(), torch.randn(32, 48)[:, ::2].t()
    torch.testing.assert_close(linear(x, weight), (x.double() @ weight.t().double()).float(), rtol=1e-5, atol=1e-5)
    x, upstream = x.requires_grad_(), torch.randn(24, 1).expand(24, 40).t()
    (ours,) = torch.autograd.grad(linear(x, weight), [x], upstream)
    torch.testing.assert_close(ours, upstream @ weight, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("onednn")
def test_only_what_is_asked_for_is_computed() -> None:
    x, layer = torch.randn(40, 32), Map(32, 24).requires_grad_(False)
    assert not layer(x).requires_grad
    with torch.inference_mode():
        assert layer(x).is_inference()
    layer.bias.requires_grad_()
    layer(x).sum().backward()
    assert layer.weight.grad is None
    torch.testing.assert_close(layer.bias.grad, torch.full((24,), 40.0))


@pytest.mark.usefixtures("onednn")
def test_what_it_returns_may_be_changed_in_place() -> None:
    x, layer = torch.randn(2, 20, 32, requires_grad=True), Map(32, 24)
    y = layer(x)
    torch.autograd.backward(y.relu_().sum())
    assert x.grad is not None
    torch.testing.assert_close(x.grad, (y > 0).float() @ layer.weight, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not maps.has_onednn(), reason="no oneDNN")
@pytest.mark.usefixtures("ours")
def test_a_gradient_of_the_gradient_is_refused_not_wrong() -> None:
    x = torch.randn(40, 32, requires_grad=True)
    (grad,) = torch.autograd.grad(Map(32, 24)(x).square().sum(), [x], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(grad.sum())


@pytest.mark.usefixtures("ours")
def test_what_is_not_single_precision_on_a_cpu_is_left_to_pytorch() -> None:
    x, layer = torch.randn(40, 32), Map(32, 24)
    assert maps.is_ours(x, layer.weight, layer.bias)
    with torch.autocast("cpu", torch.bfloat16):
        assert not maps.is_ours(x, layer.weight, layer.bias)
        assert layer(x).dtype == torch.bfloat16
    assert not maps.is_ours(x, layer.weight.to("meta"), None)
    assert not maps.is_ours(x.double(), layer.double().weight, None)
    assert layer(x.double()).dtype == torch.float64


@pytest.mark.usefixtures("ours")
def test_what_does_not_fit_gets_pytorchs_answer() -> None:
    x, layer = torch.randn(40, 32), Map(32, 24)
    apart = torch.randn(48)[::2]
    torch.testing.assert_close(linear(x, layer.weight, apart), linear(x, layer.weight) + apart)
    torch.testing.assert_close(linear(x, layer.weight, apart[:1]), linear(x, layer.weight) + apart[0])
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        layer(torch.randn(40, 31))
