"""The loss of teacher forcing: cross-entropy with label smoothing, padding left out."""

from typing import Any

import torch
from torch import Tensor, nn

LOGITS = 2**22  # laid out at a time on a CPU: about what its caches hold


class LabelSmoothedCrossEntropy(nn.Module):
    """Cross-entropy against (1 - smoothing) on the right word and the rest spread evenly (Szegedy et al. 2016).

    The mean is taken over the words that are not `ignored`, in nats.
    """

    def __init__(self, *, smoothing: float, ignored: int) -> None:
        super().__init__()
        self.smoothing, self.ignored = smoothing, ignored

    def forward(self, x: Tensor, table: Tensor, targets: Tensor) -> Tensor:
        """Score x (B, T, D) by the words' table (V, D) and compare with targets (B, T) int64 -> scalar."""
        flat = targets.flatten()
        real = flat != self.ignored
        weights = real.float() / real.sum().clamp(min=1)  # (BT,)
        loss: Tensor = _SmoothedCrossEntropy.apply(x.flatten(0, 1), table, flat, weights, self.smoothing)  # type: ignore[no-untyped-call]
        return loss


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Logits, loss and gradients in one go, some rows at a time.

    Logits are the largest tensor of a step: here they never exist as a whole, and what was scored is done with while
    it is in the cache. With p = softmax(x W'), r the right word and s the smoothing, the gradient by the logits is
    p - (1 - s) [r] - s / V. Only p is as wide as the vocabulary; the other terms are added after the products.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        # x (N, D), table (V, D), targets (N,), weights (N,)
        kind = x.device.type
        low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        with torch.autocast(kind, enabled=False):
            x, narrow = x.to(low), table.to(low)
            wide = x.float()
            right, mean = narrow[targets].float(), narrow.float().mean(0)  # (N, D), (D,)
            weighted = wide * weights[:, None]  # (N, D)
            towards = (1 - smoothing) * right + smoothing * mean  # (N, D): what the smoothed right answer points to
            grad_x = torch.empty_like(wide)
            grad_table = torch.zeros_like(table, dtype=torch.float32)
            lse = torch.empty_like(weights)
            rows = max(1, LOGITS // len(table)) if kind == "cpu" else len(x)
            for start in range(0, len(x), rows):
                part = slice(start, start + rows)
                logits = (x[part] @ narrow.t()).float()  # (C, V)
                top = logits.amax(1)
                p = logits.softmax(1)
                torch.sub(top, p.amax(1).log(), out=lse[part])  # the likeliest word's share says what all sum up to
                p = p.to(low)
                grad_x[part] = p @ narrow
                grad_table += p.t() @ weighted[part].to(low)
            loss = ((lse - (wide * towards).sum(1)) * weights).sum()
            grad_x = (grad_x - towards) * weights[:, None]
            grad_table.index_add_(0, targets, weighted, alpha=smoothing - 1)
            grad_table -= smoothing / len(table) * weighted.sum(0)
            ctx.save_for_backward(grad_x, grad_table)
        return loss

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad_x, grad_table = ctx.saved_tensors
        return grad_x * upstream[0], grad_table * upstream[0], None, None, None
