"""Sweeps: the plan is told before the first job; one parent run in MLflow holds all jobs and ends with a report."""

import itertools
import json
import math
import os
import shlex
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from entente.errors import EntenteError
from entente.evaluation.comparison import BASELINE, detectable
from entente.fingerprint import fingerprint
from entente.text.parallel import processors
from entente.tracking.runs import KIND, PARENT_VARIABLE, Run
from entente.tracking.store import AwayError, root
from pipelines.compose import CONF, check, compose, plain
from pipelines.job import FOLDER, Job, earlier, trained, what_was_said
from pipelines.parameters import PARAMETERS
from pipelines.report import report
from pipelines.tracked_run import open_runs

UNNAMED = ("seed", "recipe", "sweep", "experiment")  # overrides that are no part of what an ablation is called
SEEDS_DIFFER = 0.5  # BLEU, the standard deviation between seeds that is usual at this size

LATER = "no report yet: `python -m pipelines.report` writes it"
LABELS = "ENTENTE_LABELS"  # tells the jobs of a sweep, by number, what they are called

_open: list["Sweep"] = []


def label(overrides: Sequence[str]) -> str:
    """Name a job by what it asks: its experiment, and what else was changed for it."""
    values = dict(override.split("=", 1) for override in overrides if "=" in override)
    others = [f"{key}={value}" for key, value in values.items() if key not in UNNAMED and not key.startswith("hydra")]
    return " ".join([values.get("experiment", BASELINE), *others])


def job_label(settings: Any) -> str:
    """Return what the job that runs is called: in a sweep as it was planned, else by its overrides."""
    labels = json.loads(os.environ.get(LABELS, "[]"))
    return str(labels[settings.job.num]) if labels else label(settings.overrides.task)


def at_once(settings: Any) -> int:
    """Return how many jobs the launcher runs side by side; on this machine never more than there are cores."""
    if settings.launcher.get("array_parallelism"):
        return int(settings.launcher.array_parallelism)
    jobs = int(settings.launcher.get("n_jobs") or 1)
    return min(jobs, processors()) if jobs > 0 else processors()


def threads(settings: Any) -> str:
    """Return how many threads each job may use: as the environment says, else the cores that it was given.

    Without a scheduler who gives some, the cores are shared out among the jobs.
    """
    given = settings.launcher.get("cpus_per_task") or max(1, processors() // at_once(settings))
    return os.environ.get("OMP_NUM_THREADS") or str(given)


def seconds(settings: Any) -> float:
    """Return how long the work of a job may take; EntenteError where it was told no number of minutes."""
    minutes = settings.callbacks.sweep.job_minutes
    if minutes is None:
        return math.inf
    if not isinstance(minutes, int | float) or not minutes > 0:
        raise EntenteError(f"hydra.callbacks.sweep.job_minutes is {minutes}: give a number above 0, or null for none")
    return 60.0 * minutes


def plan(overrides: Sequence[str], conf: Path) -> list[Job]:
    """Return the jobs of a multirun: every combination, composed and checked, so that none fails for its options later.

    A label leaves out what all jobs have in common, and what a job would have without being told. Raises EntenteError
    for what does not compose or fit.
    """
    swept: dict[str, list[str]] = {}  # a later value takes the place of an earlier one, as Hydra has it
    try:
        for override in OverridesParser.create().parse_overrides(list(overrides)):
            several = override.is_sweep_override()
            values = list(override.sweep_string_iterator()) if several else [override.get_value_element_as_str()]
            swept[override.get_key_element()] = values
    except HydraException as error:
        raise EntenteError(
            f"what was asked for is no override of a sweep: {error}; write values one after another, as in seed=1,2"
        ) from error
    varied = [key for key, values in swept.items() if len(values) > 1 and key not in UNNAMED]
    jobs = []
    for combination in itertools.product(*swept.values()):
        chosen = [f"{key}={value}" for key, value in zip(swept, combination, strict=True)]
        chosen = [one for one in chosen if not one.startswith("hydra")]
        composed = compose(chosen, conf)
        check(composed)
        told = [
            one
            for one in chosen
            if one.split("=", 1)[0] in varied and compose([other for other in chosen if other != one], conf) != composed
        ]
        experiment = [one for one in chosen if one.startswith("experiment=")]
        jobs.append(Job(label([*experiment, *told]), plain(composed)))
    _refuse_what_cannot_be_compared(jobs)
    return jobs


def one_training(overrides: Sequence[str]) -> tuple[Path, Job]:
    """Return model and job of the one training that is meant and was evaluated so, or raise EntenteError."""
    models = trained(plan(overrides, root() / CONF), overrides)
    if len(models) != 1:
        raise EntenteError(f"{len(models)} trainings are meant: name one, such as recipe=multi30k experiment=baseline")
    ((model, job),) = models.items()
    told = yaml.safe_load((model.parents[1] / PARAMETERS).read_text(encoding="utf-8"))
    if told["decoding"] != job.parameters["decoding"]:
        raise EntenteError(
            f"{job.label}, seed {job.seed}: it is trained, but was evaluated by another search; "
            f"`{shlex.join(['python', '-m', 'pipelines.ablate', '--multirun', *overrides])}` evaluates it by this one"
        )
    return model, job


def _refuse_what_cannot_be_compared(jobs: Sequence[Job]) -> None:
    if any(job.parameters["corpus"] != jobs[0].parameters["corpus"] for job in jobs):
        raise EntenteError("a sweep compares on one corpus: start one for each recipe or corpus")
    names = Counter((job.label, job.seed) for job in jobs)
    twice = [f"{name}, seed {seed}" for (name, seed), count in names.items() if count > 1]
    if twice:
        raise EntenteError(f"{twice[0]} stands twice in the sweep: name every job once")
    first: dict[Path, Job] = {}
    for job in jobs:
        other = first.setdefault(job.folder, job)
        if other.parameters != job.parameters:  # an experiment that changes nothing in a recipe is the baseline itself
            raise EntenteError(f"{other.label} and {job.label} are one training with one evaluation: name one of them")


class Sweep(Callback):
    """Hydra's callback for multiruns: plans and opens the parent run; `close` ends it with the report.

    Hydra makes a warning of what a callback raises, and goes on: what must stop the sweep is a SystemExit. A job whose
    work takes longer than `job_minutes` is stopped, by the process that runs it (see `seconds`).
    """

    def __init__(self, job_minutes: float | None = None) -> None:
        self.jobs: list[Job] = []
        self._experiment = ""
        self._launched = ExitStack()
        self._stack = ExitStack()
        self._run: Run | None = None

    def __reduce__(self) -> "tuple[type[Sweep], tuple[()]]":
        """Travel to the processes of a launcher without what is open here: the sweep ends where it began."""
        return Sweep, ()

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Compose all jobs, say what is ahead and open the parent run; Hydra calls this before the first job."""
        try:
            self._begin(config)
        except EntenteError as error:
            raise SystemExit(f"error: {error}") from error
        except Exception as error:
            traceback.print_exc()
            raise SystemExit(1) from error

    def _begin(self, config: DictConfig) -> None:
        if not config.hydra.sweeper._target_.endswith(".BasicSweeper"):
            # A search: which jobs there will be is not known beforehand, and nothing is compared.
            self._launch(config.hydra.launcher)
            return
        params = config.hydra.sweeper.get("params") or {}
        overrides = [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
        self.jobs = plan(overrides, root() / CONF)
        seconds(config.hydra)  # a limit that is none is told before the first job
        for job in self.jobs:
            job.synthetic()  # so is a text that is not there
        self._launch(config.hydra.launcher)
        print(announcement(self.jobs, at_once(config.hydra)), flush=True)
        self._experiment = str(config.tracking.experiment)
        runs = open_runs(config.tracking)
        identity = fingerprint({"jobs": [str(job.folder.name) for job in self.jobs]}, [])
        name = " ".join(config.hydra.overrides.task) or "sweep"
        self._run = self._stack.enter_context(
            runs.train(name, identity, {"overrides": overrides}, {KIND: "sweep"}, resume=True)
        )
        os.environ[PARENT_VARIABLE] = self._run.id
        os.environ[LABELS] = json.dumps([job.label for job in self.jobs])

    def _launch(self, launcher: Any) -> None:
        """Be ready for the jobs, where it is a scheduler that runs them; EntenteError where it does not take them."""
        if launcher._target_.endswith(".SlurmLauncher"):
            from pipelines import slurm  # needs what came with the launcher

            self._launched.enter_context(slurm.queue(plain(launcher), self.jobs))
        _open.append(self)

    def close(self) -> None:
        """Write down how each job stands, report on those that are done, and end the parent run.

        Raises SystemExit where a job is not finished and nothing else was raised that says so.
        """
        error = sys.exc_info()[1]
        self._launched.close()
        if self._run is None:
            return  # a search, or there was no beginning
        for variable in (PARENT_VARIABLE, LABELS):
            os.environ.pop(variable, None)
        table = [status(job) for job in self.jobs]
        unfinished = [row for row in table if row["status"] != "finished"]
        self._run.metrics({"jobs/finished": len(table) - len(unfinished), "jobs/unfinished": len(unfinished)}, None)
        there = self._run.flush()  # and has an id in the store
        folder = root() / FOLDER / "reports" / self._run.id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "jobs.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        self._run.artifact(folder / "jobs.json")
        for row in unfinished:
            print(f"not finished: {row['ablation']}, seed {row['seed']}: {row['why']}", file=sys.stderr)
        try:
            if _has_baseline(self.jobs):  # else nothing is compared, as was announced
                self._report(self._run, folder, there)
        except EntenteError as reason:  # such as a baseline that failed
            print(f"no report: {reason}", file=sys.stderr)
            error = error or SystemExit(1)
        finally:
            if unfinished and error is None:
                error = SystemExit(1)
            self._stack.__exit__(type(error) if error else None, error, None)
        if isinstance(error, SystemExit):
            raise error

    def _report(self, run: Run, folder: Path, there: bool) -> None:
        """Print the report and keep it, or say how it is written when the store is back, where it is not `there`."""
        try:
            if there:
                print(report(run.id, folder, self._experiment))
                run.artifact(folder, "report")
            else:
                print(f"{LATER}, when the tracking store is back", file=sys.stderr)
        except AwayError as reason:
            print(f"{LATER}: {reason}", file=sys.stderr)


def close() -> None:
    """End the sweep of this process, if there is one that has not ended."""
    while _open:
        _open.pop().close()


def status(job: Job) -> dict[str, Any]:
    """Return how a job stands, for the parent run's table."""
    missing = job.missing()
    row = {"ablation": job.label, "seed": job.seed, "job": job.folder.name}
    if missing is None:
        return row | {"status": "finished", "why": ""}
    why = f"{missing} was not completed, or its inputs changed since: {what_was_said(job, missing)}"
    return row | {"status": "unfinished", "why": why}


def _has_baseline(jobs: Sequence[Job]) -> bool:
    return BASELINE in {job.label for job in jobs}


def announcement(jobs: Sequence[Job], side_by_side: int) -> str:
    """Say how many jobs there are, how long they take, and how small a difference they can tell from chance."""
    ahead = [job for job in jobs if job.missing()]
    known = earlier(jobs[0])
    seeds = len({job.seed for job in jobs})
    comparisons = max(1, len({job.label for job in jobs}) - 1)
    lines = [f"{len(jobs)} jobs, {len(jobs) - len(ahead)} of them done already"]
    if not _has_baseline(jobs):
        lines.append(f"no {BASELINE} among them: nothing will be compared; experiment={BASELINE},... gives one")
    if ahead and known:
        minutes = len(ahead) * fmean(known) / min(side_by_side, len(ahead)) / 60
        lines.append(
            f"some {minutes:.0f} minutes to go, by the {len(known)} jobs of this corpus and training timed here"
        )
    elif ahead:
        lines.append("how long they take is not known yet: none with this corpus and training was timed here")
    if seeds == 1:
        lines.append("one seed: differences are between these networks, and another seed may turn them")
    else:
        least = detectable(seeds, comparisons, SEEDS_DIFFER)
        lines.append(
            f"{seeds} seeds, {comparisons} comparisons: a difference of {least:.1f} BLEU is found 8 times in 10 "
            f"(taking seeds to differ by {SEEDS_DIFFER})"
        )
    return "\n".join(f"- {line}" for line in lines)
