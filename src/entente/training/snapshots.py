"""Moments of a training, kept to be looked at later: what the network knew, and when."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from entente.model.seq2seq import Seq2Seq
from entente.model.weights import save_snapshot

RATIO = 0.75  # of the updates before the next moment: more is learnt early than late


def moments(updates: int, count: int) -> list[int]:
    """Return after which of so many updates the `count` snapshots are taken; the end of the training is not one."""
    return sorted({max(1, round(updates * RATIO**number)) for number in range(1, count + 1)} - {updates})


class Snapshots(Callback):
    """Saves the network `network()` after each of the `updates`, as UPDATES.safetensors with leading zeros."""

    def __init__(self, folder: Path, updates: list[int], network: Callable[[], Seq2Seq]) -> None:
        self._folder, self._updates, self._network = folder, set(updates), network
        self._last = 0

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Save, where it is time; a training that is resumed saves the same again."""
        update, self._last = self._last, trainer.global_step
        due = self._last != update and self._last in self._updates
        if due and trainer.is_global_zero:  # several batches may make one
            save_snapshot(self._network(), self._folder / f"{trainer.global_step:07}.safetensors")
