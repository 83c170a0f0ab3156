"""Noticing that a training goes wrong while its last good state is still there."""

import logging
import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from entente.errors import EntenteError

log = logging.getLogger("entente.training")

LOST = 2.0  # times the loss of guessing evenly: networks begin at about once that
FALLEN = 0.5  # of the best BLEU


class Divergence(Callback):
    """Stops a training that has left what is learnt behind, before that is saved over a good checkpoint.

    The loss is looked at where it is logged and at each validation; the weights, all of them, before they are saved.
    Raises EntenteError where a weight is no finite number, or a loss is beyond twice that of guessing evenly among the
    `vocabulary`. A validation BLEU that fell to half is told.
    """

    def __init__(self, vocabulary: int, checkpoints: Path) -> None:
        self._limit = LOST * math.log(vocabulary)
        self._checkpoints = checkpoints
        self._last = 0
        self._best, self._best_update, self._told = 0.0, 0, False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin where the training stands; Lightning calls this."""
        self._last = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        """Look at the loss where it was logged; Lightning calls this."""
        before, self._last = self._last, trainer.global_step
        # Several batches may make one update.
        if self._last != before and self._last % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._look_at("loss", float(trainer.callback_metrics["train/loss"]), self._last)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Any) -> None:
        """Look at the weights that are about to be saved, whatever the reason; Lightning calls this."""
        bad = [name for name, weight in pl_module.named_parameters() if not bool(torch.isfinite(weight).all())]
        if bad:
            raise self._error(f"{len(bad)} weights, {bad[0]} among them, are no finite numbers", trainer.global_step)

    def _look_at(self, name: str, loss: float, update: int) -> None:
        if not loss <= self._limit:  # nor does NaN
            guessing = self._limit / LOST
            raise self._error(f"the {name} is {loss:.1f}, and a network that guesses has {guessing:.1f}", update)

    def _error(self, what: str, update: int) -> EntenteError:
        kept = sorted(self._checkpoints.glob("*.ckpt"))
        saved = f"what was saved before is kept: {', '.join(map(str, kept))}" if kept else "nothing had been saved yet"
        return EntenteError(
            f"the training diverged: after {update} updates {what}; {saved}. The same command would come here again: "
            "lower training.schedule.peak, lengthen training.schedule.warmup or lower training.clip"
        )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the loss, and tell once of translations that have become much worse; Lightning calls this."""
        self._look_at("validation loss", float(trainer.callback_metrics["val/loss"]), trainer.global_step)
        bleu = float(trainer.callback_metrics["val/bleu"])
        if bleu >= self._best:
            self._best, self._best_update = bleu, trainer.global_step
        elif bleu < FALLEN * self._best and not self._told:
            self._told = True
            if not trainer.is_global_zero:
                return
            log.warning(
                "validation BLEU fell from %.1f after %d updates to %.1f after %d: should it not come back, "
                "training.schedule.peak may be too high; the weights of update %d are kept",
                self._best, self._best_update, bleu, trainer.global_step, self._best_update,
            )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Return what an interrupted training needs to go on; Lightning calls this."""
        return {"best": self._best, "update": self._best_update, "told": self._told}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there; Lightning calls this."""
        self._best, self._best_update, self._told = (state_dict[name] for name in ("best", "update", "told"))
