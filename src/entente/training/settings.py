"""How long, in what portions and where to train. Without Lightning, so that a configuration is checked at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from entente.errors import EntenteError
from entente.options import Count, Share

Launcher = Literal["torchrun", "srun"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed", "64-true"]  # as Lightning calls them


@dataclass(frozen=True)
class Averaging:
    """An exponential moving average of the weights, moved every `every` updates; it is what translates."""

    decay: Share
    every: Count


@dataclass(frozen=True)
class Machine:
    """Where to train: Lightning's accelerator, its devices on each node, and the precision for each kind of device.

    Each device has a process, which `launcher` starts. The batches of an update are divided among them, so that with
    any number of them it is the same training.
    """

    accelerator: str
    devices: Count
    precision: Mapping[Literal["cpu", "cuda"], Precision]
    limit_updates: Count | None  # for a trial: fewer updates than the training asks for
    nodes: Count = 1
    launcher: Launcher = "torchrun"

    def __post_init__(self) -> None:
        """Refuse what nothing can be trained on."""
        if self.accelerator not in ("auto", "cpu", "cuda"):
            raise EntenteError(f"trainer.accelerator is {self.accelerator}; choose auto, cpu or cuda")
        if missing := {"cpu", "cuda"} - self.precision.keys():
            raise EntenteError(f"trainer.precision lacks {', '.join(missing)}; conf/trainer/auto.yaml has both")

    @property
    def processes(self) -> int:
        """How many train together."""
        return self.devices * self.nodes

    def share(self, accumulate: int) -> int:
        """Return how many of an update's batches each process takes. EntenteError where they cannot be divided."""
        if accumulate % self.processes:
            raise EntenteError(
                f"an update takes training.accumulate={accumulate} batches, which {self.processes} processes "
                f"(trainer.devices={self.devices}, trainer.nodes={self.nodes}) cannot divide among them: make it a "
                f"multiple of {self.processes}, and training.tokens as much smaller if an update is to stay as large"
            )
        return accumulate // self.processes

    def device(self) -> Literal["cpu", "cuda"]:
        """Return `cuda` or `cpu`, whichever is meant here and now; EntenteError where CUDA is asked for in vain."""
        if self.accelerator == "cpu" or (self.accelerator == "auto" and not torch.cuda.is_available()):
            return "cpu"
        if not torch.cuda.is_available():
            raise EntenteError(
                f"trainer.accelerator is {self.accelerator}, but PyTorch sees no CUDA device: use trainer=auto or "
                "trainer=cpu, or install a PyTorch that fits this machine's GPU driver"
            )
        if self.devices > torch.cuda.device_count():
            raise EntenteError(
                f"trainer.devices is {self.devices}, but this machine has {torch.cuda.device_count()} CUDA devices"
            )
        return "cuda"


@dataclass(frozen=True)
class Course:
    """How long and in what portions to train: `accumulate` batches an update. Intervals are in updates."""

    updates: int
    accumulate: int
    clip: float
    validate_every: int
    checkpoint_every: int
    log_every: int
    patience: int
    averaging: Averaging | None
    snapshots: int  # moments of the training that are kept to be looked at
