"""One thing to be timed, in a process of its own: what it is, how it is set up, and what a timing gives.

A process of its own has its own threads and allocator and gives its memory back; its peak is then the peak of the case.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from entente.errors import EntenteError
from entente.model.maps import has_onednn, linear

SIZES = {  # as the peers of the literature have them
    "tiny": ("model=tiny", "model/dropout=strong"),
    "small": ("model=small", "model/dropout=light"),
    "base": ("model=base", "model/dropout=light"),
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SQUARE = 2048  # the side of the matrices whose product says what the machine can do


@dataclass(frozen=True)
class Case:
    """What is timed: `task` by `system`, of a size, in a precision, on a device.

    Systems: entente; torch, the yardstick; marian, of Hugging Face, and the same told to keep its memory as we are;
    eole, the successor of OpenNMT-py; ctranslate2, in float32 or int8.
    """

    task: str
    system: str
    size: str
    precision: str
    device: str
    recipe: str
    prepared: str  # folder in which the recipe's corpus was prepared
    tokens: int  # of a batch when training, padding included
    accumulate: int  # batches of an update
    beam: int
    without: str = ""  # one of the things that make ours fast
    model: str = ""  # folder of trained weights; else weights are random, and translations forced to one length

    @property
    def folder(self) -> Path:
        """Where the recipe's corpus was prepared."""
        return Path(self.prepared)

    def time(self) -> "Timing":
        """Time the case in a process of its own. Raises EntenteError as `apart` does."""
        return Timing(**apart(self.task, json.dumps(asdict(self)), what=f"{self.task} by {self.system} {self.size}"))


@dataclass(frozen=True)
class Timing:
    """What one process found: units of work a second in each window, and what a unit is made of."""

    per_second: list[float]
    flops: float  # floating-point operations of the products in a unit; 0 where they cannot be counted
    real: float | None  # share of computed positions that are no padding; None where they are not counted
    matrix_rate: float  # operations a second that a large product reaches in this precision
    memory: float  # MiB, at its peak
    bleu: float | None = None  # of what was translated; None where weights are random


def apart(module: str, *arguments: str, what: str, environment: Mapping[str, str] | None = None) -> Any:
    """Run a module of this package in a process of its own and return what it prints last, as JSON.

    Raises EntenteError where it fails, naming `what` was to be timed; the process says itself why.
    """
    command = [sys.executable, "-m", f"pipelines.benchmarks.{module}", *arguments]
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, check=False, text=True
    )
    if done.returncode:
        raise EntenteError(f"{what} could not be timed: what was printed says why")
    return json.loads(done.stdout.splitlines()[-1])


def serve(measure: Callable[[Case], Timing]) -> None:
    """Time the case that the command line holds, and print the timing: what the processes of `Case.time` do."""
    print(json.dumps(asdict(measure(Case(**json.loads(sys.argv[1]))))))


def windows(work: Callable[[], float], *, rounds: int, device: str) -> list[float]:
    """Return the units of work a second of each round; `work` returns how many it did, and warms up once before."""
    found = []
    for number in range(rounds + 1):
        started = time.perf_counter()
        done = work()
        if device == "cuda":
            torch.cuda.synchronize()
        if number:
            found.append(done / (time.perf_counter() - started))
    return found


def operations(work: Callable[[], float]) -> float:
    """Return the floating-point operations of the products in a unit of work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the counter sees its own thread alone
    ours = {torch.ops.mkldnn._linear_pointwise: _of_a_map} if has_onednn() else {}
    with FlopCounterMode(display=False, custom_mapping=ours) as counter:
        done = work()
    torch.set_num_threads(threads)
    return counter.get_total_flops() / done


def _of_a_map(x: Sequence[int], weight: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * x[0] * x[1] * weight[0]


def matrix_rate(device: str, precision: str) -> float:
    """Return the operations a second of a square product that is large enough to show what the machine can do."""
    a, b = (torch.randn(SQUARE, SQUARE, device=device, dtype=DTYPES[precision]) for _ in range(2))

    def work() -> float:
        for _ in range(5):
            linear(a, b)
        return 5 * 2.0 * SQUARE**3

    return max(windows(work, rounds=5, device=device))


def peak_memory(device: str) -> float:
    """Return the MiB that this process has held at most, on the device that counts."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
