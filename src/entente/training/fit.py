"""One training, from a fresh or an interrupted state to the weights that translate best on the validation set."""

import logging
import shutil
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    WeightAveraging,
)
from lightning.pytorch.loggers.logger import Logger
from torch.optim.swa_utils import get_ema_multi_avg_fn

from entente.errors import EntenteError
from entente.memory import keep_memory
from entente.model.seq2seq import Seq2Seq
from entente.training.parallel_data import ParallelData
from entente.training.progress import Progress
from entente.training.snapshots import Snapshots, moments
from entente.training.teacher_forcing import TeacherForcing

MOMENTS = "snapshots"  # folder among the checkpoints
_BLEU = "val/bleu"


@dataclass(frozen=True)
class Averaging:
    """An exponential moving average of the weights, moved every `every` updates; it is what translates."""

    decay: float
    every: int


@dataclass(frozen=True)
class Machine:
    """Where to train: Lightning's accelerator and devices, and the precision for each kind of device."""

    accelerator: str
    devices: int
    precision: Mapping[str, Any]
    limit_updates: int | None  # for a trial: fewer updates than the training asks for

    def device(self) -> str:
        """Return `cuda` or `cpu`, whichever is meant here and now; EntenteError where CUDA is asked for in vain."""
        if self.devices != 1:
            raise EntenteError(
                f"trainer.devices is {self.devices}, but training on several devices is not built yet: use 1"
            )
        if self.accelerator not in ("auto", "cpu", "cuda"):
            raise EntenteError(f"trainer.accelerator is {self.accelerator}; choose auto, cpu or cuda")
        if self.accelerator == "cpu" or (self.accelerator == "auto" and not torch.cuda.is_available()):
            return "cpu"
        if not torch.cuda.is_available():
            raise EntenteError(
                f"trainer.accelerator is {self.accelerator}, but PyTorch sees no CUDA device: use trainer=auto or "
                "trainer=cpu, or install a PyTorch that fits this machine's GPU driver"
            )
        return "cuda"


@dataclass(frozen=True)
class Course:
    """How long and in what portions to train. Intervals are in updates of the weights."""

    updates: int
    accumulate: int
    clip: float
    validate_every: int
    checkpoint_every: int
    log_every: int
    patience: int
    averaging: Averaging | None
    snapshots: int  # moments of the training that are kept to be looked at


class _BetweenValidations(ModelCheckpoint):
    """Saves `last` every so many updates; where a validation comes next, its own `last` follows with the outcome."""

    def __init__(self, course: Course, folder: Path) -> None:
        super().__init__(folder, "last", every_n_train_steps=course.checkpoint_every, enable_version_counter=False)
        self._validate_every = course.validate_every

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step % self._validate_every:
            super().on_train_batch_end(trainer, *args)


class _MovingAverage(WeightAveraging):
    """Moves all weights at once; Lightning's EMAWeightAveraging takes three times as long, one weight after another."""

    def __init__(self, averaging: Averaging) -> None:
        move = get_ema_multi_avg_fn(averaging.decay)  # type: ignore[no-untyped-call]
        super().__init__(use_buffers=False, multi_avg_fn=move)
        self._every = averaging.every

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Say whether the average moves after update `step_idx`, counted from 0; Lightning asks."""
        return step_idx is not None and step_idx % self._every == 0

    def network(self) -> Seq2Seq:
        """Return the network with the averaged weights."""
        assert self._average_model is not None  # since the training began
        return cast("TeacherForcing", self._average_model.module).network


def fit(
    module: TeacherForcing,
    data: ParallelData,
    *,
    course: Course,
    machine: Machine,
    checkpoints: Path,
    loggers: Sequence[Logger],
) -> int:
    """Train, resuming from `checkpoints` where there is something; leave the best weights in the module.

    Returns after how many updates the network translated best.
    """
    longest, reach = data.longest(), module.network.max_length
    if longest > reach:
        raise EntenteError(
            f"a training sentence has {longest} pieces, but the network reads at most {reach}: "
            "clean such sentences out (corpus.cleaning), or make model.max_length larger"
        )
    keep_memory()
    device = machine.device()
    best = ModelCheckpoint(checkpoints, "best", monitor=_BLEU, mode="max", save_last=True, enable_version_counter=False)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # devices, tips, loggers: the bar tells what matters
    trainer = pl.Trainer(
        accelerator=device,
        devices=machine.devices,
        precision=machine.precision[device],
        max_steps=course.updates,
        max_epochs=-1,
        accumulate_grad_batches=course.accumulate,
        gradient_clip_val=course.clip,
        val_check_interval=course.validate_every * course.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=course.log_every,
        logger=list(loggers),
        callbacks=[Progress(), best, *_callbacks(course, checkpoints, module)],
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        default_root_dir=checkpoints,
    )
    interrupted = checkpoints / "last.ckpt"
    with _quiet(), _ctrl_c_stays_ctrl_c():
        trainer.fit(module, data, ckpt_path=interrupted if interrupted.exists() else None, weights_only=True)
    return _restore_best(module, Path(best.best_model_path))


def _callbacks(course: Course, checkpoints: Path, module: TeacherForcing) -> list[Callback]:
    stop = EarlyStopping(monitor=_BLEU, mode="max", patience=course.patience)
    average = _MovingAverage(course.averaging) if course.averaging else None
    translates = average.network if average else lambda: module.network
    kept = Snapshots(checkpoints / MOMENTS, moments(course.updates, course.snapshots), translates)
    callbacks = [_BetweenValidations(course, checkpoints), stop]
    return [*callbacks, average, kept] if average else [*callbacks, kept]


@contextmanager
def _ctrl_c_stays_ctrl_c() -> Iterator[None]:
    # Lightning turns it into exit status 1, and ignores the signal from then on.
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as exit:
        if isinstance(exit.__context__, KeyboardInterrupt):
            raise exit.__context__ from None
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def _restore_best(module: TeacherForcing, file: Path) -> int:
    if not file.is_file():
        raise EntenteError(
            "training ended before its first validation, so there is no model to keep: "
            "make training.updates at least training.validation.every"
        )
    checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    return int(checkpoint["global_step"])


def forget(checkpoints: Path) -> None:
    """Remove the checkpoints of a training that is finished and saved, so that asking for it again trains anew."""
    shutil.rmtree(checkpoints, ignore_errors=True)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # More loader workers would take the two cores' time from the training itself.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # To find the checkpoints of an interrupted training is the point.
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        # Lightning 2.6 with torch 2.13
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
        yield
