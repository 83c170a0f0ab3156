"""The loss of teacher forcing: cross-entropy with label smoothing, padding left out; and R-Drop's agreement."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from entente.model.maps import linear
from entente.options import Share

Weight = Annotated[float, Field(ge=0)]
LOGITS = 2**22  # laid out at a time on a CPU: about what its caches hold


class LabelSmoothedCrossEntropy(nn.Module):
    """Cross-entropy against (1 - smoothing) on the right word and the rest spread evenly (Szegedy et al. 2016).

    The mean is taken over the words that are not `ignored`, in nats.
    """

    copies = 1  # of each batch, one after the other, that the network is to read at once
    agreement = 0.0

    def __init__(self, *, smoothing: Share, ignored: int) -> None:
        super().__init__()
        self.smoothing, self.ignored = smoothing, ignored

    def forward(self, x: Tensor, table: Tensor, targets: Tensor) -> Tensor:
        """Score x (B, T, D) by the words' table (V, D) and compare with targets (B, T) int64 -> scalar."""
        x, flat = x.reshape(self.copies, -1, x.shape[-1]), targets.reshape(self.copies, -1)
        real = flat != self.ignored
        weights = real.float() / real.sum().clamp(min=1)  # (C, BT / C)
        loss: Tensor = _SmoothedCrossEntropy.apply(x, table, flat, weights, self.smoothing, self.agreement)  # type: ignore[no-untyped-call]
        return loss


class RDrop(LabelSmoothedCrossEntropy):
    """R-Drop (Wu et al. 2021, section 2.1): a batch is read twice, and what dropout makes of it is to agree.

    To the mean cross-entropy of both readings comes weight / 4 times the mean over words of both divergences,
    KL(p, q) + KL(q, p): half of the paper's equation 4, whose alpha is `weight`.
    """

    copies = 2

    def __init__(self, *, smoothing: Share, ignored: int, weight: Weight) -> None:
        super().__init__(smoothing=smoothing, ignored=ignored)
        self.agreement = weight / 2  # of a word as it is weighted in one reading, which is half of its share


LOSSES: Mapping[str, Callable[..., LabelSmoothedCrossEntropy]] = {
    "cross_entropy": LabelSmoothedCrossEntropy,
    "r_drop": RDrop,
}


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Logits, loss and gradients in one go, some rows at a time.

    Logits are the largest tensor of a step: here they never exist as a whole, and what was scored is done with while
    it is in the cache. With p = softmax(x W'), r the right word and s the smoothing, the gradient by the logits is
    p - (1 - s) [r] - s / V. Only p is as wide as the vocabulary; the other terms are added after the products.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, table: Tensor, targets: Tensor, weights: Tensor, smoothing: float, agreement: float
    ) -> Tensor:
        # x (C, N, D) in C copies, table (V, D), targets (C, N), weights (C, N)
        kind = x.device.type
        low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        with torch.autocast(kind, enabled=False):
            x, narrow = x.to(low), table.to(low)
            wide = x.float()
            right, mean = narrow[targets].float(), narrow.float().mean(0)  # (C, N, D), (D,)
            weighted = wide * weights[..., None]  # (C, N, D)
            towards = (1 - smoothing) * right + smoothing * mean  # (C, N, D): what the smoothed right answer points to
            grad_x = torch.empty_like(wide)
            grad_table = torch.zeros_like(table, dtype=torch.float32)
            loss = table.new_zeros((), dtype=torch.float32)
            lse = torch.empty_like(weights)
            copies, words = weights.shape
            rows = max(1, LOGITS // len(table) // copies) if kind == "cpu" else words
            for start in range(0, words, rows):
                part = slice(start, start + rows)
                logits = linear(x[:, part], narrow).float()  # (C, R, V)
                top = logits.amax(2)
                p = logits.softmax(2)
                torch.sub(top, p.amax(2).log(), out=lse[:, part])  # the likeliest word's share says what all sum up to
                if agreement:
                    divergence, p = _agreement(logits - lse[:, part, None], p, agreement)
                    loss += (divergence * weights[:, part]).sum()
                p = p.to(low)
                grad_x[:, part] = linear(p, narrow.t())
                grad_table += linear(p.flatten(0, 1).t(), weighted[:, part].flatten(0, 1).to(low).t())
            loss += ((lse - (wide * towards).sum(2)) * weights).sum()
            grad_x = (grad_x - towards) * weights[..., None]
            grad_table.index_add_(0, targets.flatten(), weighted.flatten(0, 1), alpha=smoothing - 1)
            grad_table -= smoothing / len(table) * weighted.sum((0, 1))
            ctx.save_for_backward(grad_x, grad_table)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        grad_x, grad_table = ctx.saved_tensors
        return grad_x * upstream, grad_table * upstream, None, None, None, None


def _agreement(log_p: Tensor, p: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Return `weight` times KL of each of two readings from the other (2, R), and p (2, R, V) with the sum's gradient.

    By the logits of p the gradient of KL(p, q) + KL(q, p) is p (log p - log q - KL(p, q)) + p - q.
    """
    apart = log_p - log_p.flip(0)  # (2, R, V)
    divergence = (p * apart).sum(2, keepdim=True)  # (2, R, 1)
    gradient = p * (apart - divergence) + p - p.flip(0)
    return weight * divergence[..., 0], p + weight * gradient
