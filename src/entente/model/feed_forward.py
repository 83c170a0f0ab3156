"""Feed-forward networks: what a layer does at every position by itself, between two looks around."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entente.model.dropout import Dropout
from entente.model.maps import Map


class FeedForward(nn.Module, ABC):
    """A map of the width to itself, the same at every position."""

    def __init__(self, *, width: int, hidden: int, dropout: float) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> (B, T, D), for a residual connection to add."""


class NoFeedForward(FeedForward):
    """Nothing: a layer is attention alone."""

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> zeros (B, T, D)."""
        return torch.zeros_like(x)


class Linear(FeedForward):
    """Two maps with nothing between them: as many parameters as ReLU's, and no more than one linear map can do."""

    def __init__(self, *, width: int, hidden: int, dropout: float) -> None:
        super().__init__(width=width, hidden=hidden, dropout=dropout)
        self.into, self.out, self.dropout = _linear(width, hidden), _linear(hidden, width), Dropout(dropout)

    def activate(self, x: Tensor) -> Tensor:
        """Return the hidden layer (B, T, F) as it is."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        return self.out(self.dropout(self.activate(self.into(x))))  # hidden: (B, T, F)


class ReLU(Linear):
    """max(0, x W1 + b1) W2 + b2, as published (Vaswani et al. 2017, section 3.3)."""

    def activate(self, x: Tensor) -> Tensor:
        """Return max(0, x) of the hidden layer (B, T, F)."""
        return x.relu()


class GELU(Linear):
    """The hidden layer by the Gaussian error linear unit (Hendrycks and Gimpel 2016)."""

    def activate(self, x: Tensor) -> Tensor:
        """Return x P(X < x), X normal, of the hidden layer (B, T, F)."""
        return F.gelu(x)


class SwiGLU(FeedForward):
    """(swish(x W) * x V) U (Shazeer 2020, section 2), hidden width 2/3 of ReLU's: as many parameters."""

    def __init__(self, *, width: int, hidden: int, dropout: float) -> None:
        super().__init__(width=width, hidden=hidden, dropout=dropout)
        narrower = round(hidden * 2 / 3)
        self.gate, self.into = _linear(width, narrower), _linear(width, narrower)
        self.out, self.dropout = _linear(narrower, width), Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        return self.out(self.dropout(F.silu(self.gate(x)) * self.into(x)))  # hidden: (B, T, 2F/3)


def _linear(inputs: int, outputs: int) -> Map:
    linear = Map(inputs, outputs)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


FEED_FORWARDS: Mapping[str, Callable[..., FeedForward]] = {
    "none": NoFeedForward,
    "linear": Linear,
    "relu": ReLU,
    "gelu": GELU,
    "swiglu": SwiGLU,
}
