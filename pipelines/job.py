"""A job of a sweep: one configuration, trained and evaluated in a small repository of its own under ablations/.

There it finds dvc.yaml, the sources and its params.yaml where a stage expects them, so that a job is what `dvc repro`
would make of the same configuration. Only stages whose inputs changed run: an interrupted sweep does what is missing.
Corpus, subwords and segmentation are made once for all jobs that share them, and the baseline once for all sweeps.
"""

import contextlib
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from entente.errors import EntenteError
from entente.fingerprint import fingerprint
from entente.text.corpus import replacing
from entente.text.synthetic import SYNTHETIC, needed
from entente.tracking.store import root
from pipelines.parameters import PARAMETERS, inputs, outs
from pipelines.tracked_run import ABLATION, JOB, open_runs

FOLDER, DATA, DONE, LOG = "ablations", "data-", "done.json", "log.txt"
MODEL = Path("artifacts/model")
SHARED = ("download", "prepare", "learn_subwords", "encode")
OWN = ("train", "evaluate", "attend")
SHARED_GROUPS = ("corpus", "subwords", "segmentation", "synthetic")
_GRACE = 5.0  # seconds for a stage that heard of Ctrl-C itself
_LAST = 60.0  # seconds for one that was asked to stop, in which it delivers what it knows
LINKED = ("dvc.yaml", "src", "pipelines")


@dataclass(frozen=True)
class Job:
    """A composed configuration and what it is called in tables."""

    label: str
    parameters: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """The seed of the training."""
        return int(self.parameters["seed"])

    @cached_property
    def folder(self) -> Path:
        """Where the job's stages run: the same for the same configuration, whatever the job is called."""
        # What evaluation looks at beside the translations needs no training: `evaluate` alone runs again there.
        aside = ("tracking", "evaluation")
        return root() / FOLDER / self._named({name: own for name, own in self.parameters.items() if name not in aside})

    @cached_property
    def shared(self) -> Path:
        """Where the stages run that all jobs share whose `SHARED_GROUPS` are the same."""
        decisive = {group: self.parameters[group] for group in SHARED_GROUPS}
        return root() / FOLDER / f"{DATA}{self._named(decisive)}"

    @staticmethod
    def _named(decisive: Mapping[str, Any]) -> str:
        # A job without synthetic text is called what it was called before there was any.
        return fingerprint({name: own for name, own in decisive.items() if name != "synthetic" or own}, [])

    def prepare(
        self, environment: Mapping[str, str], stages: Sequence[str] = SHARED, seconds: float = math.inf
    ) -> float:
        """Do what is missing of the stages that all jobs with this corpus share; return the seconds that it took.

        Raises as `run` does.
        """
        with _furnished(self.shared, self.parameters):
            (self.shared / SYNTHETIC).mkdir(parents=True, exist_ok=True)
            for given in (Path("data/grammar"), *self.synthetic()):
                (self.shared / given).parent.mkdir(parents=True, exist_ok=True)
                _link(self.shared / given, root() / given)
            return _run(self.shared, stages, environment, seconds)

    def synthetic(self) -> list[Path]:
        """Return the files of synthetic text that the job learns from; EntenteError where a text is not there."""
        place = SYNTHETIC / str(self.parameters["corpus"]["name"])
        return needed(root(), [place / name for name in self.parameters["synthetic"]])

    def run(self, environment: Mapping[str, str], seconds: float = math.inf) -> None:
        """Do what is missing, with these additions to the environment, in `seconds` of work at most.

        Raises EntenteError, and says so in the tracking run, where a stage fails, is killed or takes longer.
        """
        left = seconds - self.prepare(environment, seconds=seconds)
        with _furnished(self.folder, self.parameters):
            (self.folder / "artifacts").mkdir(exist_ok=True)
            _link(self.folder / "data", self.shared / "data")
            _link(self.folder / "artifacts" / "subwords", self.shared / "artifacts" / "subwords")
            if self.missing() == "train" and (self.folder / LOG).exists():  # and nobody holds the lock
                self._note("it was killed, with the sweep that it belonged to", lost=True)
            try:
                _run(self.folder, OWN, {**environment, ABLATION: self.label, JOB: self.folder.name}, left)
            except EntenteError as error:
                self._note(str(error))
                raise

    def _note(self, why: str, *, lost: bool = False) -> None:
        """Say in the job's tracking run, if it had one already, what ended it: who is killed cannot."""
        with contextlib.chdir(self.folder):
            mark = fingerprint(*inputs("train"))
        with contextlib.suppress(EntenteError):  # the stage's own is the one to tell
            open_runs(self.parameters["tracking"]).ended(self.label, mark, self.folder.name, why, lost=lost)

    def missing(self) -> str | None:
        """Return the first stage that has not been run on the present inputs, or None where all is done."""
        for folder, stages in ((self.shared, SHARED), (self.folder, OWN)):
            if not (folder / PARAMETERS).exists():
                return stages[0]
            with contextlib.chdir(folder):
                for stage in stages:
                    if not _is_done(stage):
                        return stage
        return None

    def trained(self) -> Path | None:
        """Return a folder in which this is trained and evaluated, however its translations were searched, if any."""
        for place in [self.folder, *sorted(path.parent for path in (root() / FOLDER).glob(f"*/{PARAMETERS}"))]:
            if (place / DONE).exists() and self._is_told(place / PARAMETERS):
                with contextlib.chdir(place):
                    if _is_done("train") and "evaluate" in _done():
                        return place
        return None

    def _is_told(self, parameters: Path) -> bool:
        """Say whether these are the job's, but for what a training does not hang on."""
        aside = ("decoding", "evaluation", "tracking")
        told = yaml.safe_load(parameters.read_text(encoding="utf-8"))
        told = {"synthetic": []} | told  # those from before there was any
        return all(told.get(group) == value for group, value in self.parameters.items() if group not in aside)

    def seconds(self) -> float | None:
        """Return how long the job's own stages took when they were run, or None where one was not."""
        if not (self.folder / DONE).exists():
            return None
        with contextlib.chdir(self.folder):
            done = _done()
        return sum(done[stage]["seconds"] for stage in OWN) if done.keys() >= set(OWN) else None

    def validation(self) -> float:
        """Return the validation BLEU of the weights that were kept: what a search may look at."""
        metrics = self.folder / "artifacts" / "metrics" / "train.json"
        return float(json.loads(metrics.read_text(encoding="utf-8"))["val"]["bleu"])


@contextlib.contextmanager
def _furnished(folder: Path, parameters: Mapping[str, Any]) -> Iterator[None]:
    """Make the folder a repository whose stages can run, and hold it against other jobs meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        for name in LINKED:
            _link(folder / name, root() / name)
        with replacing(folder / PARAMETERS) as temporary:
            temporary.write_text(
                yaml.safe_dump(dict(parameters), sort_keys=False, allow_unicode=True), encoding="utf-8"
            )
        yield


def _link(link: Path, target: Path) -> None:
    if not link.exists():
        link.unlink(missing_ok=True)  # one that led somewhere once
        link.symlink_to(os.path.relpath(target, link.parent))


def _run(folder: Path, stages: Sequence[str], environment: Mapping[str, str], seconds: float) -> float:
    """Run the stages of a folder whose inputs are not those of their last run, each in a process of its own.

    Returns the seconds that it took.
    """
    everything = {**os.environ, "DVC_ROOT": str(root()), **environment}
    began = time.monotonic()
    with contextlib.chdir(folder):
        for stage in stages:
            if _is_done(stage):
                continue
            mark, started = fingerprint(*inputs(stage)), time.monotonic()
            _note({name: entry for name, entry in _done().items() if name != stage})  # its outs are about to change
            with Path(LOG).open("a", encoding="utf-8") as log:
                print(f"\n== {stage}", file=log, flush=True)
                command = [sys.executable, "-m", f"pipelines.{stage}"]
                process = subprocess.Popen(command, env=everything, stdout=log, stderr=log)
                try:
                    ending = _wait(process, seconds - (started - began))
                except BaseException:
                    print(f"\n{stage} was asked to stop", file=log)
                    raise
                if ending:
                    why = f"{stage} {ending}: {last_words(folder)}"
                    print(f"\n{why}", file=log)  # for the sweep's report, and below a progress bar
                    raise EntenteError(f"{why}; see {folder / LOG}")
            _note(_done() | {stage: {"inputs": mark, "seconds": round(time.monotonic() - started, 1)}})
    return time.monotonic() - began


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> str:
    """Wait for a stage; return how it ended, where it did not end well. After `seconds` it is made to stop.

    Where this process is asked to stop, let the stage end its own way first.
    """
    try:
        status = process.wait(None if seconds == math.inf else max(0.0, seconds))
    except subprocess.TimeoutExpired:
        _stop(process)
        return "was stopped, past the time that a job may take (hydra.callbacks.sweep.job_minutes)"
    except BaseException:  # Ctrl-C reaches the stage too, SIGTERM perhaps this process alone
        again = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # schedulers repeat it
        try:
            process.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            _stop(process)
        finally:
            signal.signal(signal.SIGTERM, again)
        raise
    if status < 0:
        memory = ", by a person or for want of memory" if status == -signal.SIGKILL else ""
        return f"was killed by signal {-status} ({signal.strsignal(-status)}){memory}"
    return f"ended with status {status}" if status else ""


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to stop, and kill it where it does not."""
    process.terminate()
    try:
        process.wait(timeout=_LAST)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_done(stage: str) -> bool:
    """Say whether the stage of the folder one stands in was run on its present inputs and its outs are still there."""
    done = _done()
    there = all(path.exists() for path in outs(stage))
    return there and stage in done and bool(done[stage]["inputs"] == fingerprint(*inputs(stage)))


def _note(done: Mapping[str, Any]) -> None:
    with replacing(Path(DONE)) as temporary:
        temporary.write_text(json.dumps(done, indent=2) + "\n", encoding="utf-8")


def _done() -> dict[str, Any]:
    return dict(json.loads(Path(DONE).read_text(encoding="utf-8"))) if Path(DONE).exists() else {}


def trained(jobs: Sequence[Job], overrides: Sequence[str]) -> dict[Path, Job]:
    """Return the models that jobs trained, which `overrides` name; EntenteError where one is not trained."""
    found = {}
    for job in jobs:
        place = job.trained()
        if place is None:
            raise EntenteError(
                f"{job.label}, seed {job.seed}: no such training is done; "
                f"`{shlex.join(['python', '-m', 'pipelines.ablate', '--multirun', *overrides])}` does it"
            )
        found[place / MODEL] = job
    return found


def earlier(job: Job) -> list[float]:
    """Return the seconds that jobs with the corpus, training and trainer of this one took here."""
    alike = ("corpus", "training", "trainer")
    found = []
    for done in sorted((root() / FOLDER).glob(f"*/{DONE}")):
        if done.parent.name.startswith(DATA):
            continue
        parameters = yaml.safe_load((done.parent / PARAMETERS).read_text(encoding="utf-8"))
        seconds = Job("", parameters).seconds()
        if seconds is not None and all(parameters[group] == job.parameters[group] for group in alike):
            found.append(seconds)
    return found


def what_was_said(job: Job, stage: str) -> str:
    """Return the last words of a stage of a job, or of what came after it."""
    return last_words(job.shared if stage in SHARED else job.folder)


def last_words(folder: Path) -> str:
    """Return the last line that a stage of this folder printed."""
    log = folder / LOG
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
