from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from mlflow import MlflowClient
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from entente.tracking.logger import RunLogger
from entente.tracking.runs import Run, Runs

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),  # Lightning with torch 2.13
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # three batches need none
]
Curve = Callable[[str, str], list[tuple[int, float]]]


class Counting(LightningModule):
    """Logs the number of the step as its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: tuple[Tensor, ...], index: int) -> Tensor:
        self.log("train/step", float(self.global_step))
        return (self.weight * batch[0]).sum()

    def validation_step(self, batch: tuple[Tensor, ...], index: int) -> None:
        self.log("validation/step", float(self.global_step))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def batches() -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(torch.ones(3, 1)))


def trainer(run: Run, folder: Path, epochs: int) -> Trainer:
    return Trainer(
        accelerator="cpu",
        logger=RunLogger(run),
        max_epochs=epochs,
        log_every_n_steps=1,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )


def test_every_figure_arrives_once_and_steps_go_on_after_an_interruption(
    runs: Runs, root: Path, client: MlflowClient, curve: Curve
) -> None:
    data = batches()
    with runs.train("tiny", "one", {"seed": 1}, {}, resume=False) as run:
        first = trainer(run, root, epochs=2)
        first.fit(Counting(), data, data)
        first.save_checkpoint(root / "last.ckpt")
    with runs.train("tiny", "one", {"seed": 1}, {}, resume=True) as run:
        trainer(run, root, epochs=4).fit(Counting(), data, data, ckpt_path=root / "last.ckpt")
    assert curve(run.id, "train/step") == [(step, float(step)) for step in range(12)]
    assert [step for step, _ in curve(run.id, "validation/step")] == [2, 5, 8, 11]
    assert client.get_run(run.id).info.status == "FINISHED"


def test_the_figures_before_a_failure_are_kept(runs: Runs, root: Path, client: MlflowClient, curve: Curve) -> None:
    class Failing(Counting):
        def training_step(self, batch: tuple[Tensor, ...], index: int) -> Tensor:
            if index == 2:
                raise ArithmeticError
            return super().training_step(batch, index)

    run = runs.train("tiny", "one", {}, {}, resume=False)
    with pytest.raises(ArithmeticError):
        fit(Failing(), run, root)
    assert curve(run.id, "train/step") == [(0, 0.0), (1, 1.0)]
    assert client.get_run(run.id).info.status == "FAILED"


def fit(module: LightningModule, run: Run, folder: Path) -> None:
    with run:
        data = batches()
        trainer(run, folder, epochs=1).fit(module, data, data)


def test_a_silent_run_takes_everything(runs: Runs, root: Path) -> None:
    run = runs.train("tiny", "one", {}, {}, resume=False, leads=False)
    fit(Counting(), run, root)
    assert runs.find("one") is None
