"""What one process trains, and the same training for several."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipelines import compose, download, encode, learn_subwords, prepare, train
from pipelines.soaks.kills import OPTIONS
from pipelines.soaks.repository import Points, Repository, twice
from tests.pipelines.conftest import stand_in
from tests.pipelines.thimble import ROOT

DIVIDED = (*OPTIONS, "trainer.limit_updates=120", "training.validation.every=60", "training.accumulate=2")
NEAR = 1e-4  # sums are in another order


def train_alone(folder: Path) -> Repository:
    """Make a repository in which one process trained."""
    repository = Repository(folder, dvc=False)
    repository.furnish(ROOT, DIVIDED)
    with pytest.MonkeyPatch.context() as patch:
        stand_in(repository.folder, patch)
        for stage in (compose, download, prepare, learn_subwords, encode, train):
            stage.main()
    return repository


def beside(alone: Repository, folder: Path, **trainer: object) -> Repository:
    """A repository in which processes are to train, as `trainer` says, what one did alone."""
    shutil.copytree(alone.folder, folder, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts", "checkpoints"))
    for made in ("model", "curves", "snapshots"):
        shutil.rmtree(folder / "artifacts" / made)
    ask_for(folder, **trainer)
    return Repository(folder, dvc=False)


def ask_for(folder: Path, **trainer: object) -> None:
    """Change values of the trainer in params.yaml."""
    parameters = (folder / "params.yaml").read_text()
    for name, value in trainer.items():
        before = next(line for line in parameters.splitlines() if line.startswith(f"  {name}: "))
        parameters = parameters.replace(before, f"  {name}: {value}")
    (folder / "params.yaml").write_text(parameters)


def weights(repository: Repository) -> dict[str, torch.Tensor]:
    return load_file(repository.folder / "artifacts" / "model" / "weights.safetensors")


def the_same(alone: Repository, repository: Repository) -> None:
    """Claim that weights, curves and the one tracking run are those of one process."""
    expected, found = weights(alone), weights(repository)
    assert max(float((expected[name] - found[name]).abs().max()) for name in expected) < NEAR
    (one,), (run,) = alone.runs(), repository.runs()
    assert not twice(run)
    assert {figure: sorted(steps) for figure, steps in run.items()} == {
        figure: sorted(steps) for figure, steps in one.items()
    }
    for figure in ("train/loss", "train/gradient_norm", "train/tokens", "val/loss", "val/bleu"):
        assert values(run, figure) == pytest.approx(values(one, figure), rel=1e-4)
    assert shown(repository) == shown(alone)  # sentences that both translated, in their order
    assert not repository.drafts()


def shown(repository: Repository) -> str:
    """Return the table of translations that the training showed."""
    (table,) = repository.folder.glob("mlartifacts/**/translations.json")
    return table.read_text()


def values(points: Points, figure: str) -> list[float]:
    return [points[figure][step][0] for step in sorted(points[figure])]
