"""Teacher forcing: at every position the network is given the right words so far and asked for the next."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from entente.model.seq2seq import Seq2Seq
from entente.text.batches import Batch
from entente.text.subwords import PAD
from entente.training.loss import LabelSmoothedCrossEntropy


@dataclass(frozen=True)
class Validation:
    """How the stage judges a network while it learns: it translates, scores 0..100, and may show the result."""

    translate: Callable[[Seq2Seq, slice], list[str]]  # some of the sentences
    score: Callable[[Sequence[str]], float]
    show: Callable[[Sequence[str], int], None]  # hypotheses, update


class TeacherForcing(pl.LightningModule):
    """Trains a Seq2Seq network with `loss`, an optimizer and a learning rate `schedule(update)`."""

    def __init__(
        self,
        network: Seq2Seq,
        loss: LabelSmoothedCrossEntropy,
        optimizer: Callable[[nn.Module], Optimizer],
        schedule: Callable[[int], float],
        validation: Validation,
        seed: int,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.network, self.loss = network, loss
        self.optimizer, self.schedule, self.validation = optimizer, schedule, validation
        self._tokens, self._since, self._paused = 0, time.perf_counter(), 0.0
        self._updates = 0
        self._loss = torch.zeros(())  # of the update that is under way
        self._nll, self._right, self._words = 0.0, 0, 0
        self._hypotheses: list[str] = []

    def configure_optimizers(self) -> Any:
        """Build the optimizer, whose rates are factors of the schedule's; Lightning calls this."""
        optimizer = self.optimizer(self.network)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.schedule)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Make dropout a pure function of seed and batch number, so that an interrupted training resumes exactly."""
        number = batch_idx * self.trainer.world_size + self.trainer.global_rank
        key = np.random.SeedSequence((self.seed, number))
        seed = int(key.generate_state(1, np.uint64)[0])
        # torch.manual_seed would seed devices too that nobody uses, which takes a millisecond.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        batch = batch.times(self.loss.copies)
        x = self.network.read(batch.tgt_in, self.network.encode(batch.src, batch.src_mask), batch.src_mask)  # (B, T, D)
        loss: Tensor = self.loss(x, self.network.embedding.weight, batch.tgt_out)
        self._tokens += batch.words
        if self._is_logged():
            self._loss = self._loss + loss.detach() / self.trainer.accumulate_grad_batches
            if (batch_index + 1) % self.trainer.accumulate_grad_batches == 0:  # the update's last batch
                self.log("train/loss", self._loss, prog_bar=True, sync_dist=True)
                self._loss = torch.zeros(())
        return loss

    def _is_logged(self) -> bool:
        """Say whether the trainer keeps what is logged of the update that is under way."""
        return (self.trainer.global_step + 1) % self.trainer.log_every_n_steps == 0  # type: ignore[attr-defined]

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient by its norm and log that norm; Lightning calls this before each update."""
        limit = math.inf if gradient_clip_val is None else float(gradient_clip_val)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        if self._is_logged():
            self.log("train/gradient_norm", norm)
            self.log("train/learning_rate", self.schedule(self.trainer.global_step))

    def on_train_start(self) -> None:
        """Start the clock of tokens per second."""
        self._updates = self.trainer.global_step
        self._tokens, self._since = 0, time.perf_counter()

    def on_train_batch_end(self, outputs: object, batch: Batch, batch_idx: int) -> None:
        """Log, where the trainer logs, the real target tokens since the last time, and how many a second."""
        updates, every = self.trainer.global_step, self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if updates != self._updates and updates % every == 0:
            now = time.perf_counter()
            tokens = self._sum(self._tokens)
            self.log("train/tokens", tokens)
            self.log("train/tokens_per_second", tokens / (now - self._since), prog_bar=True)
            self._tokens, self._since = 0, now
        self._updates = updates  # several batches may make one

    def on_validation_epoch_start(self) -> None:
        """Translate, with the averaged weights in place (at the epoch's end they are swapped out already)."""
        self._paused = time.perf_counter()
        self._nll, self._right, self._words = 0.0, 0, 0
        rank, processes = self.trainer.global_rank, self.trainer.world_size
        self._hypotheses = self._gather(self.validation.translate(self.network, slice(rank, None, processes)))

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Add up the loss of one batch, unsmoothed, and how often the right word scores highest."""
        logits = self.network(batch.src, batch.src_mask, batch.tgt_in).float()
        self._nll += F.cross_entropy(
            logits.flatten(0, 1), batch.tgt_out.flatten(), ignore_index=PAD, reduction="sum"
        ).item()
        real = batch.tgt_out != PAD
        self._right += int(((logits.argmax(-1) == batch.tgt_out) & real).sum())
        self._words += batch.words

    def on_validation_epoch_end(self) -> None:
        """Log validation loss (nats a piece), perplexity, accuracy (%) and BLEU, and show the translations."""
        words = max(1.0, self._sum(self._words))
        loss = self._sum(self._nll) / words
        bleu = self.validation.score(self._hypotheses)
        figures = {
            "val/loss": loss,
            "val/perplexity": math.exp(min(loss, 50.0)),
            "val/accuracy": 100 * self._sum(self._right) / words,
            "val/bleu": bleu,
        }
        self.log_dict(figures, sync_dist=True)  # the same everywhere, which Lightning cannot know
        if self.trainer.is_global_zero:
            self.validation.show(self._hypotheses, self.trainer.global_step)
        self._since += time.perf_counter() - self._paused  # the time spent here is not training

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Count batches as this number of processes does, whoever wrote the checkpoint; Lightning calls this."""
        made = checkpoint["global_step"] * self.trainer.accumulate_grad_batches
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            counts.update(dict.fromkeys(counts, made))

    def _sum(self, value: float) -> float:
        """Add up what each process has counted."""
        if self.trainer.world_size == 1:
            return float(value)
        shares = torch.tensor(value, dtype=torch.float64, device=self.device)
        return float(self.trainer.strategy.reduce(shares, reduce_op="sum"))

    def _gather(self, sentences: list[str]) -> list[str]:
        """Put together what each process has of a list: the first, and then every so many on."""
        if self.trainer.world_size == 1:
            return sentences
        shares: list[list[str]] = [[] for _ in range(self.trainer.world_size)]
        torch.distributed.all_gather_object(shares, sentences)
        return [sentence for row in zip_longest(*shares) for sentence in row if sentence is not None]
