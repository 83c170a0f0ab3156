import logging
import math
import signal
from pathlib import Path

import pytest
import torch

from entente.errors import EntenteError
from tests.training.fitting import train

BROKEN = r"\d+ weights, network\.embedding\.weight among them, are no finite numbers"


@pytest.mark.parametrize(
    ("good", "rate", "log_every", "complaint", "kept"),
    [
        (9, math.inf, 1, "after 11 updates the loss is nan", 9),
        (9, math.inf, 100, "after 12 updates the validation loss is nan", 9),
        (7, math.inf, 100, f"after 8 updates {BROKEN}", 6),  # the average that was validated had not moved yet
        (9, 50.0, 1, r"after 11 updates the loss is \d+\.\d, and a network that guesses has 3\.4", 9),
        (9, 50.0, 100, r"after 12 updates the validation loss is \d+\.\d", 9),
    ],
)
def test_a_training_that_diverges_stops_and_its_last_good_state_stays(
    encoded: Path, tmp_path: Path, good: int, rate: float, log_every: int, complaint: str, kept: int
) -> None:
    with pytest.raises(EntenteError, match=complaint) as told:
        train(encoded, tmp_path, log_every=log_every, schedule=lambda update: 1e-2 if update < good else rate)
    assert str(tmp_path / "last.ckpt") in str(told.value)
    assert "training.schedule.peak" in str(told.value)
    assert_sound(tmp_path / "last.ckpt", kept)


def test_a_training_that_diverges_and_is_asked_to_stop_saves_nothing_over_what_was_good(
    encoded: Path, tmp_path: Path
) -> None:
    with pytest.raises(EntenteError, match=f"after 5 updates {BROKEN}"):
        train(
            encoded,
            tmp_path,
            log_every=100,
            schedule=lambda update: 1e-2 if update < 4 else math.inf,
            asked_at=(5, signal.SIGTERM),
        )
    assert_sound(tmp_path / "last.ckpt", 4)


def assert_sound(checkpoint: Path, updates: int) -> None:
    kept = torch.load(checkpoint, weights_only=True)
    assert kept["global_step"] == updates
    assert all(torch.isfinite(weight).all() for weight in kept["state_dict"].values())


def test_a_training_that_diverges_at_once_has_no_state_to_keep(encoded: Path, tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match="nothing had been saved yet"):
        train(encoded, tmp_path, schedule=lambda update: math.inf)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_translations_that_become_much_worse_are_told_once_also_by_a_training_that_is_resumed(
    encoded: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "entente.training")
    scores = iter([30.0, 20.0, 14.0, 13.0, 12.0])
    with pytest.raises(RuntimeError, match="plug"):
        train(encoded, tmp_path, updates=20, score=lambda network: next(scores), interrupt_at=14)
    assert caplog.text.count("validation BLEU fell from 30.0 after 4 updates to 14.0 after 12") == 1
    train(encoded, tmp_path, updates=20, score=lambda network: next(scores))
    assert len(caplog.records) == 1
