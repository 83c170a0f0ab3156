"""What one waits for before and beside the work: starting, the first update, and what tracking costs each update."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from entente.errors import EntenteError
from entente.evaluation.report import columns, write_table
from entente.memory import keep_memory
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build
from entente.options import construct
from entente.text.batches import collate
from entente.text.subwords import PAD
from entente.tracking.logger import RunLogger
from entente.tracking.store import root
from entente.training.curves import Curves
from entente.training.fit import Averaging, Course, Machine, fit
from entente.training.loss import LabelSmoothedCrossEntropy
from entente.training.parallel_data import ParallelData
from entente.training.teacher_forcing import Adam, TeacherForcing, Validation
from pipelines.benchmarks.case import apart
from pipelines.compose import CONF, compose, plain
from pipelines.job import FOLDER, Job
from pipelines.tracked_run import open_runs

Settings = dict[str, Any]

ROUNDS, UPDATES, WINDOW = 5, 200, 10
PATIENCE = 600.0  # seconds


def measure() -> tuple[dict[str, float], list[Path]]:
    """Measure all of it, and print and write the table; return the medians, and the file."""
    found = {
        "`import entente`, s": commanded([sys.executable, "-c", "import entente"]),
        "`entente --help`, s": commanded(["entente", "--help"]),
        "`entente translate` of one sentence, s": commanded(["entente", "translate", "I love you."]),
        "`dvc repro` in a fresh clone until the first ten updates are done, s": [to_the_first_updates()],
        "of an update's time spent on tracking, checkpoints, averaging and the trainer, %": in_a_process(),
    }
    rows = [
        [what, *(f"{value:.2f}" for value in (median(values), min(values), max(values)))]
        for what, values in found.items()
    ]
    header = ["what", "median", "least", "most"]
    file = root() / FOLDER / "benchmarks" / "edges.csv"
    write_table(file, header, rows)
    print("\n".join(columns([header, *rows])))
    return {what: median(values) for what, values in found.items()}, [file]


def commanded(command: Sequence[str]) -> list[float]:
    """Return how long a command takes, start to finish, in each of some rounds. Raises EntenteError where it fails."""
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found.append(time.perf_counter() - started)
        if done.returncode:
            raise EntenteError(f"`{' '.join(command)}` ended with status {done.returncode}: {done.stderr.strip()}")
    return found


def to_the_first_updates() -> float:
    """Return how long a newcomer's `dvc repro` takes until it has logged its first ten updates."""
    with TemporaryDirectory() as place:
        clone = Path(place, "clone")
        subprocess.run(["git", "clone", "--quiet", root(), clone], check=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
        started = time.perf_counter()
        command = [sys.executable, "-m", "dvc", "repro", "train"]
        nowhere = subprocess.DEVNULL
        running = subprocess.Popen(
            command, cwd=clone, env=environment, start_new_session=True, stdout=nowhere, stderr=nowhere
        )
        try:
            while time.perf_counter() - started < PATIENCE and running.poll() is None:
                if any(file.stat().st_size for file in clone.glob("checkpoints/*/curves.jsonl")):
                    return time.perf_counter() - started
                time.sleep(0.05)
            raise EntenteError(f"`dvc repro train` in {clone} made no update within {PATIENCE:.0f} s")
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGINT)
            running.wait()


def in_a_process() -> list[float]:
    """Return what `beside_the_updates` does, in a process and with a tracking store of its own."""
    with TemporaryDirectory() as place:
        store = {"MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
        return list(apart("edges", what="what stands beside an update", environment=store))


def beside_the_updates() -> list[float]:
    """Return which share of a training's time is not spent in bare updates on the same batches, in %."""
    settings = plain(compose([], root() / CONF))
    job = Job("", settings)
    job.prepare({})
    keep_memory()
    shares = []
    for _ in range(3):
        bare, whole = _bare(settings, job.shared), _whole(settings, job.shared)
        shares.append(100 * (1 - whole / bare))
    return shares


def _bare(settings: Settings, folder: Path) -> float:
    """Return the target pieces a second of updates and nothing else."""
    network, loss, data = _parts(settings, folder)
    adam = torch.optim.Adam(network.parameters(), 1e-4, fused=True)
    batches = [collate([data.train[row] for row in rows]) for rows in data.batches.epoch(0)[:UPDATES]]
    network.train()
    speeds = []
    for start in range(0, UPDATES, WINDOW):
        started, pieces = time.perf_counter(), 0
        for batch in batches[start : start + WINDOW]:
            adam.zero_grad()
            x = network.read(batch.tgt_in, network.encode(batch.src, batch.src_mask), batch.src_mask)
            loss(x, network.embedding.weight, batch.tgt_out).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            adam.step()
            pieces += batch.words
        speeds.append(pieces / (time.perf_counter() - started))
    return median(speeds)


def _whole(settings: Settings, folder: Path) -> float:
    """Return the target pieces a second that a tracked training logs, its validation not counted."""
    network, loss, data = _parts(settings, folder)
    training = settings["training"]
    adam = construct(Adam, training["adam"], "adam")
    averaging = construct(Averaging, training["averaging"], "averaging")
    judge = Validation(lambda network: [], lambda hypotheses: 0.0, lambda hypotheses, update: None)
    module = TeacherForcing(network, loss, adam, lambda update: 1e-4, validation=judge, seed=1)
    course = Course(
        updates=UPDATES,
        accumulate=1,
        clip=training["clip"],
        validate_every=UPDATES,
        checkpoint_every=training["checkpoint_every"],
        log_every=WINDOW,
        patience=1,
        averaging=averaging,
    )
    machine = Machine("cpu", 1, {"cpu": "32-true"}, None)
    with TemporaryDirectory() as place:
        curves = Curves(Path(place, "curves.jsonl"))
        runs = open_runs(compose([], root() / CONF).tracking)
        with runs.train("edges", "edges", {}, {}, resume=False) as run:
            loggers = [RunLogger(run), curves]
            fit(module, data, course=course, machine=machine, checkpoints=Path(place, "kept"), loggers=loggers)
        return median(speed["tokens_per_second"] for speed in curves.rows("train", ("tokens_per_second",)).values())


def _parts(settings: Settings, folder: Path) -> tuple[Seq2Seq, nn.Module, ParallelData]:
    torch.manual_seed(1)
    network = build(settings["model"], settings["subwords"]["vocabulary"])
    loss = LabelSmoothedCrossEntropy(smoothing=0.0, ignored=PAD)
    shape = {"tokens": settings["training"]["tokens"], "accumulate": 1, "workers": 0, "seed": 1}
    return network, loss, ParallelData(folder / "data/encoded", **shape, languages=("en", "fr"))


if __name__ == "__main__":
    print(json.dumps(beside_the_updates()))
