"""Sweeps whose jobs SLURM runs: it is asked beforehand whether it takes them, then waited for, or told to end them.

Hydra's launcher submits the jobs and collects what they return; this is what it leaves open.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from submitit.core.job_environment import JobEnvironment
from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

from entente.errors import EntenteError
from pipelines.job import Job

ANSWER = 60.0  # seconds that SLURM has for one answer
SILENCE = 900.0  # seconds without any, after which the sweep ends
ENDING = 60.0  # seconds in which jobs that are cancelled write down where they were
EVERY = 10  # seconds between looks at the queue
LEFT = "LEFT"

# Before a job's time is up SLURM sends this to all its processes: to submitit's, which puts the job back into the
# queue, and to our stages, which submitit's own SIGUSR2 would end where they stand. By default it does nothing.
TIME_IS_UP = "URG"

# What the launcher is told, but not sbatch, and what sbatch calls otherwise.
SUBMITITS = (
    "_target_", "submitit_folder", "array_parallelism", "signal_delay_s", "max_num_timeout", "setup",
    "stderr_to_stdout", "srun_args", "use_srun", "additional_parameters",
)  # fmt: skip
SBATCHS = {"name": "job-name", "timeout_min": "time", "tasks_per_node": "ntasks-per-node", "mem_gb": "mem"}


@contextmanager
def queue(launcher: Mapping[str, Any], jobs: Sequence[Job]) -> Iterator[None]:
    """Let submitit find out here what became of jobs that it submits; in the end cancel those that are left.

    `jobs` are known beforehand but for a search. Raises EntenteError where they are none for this cluster.
    """
    _refuse_several_processes(launcher, jobs)
    _ask(launcher, len(jobs))
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = JobEnvironment.USR_SIG = TIME_IS_UP
    before, SlurmJob.watcher = SlurmJob.watcher, Queue()
    try:
        yield
    finally:
        SlurmJob.watcher.cancel()
        SlurmJob.watcher = before
        del os.environ["SUBMITIT_PREEMPT_SIGNAL"]


def _refuse_several_processes(launcher: Mapping[str, Any], jobs: Sequence[Job]) -> None:
    if (launcher["nodes"], launcher["tasks_per_node"]) != (1, 1):
        raise EntenteError(
            "in a sweep each job of SLURM is one process on one node: leave hydra.launcher.nodes and "
            "hydra.launcher.tasks_per_node at 1; with trainer=ddp it starts others on its node"
        )
    if any(job.parameters["trainer"]["launcher"] == "srun" for job in jobs):
        raise EntenteError(
            "trainer.launcher is srun, which starts nothing within a job that srun started: use trainer=ddp, on one "
            "node, or another hydra/launcher, inside salloc"
        )


def _ask(launcher: Mapping[str, Any], jobs: int) -> None:
    """Ask SLURM whether it would take the jobs; raise EntenteError in its words where it would not."""
    options = {SBATCHS.get(name, name): value for name, value in launcher.items() if name not in SUBMITITS}
    if launcher.get("mem_gb"):
        options["mem"] = f"{launcher['mem_gb']}G"
    options |= launcher.get("additional_parameters") or {}
    if jobs > 1:
        options["array"] = f"0-{jobs - 1}"
    flags = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in options.items()
        if value is not None
    ]
    try:
        done = _slurm("sbatch", "--test-only", *flags, "--wrap=true")
    except FileNotFoundError:
        raise EntenteError(
            "SLURM's sbatch is not installed here: start the sweep where the cluster takes jobs from, or choose "
            "another hydra/launcher"
        ) from None
    except subprocess.TimeoutExpired:
        raise EntenteError(f"SLURM did not answer within {ANSWER:.0f} s: see `scontrol ping`") from None
    if done.returncode:
        said = "; ".join(line.removeprefix("sbatch: ").removeprefix("error: ") for line in done.stderr.splitlines())
        raise EntenteError(f"SLURM does not take the jobs of this sweep ({said}): see `sinfo`, and hydra.launcher")


def _slurm(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER, check=False)


class Queue(SlurmInfoWatcher):
    """What submitit asks of its jobs. Its own asks sacct, which knows nothing where the cluster does no accounting.

    A job that left the queue and no result, killed as it was, counts as done when all have left: it is an error to
    submitit, which then waits for no other.
    """

    def __init__(self) -> None:
        super().__init__(EVERY)
        self._told = ""
        self._heard = time.monotonic()

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """Say whether the job will leave no result any more; submitit asks."""
        self.update_if_long_enough(mode)
        return not self._left()

    def _left(self) -> list[str]:
        """Return which jobs are in the queue, waiting or at work, as far as is known."""
        return [job for job in self._registered if self._info_dict.get(job, {}).get("State") != LEFT]

    def update(self) -> None:
        """Ask for all jobs; submitit calls this. Raises SystemExit after a long silence."""
        if not self._looked() and time.monotonic() - self._heard > SILENCE:
            # Hydra would show where in the sources an error was raised.
            raise SystemExit(f"error: SLURM has not answered for {SILENCE / 60:.0f} minutes: see `scontrol ping`")

    def _looked(self) -> bool:
        """Look for the jobs in the queue; say whether there was an answer."""
        self._last_status_check = time.time()
        said = _answer("squeue", "--me", "--noheader", "--array", "--format=%i %T %r")
        if said is None:
            self._tell("SLURM does not answer")
            return False
        self._heard = time.monotonic()
        listed = dict(line.split(maxsplit=1) for line in said.splitlines())
        self._info_dict = {job: {"State": listed.get(job, LEFT)} for job in self._registered}
        counts = Counter(listed[job].lower().removesuffix(" none") for job in self._left())
        told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        self._tell(f"in SLURM's queue: {told or 'no job of this sweep'}")
        return True

    def _tell(self, state: str) -> None:
        if state != self._told:
            print(state, flush=True)
        self._told = state

    def cancel(self) -> None:
        """Cancel the jobs that are left, and wait until they have ended, or should have."""
        until = time.monotonic() + ENDING
        while self._left() and self._looked() and (left := self._left()) and time.monotonic() < until:
            _answer("scancel", *left)
            time.sleep(1)
        if self._left():
            print(f"perhaps not cancelled: `scancel {' '.join(self._left())}`", file=sys.stderr)


def _answer(*command: str) -> str | None:
    try:
        done = _slurm(*command)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout
