"""How a network learns, as `training` in params.yaml describes it."""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer

from entente.options import Option, choose, construct
from entente.text.subwords import PAD
from entente.training.loss import LOSSES, LabelSmoothedCrossEntropy
from entente.training.optimizer import OPTIMIZERS
from entente.training.schedule import SCHEDULES
from entente.training.settings import Averaging, Course


def loss(training: Option) -> LabelSmoothedCrossEntropy:
    """Return what is made small."""
    return choose(LOSSES, training["loss"], "training.loss")(smoothing=training["smoothing"], ignored=PAD)


def optimizer(training: Option) -> Callable[[nn.Module], Optimizer]:
    """Return what makes the optimizer of a network's weights."""
    return choose(OPTIMIZERS, training["optimizer"], "training.optimizer")


def schedule(training: Option, updates: int) -> Callable[[int], float]:
    """Return the learning rate over so many updates."""
    return choose(SCHEDULES, training["schedule"], "training.schedule")(updates=updates)


def course(training: Option, updates: int) -> Course:
    """Return how long and in what portions to train."""
    averaging: Any = training["averaging"]
    return Course(
        updates=updates,
        accumulate=training["accumulate"],
        clip=training["clip"],
        validate_every=min(training["validation"]["every"], updates),
        checkpoint_every=training["checkpoint_every"],
        log_every=training["log_every"],
        patience=training["validation"]["patience"],
        averaging=averaging and construct(Averaging, averaging, "training.averaging"),
        snapshots=training["snapshots"],
    )
