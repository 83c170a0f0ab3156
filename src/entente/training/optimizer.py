"""How gradients move the weights: Adam, or Muon for the maps of a network and Adam for the rest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from entente.options import Positive, Share

# Of the quintic x (a + b x² + c x⁴) that Muon iterates on the singular values: they end near 1 after five rounds.
QUINTIC = 3.4445, -4.7750, 2.0315


class Adam(torch.optim.Adam):
    """Adam (Kingma and Ba 2015). Rates are factors of what the schedule says."""

    def __init__(self, network: nn.Module, *, beta1: Share, beta2: Share, epsilon: Positive) -> None:
        super().__init__(network.parameters(), lr=1.0, betas=(beta1, beta2), eps=epsilon, fused=True)
        self._step_supports_amp_scaling = False  # a scaler is to unscale before gradients are clipped


class Muon(torch.optim.Adam):
    """Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): a step of a map is made orthogonal.

    With the singular values of its momentum all set to 1 a map moves as far in rare directions as in frequent ones.
    Maps are the matrices of linear and recurrent layers; what has several squares, such as queries, keys and values in
    one, is taken apart into them. Embeddings, norms and biases are left to Adam. `times` is the rate of maps, as a
    factor of the schedule's; it is the spectral norm of a step.

    torch.optim.Muon takes one matrix after another, in bfloat16: here all of a shape are one batch, in float32.
    """

    def __init__(
        self, network: nn.Module, *, beta1: Share, beta2: Share, epsilon: Positive, momentum: Share, times: Positive
    ) -> None:
        maps = [
            weight
            for module in network.modules()
            if isinstance(module, nn.Linear | nn.RNNBase)
            for weight in module.parameters(recurse=False)
            if weight.ndim == 2
        ]
        chosen = {id(weight) for weight in maps}
        others = [weight for weight in network.parameters() if id(weight) not in chosen]
        groups = [{"params": others, "lr": 1.0}, {"params": maps, "lr": times}]
        super().__init__(groups, betas=(beta1, beta2), eps=epsilon, fused=True)
        self._momentum = momentum
        self._step_supports_amp_scaling = False  # a scaler is to unscale and to look for infinities before us

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move all weights by their gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            self._move(self.param_groups[1])
        super().step()  # passes over what has no gradient
        return loss

    def _move(self, group: Mapping[str, Any]) -> None:
        moved = [weight for weight in group["params"] if weight.grad is not None]
        for weight in moved:
            if not self.state[weight]:  # Adam asks for `step` when a state is loaded
                self.state[weight] = {"step": torch.zeros(()), "momentum": torch.zeros_like(weight)}
            kept = self.state[weight]["momentum"]
            kept.mul_(self._momentum).add_(weight.grad)
            weight.grad.add_(kept, alpha=self._momentum)  # Nesterov's look ahead
        for weights, steps in _by_shape([squares(weight) for weight in moved], [squares(w.grad) for w in moved]):
            shape = weights[0].shape
            change = orthogonal(torch.stack(steps)) * -(group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5)
            torch._foreach_add_(weights, list(change))
        for weight in moved:
            weight.grad = None


def orthogonal(x: Tensor) -> Tensor:
    """x (N, R, C) -> nearly U V' of each matrix's U S V'.

    Five rounds bring singular values to 0.7 to 1.2, but for those below some thousandth of the matrix's norm.
    """
    a, b, c = QUINTIC
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(5):
        square = x @ x.mT  # (N, R, R)
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def squares(matrix: Tensor) -> Sequence[Tensor]:
    """Views of the square maps that a matrix (R, C) consists of, where one side is a multiple of the other."""
    rows, columns = matrix.shape
    if rows % columns == 0:
        return torch.split(matrix, columns)
    return torch.split(matrix, rows, dim=1) if columns % rows == 0 else [matrix]


def _by_shape(
    weights: Sequence[Sequence[Tensor]], steps: Sequence[Sequence[Tensor]]
) -> Sequence[tuple[list[Tensor], list[Tensor]]]:
    found: dict[torch.Size, tuple[list[Tensor], list[Tensor]]] = {}
    for own, theirs in zip(weights, steps, strict=True):
        for weight, step in zip(own, theirs, strict=True):
            group = found.setdefault(weight.shape, ([], []))
            group[0].append(weight)
            group[1].append(step)
    return list(found.values())


OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {"adam": Adam, "muon": Muon}
