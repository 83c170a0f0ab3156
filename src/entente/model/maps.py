"""Linear maps, on the faster of PyTorch's two libraries.

PyTorch multiplies float32 on a CPU by MKL, which keeps to AVX2 on processors that are not Intel's. oneDNN, which is
built in too, uses AVX-512 there: on an AMD EPYC of 2024 it is twice as fast.
"""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

ROWS = 16  # with fewer MKL is faster: it is called faster


class Map(nn.Linear):
    """x W' + b, as `torch.nn.Linear` has it."""

    def forward(self, x: Tensor) -> Tensor:
        """x (..., I) -> (..., O)."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Map x (..., I) by weight (O, I) and bias (O,) -> (..., O)."""
    if not is_ours(x, weight, bias):
        return F.linear(x, weight, bias)
    if not torch.is_grad_enabled():
        rows = x.reshape(-1, x.shape[-1])
        return _map(_rounded(rows) if torch.is_inference_mode_enabled() else rows, weight, bias, x.shape[:-1])
    found: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return found


def is_ours(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Say whether this is a product that oneDNN is faster at; PyTorch has words for what does not fit together."""
    tensors = [x, weight] if bias is None else [x, weight, bias]
    return (
        onednn_is_faster()
        and all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)
        and x.numel() >= ROWS * x.shape[-1]
        and x.shape[-1] == weight.shape[1]
        and (bias is None or (bias.shape == weight.shape[:1] and bias.is_contiguous()))
        and not torch.is_autocast_enabled("cpu")
    )


@cache
def onednn_is_faster() -> bool:
    """Say whether this processor has what MKL leaves unused (ATEN_CPU_CAPABILITY=avx2 hides it)."""
    try:
        is_amd = "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return is_amd and has_onednn() and torch.backends.cpu.get_cpu_capability() == "AVX512"


def has_onednn() -> bool:
    """Say whether oneDNN, with the product that we ask it for, is built in."""
    built_in: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return built_in and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _map(x: Tensor, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Tensor:
    """x (R, I), of which the first rows are wanted -> (*shape, O)."""
    found = _product(x, weight, bias)
    # As PyTorch's own does: no view, so that it may be changed in place.
    shaped: Tensor = torch.ops.aten._unsafe_view(found[: math.prod(shape)], (*shape, len(weight)))
    return shaped


def _rounded(x: Tensor) -> Tensor:
    """Add rows of anything to x (R, I), fifteen or a sixteenth at most, so that there are few numbers of rows.

    oneDNN keeps half a megabyte for each that it has met, and a search that drops sentences meets all.
    """
    rows = len(x)
    more = -rows % max(ROWS, 1 << max(0, rows.bit_length() - 5))
    if not more:
        return x
    wider = x.new_empty(rows + more, x.shape[1])
    wider[:rows] = x
    return wider


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (R, I), weight (O, I), bias (O,) -> (R, O)."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


class _Linear(torch.autograd.Function):
    """The operator has no gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _map(x.reshape(-1, x.shape[-1]), weight, bias, x.shape[:-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted_x, wanted_weight, wanted_bias = ctx.needs_input_grad
        grad = upstream.reshape(-1, len(weight))
        of_x = _product(grad, weight.t()).view_as(x) if wanted_x else None
        of_weight = _product(grad.t(), x.reshape(-1, x.shape[-1]).t()) if wanted_weight else None
        return of_x, of_weight, grad.sum(0) if wanted_bias else None
