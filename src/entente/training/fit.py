"""One training, from a fresh or an interrupted state to the weights that translate best on the validation set."""

import logging
import re
import shutil
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
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
from lightning.pytorch.strategies import DDPStrategy
from torch.optim.swa_utils import get_ema_multi_avg_fn

from entente.errors import EntenteError
from entente.memory import keep_memory
from entente.model.seq2seq import Seq2Seq
from entente.training.checkpoints import LAST, Last, WholeOrNothing
from entente.training.divergence import Divergence
from entente.training.launch import environment
from entente.training.parallel_data import ParallelData
from entente.training.progress import Progress
from entente.training.settings import Averaging, Course, Machine
from entente.training.snapshots import Snapshots, moments
from entente.training.teacher_forcing import TeacherForcing

MOMENTS = "snapshots"  # folder among the checkpoints
_BLEU = "val/bleu"
OF_OTHERS = re.compile("gloo|nccl", re.IGNORECASE)  # what errors of processes that talk to each other name
LOST = timedelta(minutes=10)  # without a word of a process, until the others end


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
    share = machine.share(course.accumulate)
    best = ModelCheckpoint(checkpoints, "best", monitor=_BLEU, mode="max", enable_version_counter=False)
    last = Last(checkpoints, course.checkpoint_every)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # devices, tips, loggers: the bar tells what matters
    trainer = pl.Trainer(
        **_where(machine),
        max_steps=course.updates,
        max_epochs=-1,
        accumulate_grad_batches=share,
        gradient_clip_val=course.clip,
        val_check_interval=course.validate_every * share,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=course.log_every,
        logger=list(loggers),
        callbacks=[Progress(), *_callbacks(course, checkpoints, module), best, last],
        plugins=[WholeOrNothing(), environment(machine)],
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        default_root_dir=checkpoints,
    )
    data.between_batches = lambda: last.between_batches(trainer)
    interrupted = checkpoints / LAST
    with _quiet(), _ctrl_c_stays_ctrl_c(), _others_may_be_lost(machine):
        trainer.fit(module, data, ckpt_path=interrupted if interrupted.exists() else None, weights_only=True)
    updates = _restore_best(module, Path(best.best_model_path))
    trainer.strategy.barrier()  # the first process is about to remove what the others read
    return updates


def _where(machine: Machine) -> dict[str, Any]:
    device = machine.device()
    together = DDPStrategy(
        process_group_backend="gloo" if device == "cpu" else "nccl",
        timeout=LOST,
        broadcast_buffers=False,  # they are constants
        gradient_as_bucket_view=True,
    )
    return {
        "accelerator": device,
        "devices": machine.devices,
        "num_nodes": machine.nodes,
        "strategy": "auto" if machine.processes == 1 else together,
        "precision": machine.precision[device],
    }


def _callbacks(course: Course, checkpoints: Path, module: TeacherForcing) -> list[Callback]:
    stop = EarlyStopping(monitor=_BLEU, mode="max", patience=course.patience)
    average = _MovingAverage(course.averaging) if course.averaging else None
    translates = average.network if average else lambda: module.network
    kept = Snapshots(checkpoints / MOMENTS, moments(course.updates, course.snapshots), translates)
    diverges = Divergence(len(module.network.embedding.weight), checkpoints)
    return [diverges, stop, average, kept] if average else [diverges, stop, kept]


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


@contextmanager
def _others_may_be_lost(machine: Machine) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if machine.processes == 1 or not OF_OTHERS.search(str(error)):
            raise
        said = str(error).splitlines()[0]
        raise EntenteError(
            f"another process of this training has ended, or is out of reach ({said}): "
            "the same command goes on from the last checkpoint"
        ) from error


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
    forgotten = checkpoints.with_name(f".{checkpoints.name}.forgotten")
    shutil.rmtree(forgotten, ignore_errors=True)  # of a process that was killed here
    with suppress(FileNotFoundError):
        checkpoints.rename(forgotten)  # at once: half of them would look like a training that has hardly begun
    shutil.rmtree(forgotten, ignore_errors=True)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # More loader workers would take the two cores' time from the training itself.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # On a cluster some trainings are a process of their own.
        warnings.filterwarnings("ignore", message="The .srun. command is available on your system but is not used")
        # To find the checkpoints of an interrupted training is the point.
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        # torch 2.13; torch 2.11 knows no other name
        warnings.filterwarnings("ignore", message=".*broadcast_buffers. is deprecated", category=FutureWarning)
        # Lightning 2.6 with torch 2.13
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
        yield
