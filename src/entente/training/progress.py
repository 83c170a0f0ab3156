"""One progress bar for the whole training."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

_SHOWN = {"train/loss": "loss", "val/bleu": "BLEU", "train/tokens_per_second": "tokens/s"}


class Progress(Callback):
    """Counts updates from the first to the last, over all epochs, with the latest figures beside it."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar where the training stands; Lightning calls this."""
        self._bar = tqdm(
            desc="training",
            unit=" updates",
            total=trainer.max_steps,
            initial=trainer.global_step,
            dynamic_ncols=True,
            disable=not trainer.is_global_zero,
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move on by the updates made; Lightning calls this."""
        if self._bar is None:
            return
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            known = trainer.callback_metrics
            figures = {label: f"{float(known[name]):.4g}" for name, label in _SHOWN.items() if name in known}
            self._bar.set_postfix(figures, refresh=False)
        self._bar.update(trainer.global_step - self._bar.n)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar; Lightning calls this."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar before the error is told; Lightning calls this."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
