"""Recurrent cells, from scratch: how what was read so far and one more word become what was read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from entente.model.maps import Map

Kept = tuple[Tensor, ...]  # what a cell hands itself from word to word, (B, D) each; others see the first


class Cell(nn.Module, ABC):
    """One step of a recurrent layer, `into` + `over`: maps of the input and of the last step, for all gates at once.

    `into` does not depend on the last step, so it is done for all words in one product before they are read in turn.
    """

    gates: int  # vectors that a step computes from its input
    keeps: int  # vectors in a Kept

    def __init__(self, *, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.into = Map(inputs, self.gates * width)
        self.over = Map(width, self.gates * width)
        _initialise(self.into.weight, self.over.weight, self.into.bias, self.over.bias)

    @abstractmethod
    def forward(self, x: Tensor, kept: Kept) -> Kept:
        """Read one word: x (B, gates * D) is what `into` made of it."""


class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014, section 2.3).

    The reset gate acts after the product with the last state, as in cuDNN and PyTorch: one product serves all gates.
    """

    gates, keeps = 3, 1  # reset, update, new

    def forward(self, x: Tensor, kept: Kept) -> Kept:
        """x (B, 3D), h (B, D) -> h (B, D)."""
        (h,) = kept
        widths = 2 * self.width, self.width
        x_gates, x_new = x.split_with_sizes(widths, dim=1)
        h_gates, h_new = self.over(h).split_with_sizes(widths, dim=1)
        reset, update = (x_gates + h_gates).sigmoid().chunk(2, dim=1)  # (B, D) each
        new = torch.addcmul(x_new, reset, h_new).tanh()
        return (torch.lerp(new, h, update),)


class LSTM(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000), at first open."""

    gates, keeps = 4, 2  # input, forget, output, new

    def __init__(self, *, inputs: int, width: int) -> None:
        super().__init__(inputs=inputs, width=width)
        _open_forget_gate(self.into.bias)

    def forward(self, x: Tensor, kept: Kept) -> Kept:
        """x (B, 4D); h, c (B, D) -> h, c (B, D)."""
        h, c = kept
        gates, new = (x + self.over(h)).split_with_sizes((3 * self.width, self.width), dim=1)
        write, keep, show = gates.sigmoid().chunk(3, dim=1)  # (B, D) each
        c = torch.addcmul(keep * c, write, new.tanh())
        return show * c.tanh(), c


def two_way_gru(*, width: int) -> nn.GRU:
    """Return a layer (words, D) -> (words, D) that reads from both ends, on PyTorch's kernel for whole sentences."""
    reader = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
    for weights in reader.all_weights:
        _initialise(*weights)
    return reader


def two_way_lstm(*, width: int) -> nn.LSTM:
    """Return a layer (words, D) -> (words, D) that reads from both ends, on PyTorch's kernel for whole sentences."""
    reader = nn.LSTM(width, width // 2, batch_first=True, bidirectional=True)
    for weights in reader.all_weights:
        _initialise(*weights)
        _open_forget_gate(weights[2])
    return reader


def _initialise(into: Tensor, over: Tensor, *biases: Tensor) -> None:
    # Each gate is a map of its own. Inputs: Glorot and Bengio 2010; steps: orthogonal maps (Saxe et al. 2014).
    gates = len(over) // over.shape[1]
    for weight in into.chunk(gates):
        nn.init.xavier_uniform_(weight)
    for weight in over.chunk(gates):
        nn.init.orthogonal_(weight)
    for bias in biases:
        nn.init.zeros_(bias)


def _open_forget_gate(bias: Tensor) -> None:
    nn.init.ones_(bias.chunk(4)[1])  # Jozefowicz et al. 2015, section 5; the second gate, ours and PyTorch's


CELLS: Mapping[str, Callable[..., Cell]] = {"gru": GRU, "lstm": LSTM}
READERS: Mapping[str, Callable[..., nn.GRU | nn.LSTM]] = {"gru": two_way_gru, "lstm": two_way_lstm}
