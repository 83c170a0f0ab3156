"""What one waits for before and beside the work: starting, the first update, and what tracking costs each update."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch

from entente.errors import EntenteError
from entente.evaluation.report import columns, write_table
from entente.memory import keep_memory
from entente.model.weights import build
from entente.options import choose, construct
from entente.text.subwords import PAD
from entente.tracking import outbox, system
from entente.tracking.logger import RunLogger
from entente.tracking.store import root
from entente.training.curves import Curves
from entente.training.fit import fit
from entente.training.loss import LabelSmoothedCrossEntropy
from entente.training.optimizer import OPTIMIZERS
from entente.training.parallel_data import ParallelData
from entente.training.settings import Averaging, Course, Machine
from entente.training.teacher_forcing import TeacherForcing, Validation
from pipelines.benchmarks.case import apart
from pipelines.compose import CONF, compose, plain
from pipelines.job import FOLDER, Job
from pipelines.tracked_run import open_runs

Settings = dict[str, Any]

ROUNDS, UPDATES, WINDOW = 5, 400, 100
PATIENCE = 600.0  # seconds
THREADS = (outbox.THREAD, system.THREAD)  # that track


def measure() -> tuple[dict[str, float], list[Path]]:
    """Measure all of it, and print and write the table; return the medians, and the file."""
    found = {
        "`import entente`, s": commanded([sys.executable, "-c", "import entente"]),
        "`entente --help`, s": commanded(["entente", "--help"]),
        "`entente translate` of one sentence, s": commanded(["entente", "translate", "I love you."]),
        "`dvc repro` in a fresh clone until the first ten updates are done, s": [to_the_first_updates()],
        **in_a_process(),
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


def in_a_process() -> dict[str, list[float]]:
    """Return what `beside_the_updates` does, in a process and with a tracking store of its own."""
    with TemporaryDirectory() as place:
        store = {"MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
        return dict(apart("edges", what="what stands beside an update", environment=store))


def beside_the_updates() -> dict[str, list[float]]:
    """Return what stands beside the updates of a tracked training, in %, for each of some windows of it."""
    settings = plain(compose([], root() / CONF))
    job = Job("", settings)
    job.prepare({})
    module = _trained(settings, job.shared)
    return {
        "of a training's time between its updates (averaging, logging, checkpoints, batches, the trainer), %": [
            100 * between / (between + within) for within, between, _ in module.windows
        ],
        "of one core taken by the threads that track, %": [
            100 * threads / (between + within) for within, between, threads in module.windows
        ],
    }


class Clocked(TeacherForcing):
    """Keeps the seconds of each window of updates: `windows` of (within updates, between them, tracking threads)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.windows: list[tuple[float, float, float]] = []
        self._within = self._logging = 0.0
        self._done = 0
        self._begin()

    def _begin(self) -> None:
        self._started, self._threads, self._within = time.perf_counter(), tracking_seconds(), 0.0

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Make one update; Lightning calls this."""
        started, self._logging = time.perf_counter(), 0.0
        super().optimizer_step(*arguments, **options)
        self._within += time.perf_counter() - started - self._logging
        self._done += 1
        if self._done % WINDOW == 0:
            if self._done > WINDOW:  # the first one warms up
                elapsed = time.perf_counter() - self._started
                self.windows.append((self._within, elapsed - self._within, tracking_seconds() - self._threads))
            self._begin()

    def log(self, *arguments: Any, **options: Any) -> None:
        """Log a figure, which is no part of the update that it is of."""
        started = time.perf_counter()
        super().log(*arguments, **options)
        self._logging += time.perf_counter() - started


def tracking_seconds() -> float:
    """Return the processor seconds that the threads of this process have taken that are named as tracking's."""
    ours = {thread.native_id for thread in threading.enumerate() if thread.name in THREADS}
    used = (times for times in psutil.Process().threads() if times.id in ours)
    return float(sum(times.user_time + times.system_time for times in used))


def _trained(settings: Settings, folder: Path) -> Clocked:
    """Train as the pipeline does, but for validation."""
    keep_memory()
    torch.manual_seed(1)
    training = settings["training"]
    judge = Validation(lambda network, part: [], lambda hypotheses: 0.0, lambda hypotheses, update: None)
    module = Clocked(
        build(settings["model"], settings["subwords"]["vocabulary"]),
        LabelSmoothedCrossEntropy(smoothing=training["smoothing"], ignored=PAD),
        choose(OPTIMIZERS, training["optimizer"], "optimizer"),
        lambda update: 1e-4,
        validation=judge,
        seed=1,
    )
    data = ParallelData(
        folder / "data/encoded",
        tokens=training["tokens"],
        accumulate=training["accumulate"],
        workers=training["workers"],
        seed=1,
        languages=("en", "fr"),
    )
    course = Course(
        updates=UPDATES,
        accumulate=training["accumulate"],
        clip=training["clip"],
        validate_every=UPDATES,
        checkpoint_every=training["checkpoint_every"],
        log_every=training["log_every"],
        patience=1,
        averaging=construct(Averaging, training["averaging"], "averaging"),
        snapshots=0,
    )
    machine = Machine("cpu", 1, {"cpu": "32-true", "cuda": "32-true"}, None)
    with TemporaryDirectory() as place:
        curves = Curves(Path(place, "curves.jsonl"))
        with open_runs(compose([], root() / CONF).tracking).train("edges", "edges", {}, {}, resume=False) as run:
            loggers = [RunLogger(run), curves]
            fit(module, data, course=course, machine=machine, checkpoints=Path(place, "kept"), loggers=loggers)
    return module


if __name__ == "__main__":
    print(json.dumps(beside_the_updates()))
