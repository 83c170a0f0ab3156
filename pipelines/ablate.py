"""Ablations: `python -m pipelines.ablate --multirun sweep=positions seed=1,2,3`, or one job without --multirun.

Each job trains and evaluates one configuration (see job); a multirun has one parent run in MLflow, which ends with the
comparison of all jobs (see sweep).
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from entente.errors import EntenteError, for_people, sigterm_unwinds
from pipelines.compose import check, plain
from pipelines.job import Job
from pipelines.sweep import close, job_label, seconds, threads


@hydra.main(config_path="../conf", config_name="config", version_base=None)
def main(composed: DictConfig) -> float:
    """Train and evaluate one configuration; return its validation BLEU, for sweepers that search."""
    settings = HydraConfig.get()
    if settings.mode is RunMode.RUN and settings.runtime.choices.get("sweep") not in (None, "null"):
        raise SystemExit("error: a sweep is several jobs: put --multirun before it")
    check(composed)
    job = Job(job_label(settings), plain(composed))
    name = f"{job.label}, seed {job.seed}"
    started = time.monotonic()
    print(f"{name}: {job.missing() or 'nothing'} is to be done, in {job.folder}", flush=True)
    try:
        # What a job that is asked to stop raises no launcher takes for its result: a scheduler may start it once more.
        with sigterm_unwinds(), _heard_once(signal.SIGURG):
            job.run({"OMP_NUM_THREADS": threads(settings)}, seconds(settings))
    except EntenteError as error:
        raise EntenteError(f"{name}: {error}") from error
    print(f"{name}: validation BLEU {job.validation():.1f}, {time.monotonic() - started:.0f} s", flush=True)
    return job.validation()


@contextmanager
def _heard_once(number: signal.Signals) -> Iterator[None]:
    """Let a signal that a launcher listens to (see slurm) be heard once: a second would cut the first one short."""
    handler = signal.getsignal(number)
    if not callable(handler):
        yield
        return

    def once(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        handler(number, frame)

    signal.signal(number, once)
    yield
    signal.signal(number, handler)


@for_people
def run() -> None:
    """Run the job or the sweep of the command line, and end what was begun however it ends."""
    try:
        main()
    finally:  # Hydra tells no callback of the end when a job failed or a person interrupted
        close()


if __name__ == "__main__":
    run()
