"""Linear maps on whichever of PyTorch's two libraries multiplies faster here.

PyTorch multiplies float32 on a CPU by MKL, which keeps to AVX2 on processors that are not Intel's; oneDNN, which is
built in too, uses AVX-512 on all and is then twice as fast.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 16  # with fewer MKL is faster: it is called faster


class Map(nn.Linear):
    """x W' + b, as `torch.nn.Linear` has it."""

    def forward(self, x: Tensor) -> Tensor:
        """x (..., I) -> (..., O)."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Map x (..., I) by weight (O, I) and bias (O,) -> (..., O)."""
    if x.numel() < ROWS * x.shape[-1] or not is_ours(x, weight):
        return F.linear(x, weight, bias)
    found: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return found


def is_ours(x: Tensor, weight: Tensor) -> bool:
    """Say whether this is a product that oneDNN is faster at."""
    single = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    return single and onednn_is_faster() and not torch.is_autocast_enabled("cpu")


@cache
def onednn_is_faster() -> bool:
    """Say whether this processor has what MKL may leave unused (ATEN_CPU_CAPABILITY=avx2 hides it)."""
    built_in: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return built_in and torch.backends.cpu.get_cpu_capability() == "AVX512"


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (R, I), weight (O, I), bias (O,) -> (R, O)."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


class _Linear(torch.autograd.Function):
    """The operator has no gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x.reshape(-1, x.shape[-1]), weight, bias).view(*x.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted_x, wanted_weight, wanted_bias = ctx.needs_input_grad
        grad = upstream[0].reshape(-1, len(weight))
        of_x = _product(grad, weight.t()).view_as(x) if wanted_x else None
        of_weight = _product(grad.t(), x.reshape(-1, x.shape[-1]).t()) if wanted_weight else None
        return of_x, of_weight, grad.sum(0) if wanted_bias else None
