"""Parallel data for Lightning: encoded pairs as batches of a token budget."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch.utils.data import DataLoader

from entente.errors import EntenteError
from entente.text.batches import Batch, EndlessBatches, Pairs, TokenBudgetBatches, collate
from entente.text.encoded import Encoded


class ParallelData(pl.LightningDataModule):
    """Train and val of a folder of encoded text, in batches of at most `tokens` padded words on either side.

    Each training pair is there in as many `segmentations`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tokens: int,
        accumulate: int,
        workers: int,
        seed: int,
        languages: tuple[str, str],
        segmentations: int = 1,
    ) -> None:
        super().__init__()
        self.between_batches: Callable[[], None] = lambda: None
        self.folder, self.languages = folder, languages
        self.tokens, self.accumulate, self.workers = tokens, accumulate, workers
        self.train = self._pairs("train")
        self.val = self._pairs("val")
        lengths = self.train.source.lengths, self.train.target.lengths
        if len(self.train) % segmentations:
            raise EntenteError(
                f"{folder}: train has {len(self.train)} rows, which is no multiple of {segmentations} segmentations; "
                "run `dvc repro encode`"
            )
        self.pairs = len(self.train) // segmentations
        self.batches = TokenBudgetBatches(
            *lengths, tokens=tokens, seed=seed, multiple=accumulate, segmentations=segmentations
        )

    def _pairs(self, split: str) -> Pairs:
        source, target = (Encoded(self.folder / f"{split}.{language}") for language in self.languages)
        if len(source) != len(target):
            raise EntenteError(
                f"{self.folder}: {split} has {len(source)} sources and {len(target)} targets; run `dvc repro encode`"
            )
        if not len(source):
            raise EntenteError(
                f"{self.folder}: {split} is empty; see what cleaning left, artifacts/metrics/prepare.json"
            )
        return Pairs(source, target)

    def longest(self) -> int:
        """Return how many pieces the longest sentence has, on any side of train and val, EOS counted."""
        sides = (side for pairs in (self.train, self.val) for side in (pairs.source, pairs.target))
        return max(int(side.lengths.max()) for side in sides)

    def _loader(self, pairs: Pairs, batches: Iterable[list[int]]) -> DataLoader[Any]:
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return DataLoader(
            pairs,
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=self.workers,
            pin_memory=on_gpu,
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Return batches without end, from the one after the last that was learned from."""
        # An update takes `accumulate` whole batches, so the updates made tell which batches are done; to Lightning
        # it is one endless epoch, whose middle is the only place to resume at.
        updates = self.trainer.global_step if self.trainer else 0
        rank, processes = self._place()
        return self._loader(self.train, EndlessBatches(self.batches, updates * self.accumulate + rank, processes))

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation batches, the same each time; of several processes each has its share."""
        rank, processes = self._place()
        lengths = self.val.source.lengths, self.val.target.lengths
        batches = TokenBudgetBatches(*lengths, tokens=self.tokens // processes, seed=0, multiple=1).epoch(0)
        if len(batches) < processes:
            raise EntenteError(f"{self.folder}: val has {len(self.val)} pairs, too few for {processes} processes")
        return self._loader(self.val, batches[rank::processes])

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Do what is to be done between batches; Lightning calls this when the last one is logged and validated."""
        if self.trainer is not None and self.trainer.training:
            self.between_batches()
        return batch

    def transfer_batch_to_device(self, batch: Batch, device: Any, dataloader_idx: int) -> Batch:
        """Move one batch; Lightning calls this."""
        return batch.to(device)
