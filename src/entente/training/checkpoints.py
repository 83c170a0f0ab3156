"""What an interrupted training goes on from, and how a training ends that is asked to."""

import io
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from entente.errors import TERMINATED
from entente.text.corpus import replacing

LAST = "last.ckpt"
TOGETHER = {"cpu": 1, "cuda": 10}  # updates after which processes ask each other; a GPU has to be waited for


class WholeOrNothing(TorchCheckpointIO):
    """Writes checkpoints beside their place. Lightning's own come from /tmp, which may be on another disk: by a copy,
    which a kill or a full disk cuts short over the checkpoint that was there."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; Lightning calls this. OSError names the file."""
        content = io.BytesIO()  # to a file, PyTorch hides what the system says of it
        torch.save(checkpoint, content)
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())


class Last(Checkpoint):
    """Saves LAST every so many updates, after each validation, and before it ends a training that is asked to stop.

    SIGINT and SIGTERM ask: an update or a validation that is under way is finished, then KeyboardInterrupt or
    SystemExit is raised. SIGINT once more does not wait. Of several processes all end where one is asked to.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self._file, self._every = folder / LAST, every
        self._saved = 0
        self._asked: int | None = None
        self._agreed = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen to signals; Lightning, which does so too and would end with status 0, calls this and undoes it."""
        self._saved = trainer.global_step
        if threading.current_thread() is threading.main_thread():
            for asking in (signal.SIGINT, signal.SIGTERM):
                signal.signal(asking, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if number == self._asked == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = number

    def between_batches(self, trainer: pl.Trainer) -> None:
        """Save or end where it is time, which it is never within an update of several batches.

        To be called when all that was logged of a batch is with the loggers: what precedes a checkpoint is not
        learnt, nor logged, again.
        """
        updates = trainer.global_step
        if trainer.fit_loop.total_batch_idx + 1 != updates * trainer.accumulate_grad_batches:
            return
        self._agree(trainer)
        if updates != self._saved and (self._agreed or updates % self._every == 0):
            self._save(trainer)
        self._end_if_asked()

    def _agree(self, trainer: pl.Trainer, *, now: bool = False) -> None:
        device = trainer.strategy.root_device
        if trainer.world_size == 1:
            self._agreed = self._asked or 0
        elif now or trainer.global_step % TOGETHER[device.type] == 0:
            asked = torch.tensor(self._asked or 0, device=device)
            self._agreed = int(trainer.strategy.reduce(asked, reduce_op="max"))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save with the outcome, and end if asked to; Lightning calls this after other callbacks, the best kept."""
        self._agree(trainer, now=True)
        self._save(trainer)
        self._end_if_asked()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End as asked also where no batch follows; Lightning calls this."""
        self._agree(trainer, now=True)
        self._end_if_asked()

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Any) -> None:
        """Let loggers write down what they have first; Lightning calls this."""
        for logger in trainer.loggers:
            logger.save()

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._file)
        self._saved = trainer.global_step

    def _end_if_asked(self) -> None:
        if self._agreed == signal.SIGINT:
            raise KeyboardInterrupt
        if self._agreed:
            sys.exit(TERMINATED)
