"""A small training: twelve updates on a language whose translation is the reversed sentence."""

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch

from entente.model.seq2seq import Seq2Seq
from entente.text.subwords import PAD
from entente.training.curves import Curves
from entente.training.fit import fit
from entente.training.loss import LabelSmoothedCrossEntropy, RDrop
from entente.training.optimizer import Adam, Muon
from entente.training.parallel_data import ParallelData
from entente.training.schedule import LinearDecay
from entente.training.settings import Averaging, Course, Machine
from entente.training.teacher_forcing import TeacherForcing, Validation
from tests.model.networks import transformer

SCHEDULE = LinearDecay(peak=1e-2, warmup=2, updates=12)
CPU = Machine("cpu", 1, {"cpu": "32-true", "cuda": "bf16-mixed"}, None)


def write_side(stem: Path, sentences: list[list[int]]) -> None:
    np.save(f"{stem}.ids.npy", np.concatenate(sentences).astype(np.uint16))
    np.save(f"{stem}.offsets.npy", np.cumsum([0, *map(len, sentences)]))


def train(
    encoded: Path,
    checkpoints: Path,
    *,
    updates: int = 12,
    accumulate: int = 1,
    patience: int = 99,
    score: Callable[[Seq2Seq], float] = lambda network: 1.0,
    checkpoint_every: int = 3,
    interrupt_at: int | None = None,
    asked_at: tuple[int, signal.Signals] | None = None,
    log_every: int = 1,
    regularised: bool = False,
    schedule: Callable[[int], float] = SCHEDULE,
) -> tuple[int, dict[str, torch.Tensor], Curves]:
    """Train a small Transformer with dropout; return the best update, its weights, and the curves.

    `regularised` by R-Drop, and by sentences that are there in three ways, it is trained by Muon.
    """
    adam = partial(Adam, beta1=0.9, beta2=0.98, epsilon=1e-9)
    muon = partial(Muon, beta1=0.9, beta2=0.98, epsilon=1e-9, momentum=0.9, times=2.0)
    loss = partial(RDrop, weight=5.0) if regularised else LabelSmoothedCrossEntropy
    pl.seed_everything(5, verbose=False)
    network = transformer(dropout=0.2).train()
    torch.manual_seed(9)
    seen: list[float] = []

    def pull_the_plug(update: int) -> None:
        if update == interrupt_at:
            raise RuntimeError("the plug was pulled")

    def show(hypotheses: object, update: int) -> None:
        pull_the_plug(update)

    def rate(update: int) -> float:
        if asked_at and update == asked_at[0]:  # asked for by the schedule, within that update
            signal.raise_signal(asked_at[1])
        pull_the_plug(update - 1)  # asked for the update after this one, in the middle of a step
        return schedule(update)

    validation = Validation(lambda net, part: [seen.append(score(net)) or ""], lambda hypotheses: seen[-1], show)  # type: ignore[func-returns-value]
    module = TeacherForcing(
        network,
        loss(smoothing=0.1, ignored=PAD),
        muon if regularised else adam,
        rate,
        validation,
        seed=5,
    )
    checkpoints.mkdir(parents=True, exist_ok=True)
    curves = Curves(checkpoints / "curves.jsonl")
    best = fit(
        module,
        ParallelData(
            encoded,
            tokens=100,
            accumulate=accumulate,
            workers=0,
            seed=1,
            languages=("en", "fr"),
            segmentations=3 if regularised else 1,
        ),
        course=Course(updates, accumulate, 1.0, 4, checkpoint_every, log_every, patience, Averaging(0.5, 2), 4),
        machine=CPU,
        checkpoints=checkpoints,
        loggers=[curves],
    )
    return best, {name: tensor.clone() for name, tensor in network.state_dict().items()}, curves
