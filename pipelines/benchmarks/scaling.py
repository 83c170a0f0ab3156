"""Updates that several processes share: timed, and foreseen from their parts.

Each of W processes takes A/W of an update's A batches: with f seconds for a batch, s for the optimizer and r(W) to add
up the gradients over a ring, 2 (W-1)/W of their bytes at the rate of the wire (Patarasuk and Yuan 2009), an update
takes A/W f + s + r(W). f and s are timed in processes that work side by side and share nothing, r in processes that do
nothing else. DDP adds up while it still derives, which is not foreseen: what is foreseen is an upper bound, the less
the sum needs a core of its own.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from entente.errors import EntenteError
from entente.evaluation.report import columns, write_json
from entente.memory import keep_memory
from entente.model.weights import build
from entente.tracking.store import root
from entente.tracking.system import machine
from pipelines.benchmarks.case import SIZES
from pipelines.benchmarks.networks import Lesson
from pipelines.compose import CONF, compose, plain
from pipelines.job import FOLDER

LENGTH = 20  # pieces of a sentence
ROUNDS, UPDATES = 5, 3


@dataclass(frozen=True)
class Parts:
    """Seconds, medians of the rounds, of one size in so many processes with a core each."""

    processes: int
    gradients: int  # bytes
    batch: float  # forward and backward, with nothing to be shared
    step: float  # clipping and the optimizer
    sum: float  # of the gradients, with nothing else to do
    update: float  # as a whole, of `accumulate` batches

    def foreseen(self, accumulate: int) -> float:
        """Return what an update should take by its parts."""
        return accumulate / self.processes * self.batch + self.step + self.sum


def report(sizes: Sequence[str], processes: Sequence[int], accumulate: int) -> tuple[dict[str, float], list[Path]]:
    """Time updates of each size in each number of processes, print the table, write it; return figures and file.

    Raises EntenteError where a case fails.
    """
    cases = list(product(sizes, processes))
    found = {case: _apart(*case, accumulate) for case in tqdm(cases, "timing", unit=" cases")}
    print("\n".join(columns(rows(found, accumulate))))
    file = root() / FOLDER / "benchmarks" / "scaling.json"
    timed = [{"size": size, **asdict(parts)} for (size, _), parts in found.items()]
    write_json(file, {"machine": machine(), "accumulate": accumulate, "cases": timed})
    return {f"{size} in {count} processes/seconds per update": one.update for (size, count), one in found.items()}, [
        file
    ]


def rows(found: Mapping[tuple[str, int], Parts], accumulate: int) -> list[list[str]]:
    """Return the table: milliseconds of the parts and the update, and its speed as a share of W times one process's."""
    table = [["size", "processes", "batch", "step", "sum", "update", "foreseen", "efficiency", "foreseen"]]
    for (size, count), parts in found.items():
        alone = found.get((size, 1), parts)
        foreseen = parts.foreseen(accumulate)
        seconds = (parts.batch, parts.step, parts.sum, parts.update, foreseen)
        shares = (alone.update / count / took for took in (parts.update, foreseen))
        table.append(
            [size, str(count), *(f"{1000 * value:,.1f}" for value in seconds), *(f"{share:.0%}" for share in shares)]
        )
    return table


def _apart(size: str, processes: int, accumulate: int) -> Parts:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += ["-m", "pipelines.benchmarks.scaling", size, str(accumulate)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode:
        raise EntenteError(f"{size} in {processes} processes could not be timed: what was printed says why")
    return Parts(**json.loads(done.stdout.splitlines()[-1]))


def _parts(size: str, accumulate: int) -> Parts:
    """Time what one of the processes does, all of them at once."""
    processes = distributed.get_world_size()
    if accumulate % processes:
        raise EntenteError(
            f"{accumulate} batches cannot be divided among {processes} processes: --accumulate a multiple"
        )
    keep_memory()
    torch.manual_seed(1)
    settings = plain(compose(list(SIZES[size]), root() / CONF))
    network = build(settings["model"], settings["subwords"]["vocabulary"])
    adam = torch.optim.Adam(network.parameters(), 1e-4, fused=True)
    whole = DistributedDataParallel(
        Lesson(network, LENGTH).train(), broadcast_buffers=False, gradient_as_bucket_view=True
    )
    flat = torch.zeros(sum(weight.numel() for weight in network.parameters()))

    def batch() -> None:
        with whole.no_sync():
            whole().backward()

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()

    def add_up() -> None:
        distributed.all_reduce(flat)

    def update() -> None:
        share = accumulate // processes
        for number in range(share):
            with whole.no_sync() if number + 1 < share else nullcontext():
                whole().backward()
        step()
        adam.zero_grad()

    found = {"batch": _seconds(batch), "step": _seconds(step), "sum": _seconds(add_up), "update": _seconds(update)}
    return Parts(processes=processes, gradients=flat.numel() * flat.element_size(), **found)


def _seconds(work: Callable[[], None]) -> float:
    work()
    found = []
    for _ in range(ROUNDS):
        distributed.barrier()  # or who is ahead would wait in the next part
        started = time.perf_counter()
        for _ in range(UPDATES):
            work()
        found.append((time.perf_counter() - started) / UPDATES)
    return median(found)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*broadcast_buffers. is deprecated")  # torch 2.11 knows no other name
    distributed.init_process_group("gloo")
    measured = _parts(sys.argv[1], int(sys.argv[2]))
    if distributed.get_rank() == 0:
        print(json.dumps(asdict(measured)))
    distributed.destroy_process_group()
