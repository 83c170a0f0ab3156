"""Trainings as a person may describe them."""

from pathlib import Path
from typing import Any

import pytest

from tests.rubbish.configurations import GONE, INFINITE, NAN, changed, refuse
from tests.rubbish.table import table


@table(
    ("updates below 0", {"training.updates": -5}, r"training\.updates is -5; it should be at least 1"),
    ("batches of nothing", {"training.tokens": 0}, r"training\.tokens is 0; it should be at least 1"),
    ("gradients turned round", {"training.clip": -1}, r"training\.clip is -1; it should be greater than 0"),
    ("gradients without bounds", {"training.clip": INFINITE}, r"training\.clip is inf; it should be a finite number"),
    ("smoother than smooth", {"training.smoothing": 2}, r"training\.smoothing is 2; it should be less than 1"),
    ("sharper than sharp", {"training.smoothing": -0.1}, r"training\.smoothing is -0\.1; it should be at least 0"),
    ("workers that owe work", {"training.workers": -1}, r"training\.workers is -1; it should be at least 0"),
    ("an update of no batch", {"training.accumulate": 0}, r"training\.accumulate is 0; it should be at least 1"),
    ("a curve of no point", {"training.log_every": 0}, r"training\.log_every is 0; it should be at least 1"),
    ("checkpoints in the past", {"training.checkpoint_every": -1}, r"training\.checkpoint_every is -1"),
    ("moments below 0", {"training.snapshots": -1}, r"training\.snapshots is -1; it should be at least 0"),
    (
        "never a validation",
        {"training.validation.every": 0},
        r"training\.validation\.every is 0; it should be at least 1",
    ),
    (
        "no patience",
        {"training.validation.patience": 0},
        r"training\.validation\.patience is 0; it should be at least 1",
    ),
    ("no validation", {"training.validation": None}, r"training\.validation is None; it should be a group of options"),
    (
        "a misspelt key below",
        {"training.validation.evry": 3},
        "training.validation has no option evry; it has max_length",
    ),
    ("a key below that is gone", {"training.validation.every": GONE}, "training.validation lacks every; conf/ has an"),
    ("a key that nobody reads", {"training.colour": "red"}, "training has no option colour; it has loss, optimizer"),
    (
        "a rate that unlearns",
        {"training.schedule.peak": -3e-3},
        r"training\.schedule\.peak is -0\.003; it should be great",
    ),
    (
        "a rate that is no number",
        {"training.schedule.peak": NAN},
        r"training\.schedule\.peak is nan; it should be a finite",
    ),
    (
        "a warm-up of nothing",
        {"training.schedule.warmup": 0},
        r"training\.schedule\.warmup is 0; it should be at least 1",
    ),
    (
        "a warm-up longer than the training",
        {"training.schedule.warmup": 5000},
        r"training\.schedule\.warmup is 5000, but training\.updates 1800: the rate would never reach its peak; choose",
    ),
    (
        "an unknown schedule",
        {"training.schedule.kind": "cosine"},
        "training.schedule: unknown kind 'cosine'; there are inv",
    ),
    (
        "an unknown optimizer",
        {"training.optimizer.kind": "sgd"},
        "training.optimizer: unknown kind 'sgd'; there are adam",
    ),
    (
        "a mean that never forgets",
        {"training.optimizer.beta1": 1},
        r"training\.optimizer\.beta1 is 1; it should be less th",
    ),
    (
        "division by nothing",
        {"training.optimizer.epsilon": 0},
        r"training\.optimizer\.epsilon is 0; it should be greater",
    ),
    (
        "an average that never moves",
        {"training.averaging.decay": 1.0},
        r"training\.averaging\.decay is 1\.0; it should be",
    ),
    ("an average of a number", {"training.averaging": 3}, r"training\.averaging is 3; it should be a group of options"),
    (
        "no for an average",
        {"training.averaging": False},
        r"training\.averaging is False; it should be a group of options",
    ),
    (
        "no device",
        {"trainer.devices": 0},
        "trainer.devices is 0; it should be at least 1",
    ),
    (
        "more processes than batches",
        {"trainer.devices": 2},
        "training.accumulate=1 batches, which 2 processes .* multiple",
    ),
    (
        "a launcher of another kind",
        {"trainer.launcher": "mpirun"},
        r"trainer\.launcher is 'mpirun'; it should be 'torchrun'",
    ),
    ("every device", {"trainer.devices": "all"}, "trainer.devices is 'all'; it should be a valid integer"),
    (
        "a device of another house",
        {"trainer.accelerator": "tpu"},
        "trainer.accelerator is tpu; choose auto, cpu or cuda",
    ),
    ("numbers of 8 bits", {"trainer.precision.cpu": "8"}, r"trainer\.precision\.cpu is '8'; it should be '32-true'"),
    ("one precision for all", {"trainer.precision": 32}, r"trainer\.precision is 32; it should be a group of options"),
    (
        "no precision on a GPU",
        {"trainer.precision": {"cpu": "32-true"}},
        "trainer.precision lacks cuda; conf/trainer/auto",
    ),
    ("a limit of nothing", {"trainer.limit_updates": 0}, r"trainer\.limit_updates is 0; it should be at least 1"),
)
def test_a_training(
    put_in: Any, said: str, default: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse(changed(default, put_in), said, monkeypatch, tmp_path)
