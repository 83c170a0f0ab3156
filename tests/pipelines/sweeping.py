"""Sweeps as people start them, in a repository of their own, on a thimble of the embedded corpus."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from tests.pipelines.thimble import ROOT, THIMBLE

QUICK = [*THIMBLE, "decoding.beam=1", "decoding.max_length_factor=0.5", "decoding.max_length_offset=3"]
PATIENCE = 900  # seconds after which a sweep hangs, on a machine that does much else too


def furnish(root: Path) -> Path:
    """Make a folder a repository of this project's sources."""
    for folder in ("src", "pipelines", "conf", "data/grammar", "data/synthetic"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "dvc.yaml", root)
    return root


def clean() -> dict[str, str]:
    """An environment that says nothing of where runs or data are."""
    named = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "DVC", "ENTENTE"))}
    return named | {"OMP_NUM_THREADS": "1", "COVERAGE_PROCESS_START": ""}


def start(root: Path, *overrides: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.ablate", "--multirun", *overrides, *QUICK],
        cwd=root,
        env=clean() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def sweep(root: Path, *overrides: str, **environment: str) -> tuple[int, str, str]:
    process = start(root, *overrides, **environment)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def runs(root: Path) -> list[Run]:
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    return list(client.search_runs([found.experiment_id for found in client.search_experiments()]))


def children(root: Path) -> list[Run]:
    return [run for run in runs(root) if "entente.ablation" in run.data.tags]


def parents(root: Path) -> list[Run]:
    return [run for run in runs(root) if run.data.tags.get("entente.kind") == "sweep"]
