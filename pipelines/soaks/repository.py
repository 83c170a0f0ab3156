"""A repository of its own, in which the pipeline runs on a thimble of data, stage by stage, in processes to kill."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from omegaconf import OmegaConf
from voluptuous import Invalid

from entente.errors import EntenteError
from entente.tracking.store import SQLITE, open_store
from pipelines.compose import CONF, compose

COPIED = ("data/grammar", "data/synthetic", CONF, "src", "pipelines", "dvc.yaml", ".dvcignore", ".gitignore")
STAGES = ("compose", "download", "prepare", "learn_subwords", "encode", "train", "evaluate", "register")
OUTS = ("data", "artifacts")
LOCKS, NOTED = ".dvc/tmp/rwlock", "dvc.lock"  # DVC writes both in place: killed meanwhile, half of one is there
UNSTEADY = ("system/", "decode/", "train/tokens_per_second")  # figures that tell of the machine

Points = dict[str, dict[int, list[float]]]  # of a run: values by figure and step


@dataclass(frozen=True)
class Repository:
    """A folder where `dvc repro STAGE` (or with `dvc` False the stage's module) makes what the stage puts out."""

    folder: Path
    dvc: bool

    def furnish(self, whole: Path, options: Iterable[str]) -> None:
        """Copy what stages read of a whole repository, with these options as the default configuration."""
        for name in COPIED:
            source, target = whole / name, self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, target)
        (self.folder / CONF / "config.yaml").write_text(
            OmegaConf.to_yaml(compose(list(options), whole / CONF)), encoding="utf-8"
        )
        if self.dvc:
            for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
                subprocess.run(command, cwd=self.folder, env=self.environment(), check=True)

    def environment(self) -> dict[str, str]:
        """Return an environment that says nothing of where data or runs are, and computes in one thread."""
        named = {name: value for name, value in os.environ.items() if not name.startswith(("DVC", "ENTENTE", "MLFLOW"))}
        return named | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(self.folder / "src")}

    def start(self, stage: str, log: Path) -> "subprocess.Popen[bytes]":
        """Start a stage in a process group of its own; what it prints goes to `log`."""
        ours = ["dvc", "repro", "--no-run-cache", stage] if self.dvc else [f"pipelines.{stage}"]
        with log.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *ours],
                cwd=self.folder,
                env=self.environment(),
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def finish(self, stage: str, log: Path) -> float:
        """Run a stage to its end; return the seconds. Raises EntenteError where it fails."""
        started = time.monotonic()
        self.wait(self.start(stage, log), stage, log)
        seconds = time.monotonic() - started
        if self.dvc:
            self._git("add", NOTED)  # as one commits it: what `mend` goes back to
        return seconds

    def wait(self, process: "subprocess.Popen[bytes]", stage: str, log: Path) -> None:
        """Wait for a stage that was started. Raises EntenteError where it fails."""
        try:
            status = process.wait()
        except BaseException:  # in a group of its own it does not hear of Ctrl-C
            kill(process)
            raise
        if status:
            said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise EntenteError(f"{stage} ended with status {status} in {self.folder}, which it must not:\n{said}")

    def mend(self) -> list[str]:
        """Put right what DVC was killed in the middle of writing, as docs/reliability.md says to; name these files.

        Locks are removed: what a killed process held is free. Of stages, what was noted when one last ended is taken.
        """
        mended = []
        locks, noted = self.folder / LOCKS, self.folder / NOTED
        if locks.exists() and _read(locks, json.loads) is None:
            locks.unlink()
            mended.append(LOCKS)
        if noted.exists() and not self._is_whole(noted):
            if self._noted_before():
                self._git("checkout", "--quiet", NOTED)
            else:
                noted.unlink()
            mended.append(NOTED)
        return mended

    def _is_whole(self, noted: Path) -> bool:
        found = _read(noted, _as_noted)
        return found is not None and _stages(found) >= self._noted_before()

    def _noted_before(self) -> set[str]:
        return _stages(yaml.safe_load(self._git("show", f":{NOTED}"))) if self._git("ls-files", NOTED) else set()

    def _git(self, *words: str) -> str:
        command = ["git", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(), stdout=subprocess.PIPE, check=True, text=True
        )
        return done.stdout

    def outs(self) -> dict[str, str]:
        """Return the sha256 of every file under data/ and artifacts/."""
        return {
            file.relative_to(self.folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in self._files()
            if file.name != ".gitignore"  # DVC's
        }

    def drafts(self) -> list[Path]:
        """Return what is no out but lies among them: files and folders that are being written, or were to be."""
        places = (place for name in OUTS for place in (self.folder / name).rglob("*"))
        return [place for place in places if place.suffix == ".part" or _is_draft(place)]

    def _files(self) -> list[Path]:
        return sorted(place for name in OUTS for place in (self.folder / name).rglob("*") if place.is_file())

    def runs(self) -> list[Points]:
        """Return what the tracking store has of each run, but what tells of the machine."""
        client, experiment = open_store(f"{SQLITE}{self.folder / 'mlflow.db'}", "entente")
        found = []
        for run in client.search_runs([experiment]):
            points: Points = {}
            for name in run.data.metrics:
                if not name.startswith(UNSTEADY):
                    for point in client.get_metric_history(run.info.run_id, name):
                        points.setdefault(name, {}).setdefault(point.step, []).append(point.value)
            found.append(points)
        return found


def _read(file: Path, parse: Callable[[str], Any]) -> Any:
    """Return what a file holds; None where it is nothing whole."""
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError, Invalid):
        return None


def _as_noted(text: str) -> Any:
    return COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(text))


def _stages(noted: Any) -> set[str]:
    return set(noted["stages"])


def _is_draft(place: Path) -> bool:
    """Say whether this is a temporary name of entente.text.corpus.replacing."""
    return place.name.startswith(".") and place.suffix[1:].isdigit()


def twice(points: Points) -> Counter[str]:
    """Count the steps that a run has more than once, by figure."""
    return Counter(name for name, steps in points.items() for values in steps.values() if len(values) > 1)


def working(process: "subprocess.Popen[bytes]") -> str | None:
    """Stop the group of this process and return which stage runs in it; None where DVC is alone, around stages."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGSTOP)  # or it would go on while we look
    with contextlib.suppress(psutil.NoSuchProcess):
        for member in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                module = next((word for word in member.cmdline() if word.startswith("pipelines.")), None)
                if module:
                    return module.removeprefix("pipelines.")
    return None


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the whole group of a process, if it is there, and wait until nothing of it is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while True:
            os.killpg(process.pid, 0)
            time.sleep(0.01)
