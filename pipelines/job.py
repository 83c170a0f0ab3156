"""A job of a sweep: one configuration, trained and evaluated in a small repository of its own under ablations/.

There it finds dvc.yaml, the sources and its params.yaml where a stage expects them, so that a job is what `dvc repro`
would make of the same configuration. Only stages whose inputs changed run: an interrupted sweep does what is missing.
Corpus, subwords and segmentation are made once for all jobs that share all three, and the baseline once for all sweeps.
"""

import contextlib
import json
import os
import shlex
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
from entente.tracking.store import root
from pipelines.parameters import PARAMETERS, inputs, outs
from pipelines.tracked_run import ABLATION, JOB

FOLDER, DATA, DONE, LOG = "ablations", "data-", "done.json", "log.txt"
MODEL = Path("artifacts/model")
SHARED = ("download", "prepare", "learn_subwords", "encode")
OWN = ("train", "evaluate", "attend")
SHARED_GROUPS = ("corpus", "subwords", "segmentation")
_GRACE = 5.0  # seconds for a stage that heard of Ctrl-C itself
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
        decisive = {group: value for group, value in self.parameters.items() if group not in ("tracking", "evaluation")}
        return root() / FOLDER / fingerprint(decisive, [])

    @cached_property
    def shared(self) -> Path:
        """Where the stages run that all jobs with this corpus, these subwords and this segmentation share."""
        decisive = {group: self.parameters[group] for group in SHARED_GROUPS}
        return root() / FOLDER / f"{DATA}{fingerprint(decisive, [])}"

    def prepare(self, environment: Mapping[str, str], stages: Sequence[str] = SHARED) -> None:
        """Do what is missing of the stages that all jobs with this corpus share. Raises as `run` does."""
        with _furnished(self.shared, self.parameters):
            (self.shared / "data").mkdir(exist_ok=True)
            _link(self.shared / "data" / "grammar", root() / "data" / "grammar")
            _run(self.shared, stages, environment)

    def run(self, environment: Mapping[str, str]) -> None:
        """Do what is missing, with these additions to the environment. Raises EntenteError where a stage fails."""
        self.prepare(environment)
        with _furnished(self.folder, self.parameters):
            (self.folder / "artifacts").mkdir(exist_ok=True)
            _link(self.folder / "data", self.shared / "data")
            _link(self.folder / "artifacts" / "subwords", self.shared / "artifacts" / "subwords")
            _run(self.folder, OWN, {**environment, ABLATION: self.label, JOB: self.folder.name})

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


def _run(folder: Path, stages: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run the stages of a folder whose inputs are not those of their last run, each in a process of its own."""
    everything = {**os.environ, "DVC_ROOT": str(root()), **environment}
    with contextlib.chdir(folder):
        for stage in stages:
            if _is_done(stage):
                continue
            mark, started = fingerprint(*inputs(stage)), time.monotonic()
            _note({name: entry for name, entry in _done().items() if name != stage})  # its outs are about to change
            with Path(LOG).open("a", encoding="utf-8") as log:
                print(f"\n== {stage}", file=log, flush=True)
                command = [sys.executable, "-m", f"pipelines.{stage}"]
                status = _wait(subprocess.Popen(command, env=everything, stdout=log, stderr=log))
            if status:
                raise EntenteError(f"{stage} ended with status {status}: {last_words(folder)}; see {folder / LOG}")
            _note(_done() | {stage: {"inputs": mark, "seconds": round(time.monotonic() - started, 1)}})


def _wait(process: "subprocess.Popen[bytes]") -> int:
    """Wait for a stage; where this process is asked to stop, let the stage end its own way first."""
    try:
        return process.wait()
    except BaseException:  # Ctrl-C reaches the stage too, a scheduler's SIGTERM this process alone
        try:
            process.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        raise


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


def last_words(folder: Path) -> str:
    """Return the last line that a stage of this folder printed."""
    log = folder / LOG
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
