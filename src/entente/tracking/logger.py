"""The Lightning logger that writes into a run."""

from argparse import Namespace
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from entente.tracking.runs import Run


class RunLogger(Logger):
    """Hands Lightning's figures to a run, whose status and end belong to the one that opened it.

    Lightning's own MLFlowLogger writes each point on the training's thread: it stops, or waits minutes, when
    the store is away. Here points wait in the run's outbox and travel in batches.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def version(self) -> str:
        """The run's id."""
        return self.run.id

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a point to each curve; the step is the trainer's, which goes on where a checkpoint left it."""
        # To Lightning a training is one endless epoch: its number would tell nothing.
        self.run.metrics({name: value for name, value in metrics.items() if name != "epoch"}, step or 0)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run holds the whole composed configuration already."""

    @rank_zero_only
    def save(self) -> None:
        """Write down what is not delivered yet: a training asks for it before it saves a checkpoint."""
        self.run.keep()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Deliver what waits."""
        self.run.flush()
