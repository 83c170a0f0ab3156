"""The loss of teacher forcing: cross-entropy with label smoothing, padding left out."""

from typing import Any

import torch
from torch import Tensor, nn


class LabelSmoothedCrossEntropy(nn.Module):
    """Cross-entropy against (1 - smoothing) on the right word and the rest spread evenly (Szegedy et al. 2016).

    The mean is taken over the words that are not `ignored`, in nats.
    """

    def __init__(self, *, smoothing: float, ignored: int) -> None:
        super().__init__()
        self.smoothing, self.ignored = smoothing, ignored

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits (B, T, V), targets (B, T) int64 -> scalar. The logits are used up: do not read them afterwards."""
        real = targets.flatten() != self.ignored  # (BT,)
        loss: Tensor = _SmoothedCrossEntropy.apply(logits.flatten(0, 1), targets.flatten(), real, self.smoothing)  # type: ignore[no-untyped-call]
        return loss


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Loss and gradient in one pass over one buffer: the logits become their own gradient.

    Logits are the largest tensor of a step; log-softmax and its backward would hold three of its size.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, real: Tensor, smoothing: float) -> Tensor:
        vocabulary = logits.shape[1]
        count = real.sum().clamp(min=1)
        weight = (real / count)[:, None].float()  # (N, 1)
        x = logits.detach().float()
        right = x.gather(1, targets[:, None])  # (N, 1)
        mean = x.mean(1, keepdim=True)
        lse = x.logsumexp(1, keepdim=True)
        loss = ((lse - (1 - smoothing) * right - smoothing * mean) * weight).sum()
        if logits.requires_grad or ctx.needs_input_grad[0]:
            # d loss / d x = softmax(x) - (1 - smoothing) [right] - smoothing / V
            gradient = x.sub_(lse).exp_().sub_(smoothing / vocabulary)
            gradient.scatter_add_(1, targets[:, None], torch.full_like(right, smoothing - 1))
            ctx.save_for_backward(gradient.mul_(weight).to(logits.dtype))
        return loss

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0].to(gradient.dtype), None, None, None
