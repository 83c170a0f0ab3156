"""The learning rate over the updates."""

from collections.abc import Callable, Mapping

from entente.options import Count, Positive


class InverseSquareRoot:
    """A linear rise to `peak` over `warmup` updates, then a fall with 1 / sqrt(update) (Vaswani et al. 2017, 5.3)."""

    def __init__(self, *, peak: Positive, warmup: Count, updates: Count) -> None:
        self.peak, self.warmup = peak, warmup

    def __call__(self, update: int) -> float:
        """Return the rate of update 0, 1, 2, ..."""
        number = update + 1
        return self.peak * min(number / self.warmup, (self.warmup / number) ** 0.5)


class LinearDecay:
    """A linear rise to `peak` over `warmup` updates, then a straight fall to zero after the last of `updates`.

    For a training whose length is known beforehand: its last updates are small, so it ends at its best.
    """

    def __init__(self, *, peak: Positive, warmup: Count, updates: Count) -> None:
        self.peak, self.warmup, self.updates = peak, warmup, updates

    def __call__(self, update: int) -> float:
        """Return the rate of update 0, 1, 2, ..."""
        number = update + 1
        left = max(0, self.updates - update) / max(1, self.updates - self.warmup)
        return self.peak * min(number / self.warmup, left)


SCHEDULES: Mapping[str, Callable[..., Callable[[int], float]]] = {
    "inverse_square_root": InverseSquareRoot,
    "linear_decay": LinearDecay,
}
