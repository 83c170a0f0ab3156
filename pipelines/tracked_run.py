"""The tracking run of a stage: one for each training, found again by its fingerprint."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from entente.errors import EntenteError
from entente.model.weights import CONFIG, read_config
from entente.tracking.runs import OWNER, SYNTHETIC, Run, Runs
from pipelines.parameters import read

PREPARED, LOCK = Path("data/prepared"), Path("dvc.lock")
LEARNT = Path("data/encoded/synthetic.json")  # beside the training split
ABLATION = "ENTENTE_ABLATION"  # names the job of a sweep, whose configuration must not depend on what it is called
JOB = "ENTENTE_JOB"  # tells apart jobs that train the same and decode otherwise
LOGGED = (
    "seed", "corpus", "subwords", "segmentation", "synthetic", "model", "training", "trainer", "decoding", "evaluation",
    "tracking",
)  # fmt: skip


def open_runs(tracking: Mapping[str, Any] | None = None) -> Runs:
    """Return the runs of the experiment that `tracking` names, by default that of params.yaml."""
    tracking = tracking or read("tracking")
    return Runs(
        tracking["experiment"],
        flush_every_seconds=tracking["flush_every_seconds"],
        system_metrics_every_seconds=tracking["system_metrics_every_seconds"],
    )


def identity(mark: str) -> tuple[str, str, dict[str, Any]]:
    """Return what a run is opened with: a name for people, the training's fingerprint, `mark`, and the parameters."""
    parameters = {group: read(group) for group in LOGGED}
    what = os.environ.get(ABLATION, parameters["model"]["kind"])
    which = os.environ.get("DVC_EXP_NAME", f"s{parameters['seed']}")
    return f"{parameters['corpus']['name']}-{what}-{which}", mark, parameters


def tags() -> dict[str, str]:
    """Return what a sweep's job notes about itself."""
    named = {"entente.ablation": ABLATION, OWNER: JOB}
    return {tag: os.environ[variable] for tag, variable in named.items() if variable in os.environ}


def evaluated_run(model: Path) -> Run:
    """Return the run of the training that made `model`, to be used in `with`.

    DVC's outs hold no run id: the fingerprint in the model's config.json finds the run, and where this store has
    none (the weights came from DVC's cache) a new one is begun.
    """
    config = read_config(model)
    if not isinstance(config.get("fingerprint"), str):
        raise EntenteError(f"{model / CONFIG} lacks the fingerprint of its training: train anew with `dvc repro`")
    return open_runs().evaluate(*identity(config["fingerprint"]), tags())


def note_data(run: Run, split: str, *, context: str, rows: int) -> None:
    """Note in a run which data it used: the prepared split, by DVC's hash of the folder where dvc.lock has one.

    Where synthetic text was learnt from beside it, `rows` counts that too, and it is noted by its own hash.
    """
    corpus = read("corpus")["name"]
    learnt = json.loads(LEARNT.read_text(encoding="utf-8")) if split == "train" and LEARNT.exists() else {}
    for name, text in learnt.items():
        place = f"{corpus}/{name}"
        run.dataset(place, f"data/synthetic/{place}", text["digest"], context=context, rows=text["pairs"])
        run.tags({f"{SYNTHETIC}{name}": f"{text['command']} {text['digest']}".strip()})
    rows -= sum(text["pairs"] for text in learnt.values())
    run.dataset(f"{corpus}/{split}", str(PREPARED), data_hash(PREPARED), context=context, rows=rows)


def data_hash(folder: Path) -> str:
    """Return DVC's hash of a folder that it made, by dvc.lock, or say that there is none."""
    if not LOCK.exists():
        return "not in dvc.lock"
    try:
        stages = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"].values()
        outs = (out for stage in stages for out in stage.get("outs", []))
        return next((str(out["md5"]) for out in outs if out["path"] == folder.as_posix()), "not in dvc.lock")
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise EntenteError(f"{LOCK} is not readable ({error}): `git checkout {LOCK}` restores it") from error
