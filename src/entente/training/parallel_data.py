"""Parallel data for Lightning: encoded pairs as batches of a token budget."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch.utils.data import DataLoader

from entente.errors import EntenteError
from entente.text.batches import Batch, Pairs, TokenBudgetBatches, collate
from entente.text.encoded import Encoded


class ResumableLoader(DataLoader[Any]):
    """A DataLoader that tells a checkpoint which batches of the epoch were handed out, and goes on after them."""

    def __init__(self, pairs: Pairs, batches: TokenBudgetBatches, *, workers: int, pinned: bool) -> None:
        super().__init__(
            pairs,
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=workers,
            pin_memory=pinned,
            persistent_workers=workers > 0,
        )
        self.batches = batches
        self._done = 0

    def __iter__(self) -> Any:
        """Yield the batches of the sampler's epoch that are left."""
        self._done = self.batches.done
        for batch in super().__iter__():
            self._done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return where we are, for Lightning's checkpoint."""
        return {"epoch": self.batches.epoch, "done": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from what `state_dict` returned."""
        self.batches.set_epoch(state["epoch"])
        self.batches.done = state["done"]


class ParallelData(pl.LightningDataModule):
    """Train and val of a folder of encoded text, in batches of at most `tokens` padded words on either side."""

    def __init__(
        self, folder: Path, *, tokens: int, accumulate: int, workers: int, seed: int, languages: tuple[str, str]
    ) -> None:
        super().__init__()
        self.folder, self.tokens, self.workers, self.languages = folder, tokens, workers, languages
        self.train = self._pairs("train")
        self.val = self._pairs("val")
        self.batches = self._batches(self.train, seed, accumulate)

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

    def _batches(self, pairs: Pairs, seed: int, multiple: int) -> TokenBudgetBatches:
        lengths = pairs.source.lengths, pairs.target.lengths
        return TokenBudgetBatches(*lengths, tokens=self.tokens, seed=seed, multiple=multiple)

    def _loader(self, pairs: Pairs, batches: TokenBudgetBatches) -> ResumableLoader:
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return ResumableLoader(pairs, batches, workers=self.workers, pinned=on_gpu)

    def train_dataloader(self) -> ResumableLoader:
        """Return the training batches of the epoch that the sampler was told."""
        return self._loader(self.train, self.batches)

    def val_dataloader(self) -> ResumableLoader:
        """Return the validation batches, the same each time."""
        return self._loader(self.val, self._batches(self.val, 0, 1))

    def transfer_batch_to_device(self, batch: Batch, device: Any, dataloader_idx: int) -> Batch:
        """Move one batch; Lightning calls this."""
        return batch.to(device)
