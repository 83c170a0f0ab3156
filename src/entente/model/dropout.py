"""Dropout (Srivastava et al. 2014) that does not wait for random numbers."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 256  # one random byte decides one element


class Dropout(nn.Module):
    """Zero elements with probability `rate` while training and scale the others by 1 / (1 - rate).

    On a CPU PyTorch draws one Bernoulli number an element, a quarter of a small Transformer's step; here eight
    elements share one 64-bit number. The rate is then a multiple of 1/256, and the scale is exact for that one.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    @property
    def drops(self) -> bool:
        """Say whether anything is dropped: in training, where the rate is not 0."""
        return self.training and self._threshold > 0

    @property
    def _threshold(self) -> int:
        return round(self.rate * _LEVELS)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        threshold = self._threshold
        if not self.drops:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.rate)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        # Bytes of 0 and 1 throughout: PyTorch makes and reads bool several times as slowly.
        keep = words.view(torch.uint8)[: x.numel()].view(x.shape).ge_(threshold)
        return x * keep.to(x.dtype).mul_(_LEVELS / (_LEVELS - threshold))

    def extra_repr(self) -> str:
        """Show the rate where the network is printed."""
        return f"rate={self.rate}"
