"""Runs and models of all kinds, to be carried from the store they are in."""

import math
from pathlib import Path

import pytest

from entente.tracking.runs import KIND, PARENT_VARIABLE, Run, Runs


def register(run: Run, root: Path, bleu: float, *, judged: str = "val") -> None:
    (root / "packed").mkdir(exist_ok=True)
    (root / "packed" / "MLmodel").write_text(f"the model of {run.name}")
    run.artifact(root / "packed", "served")
    run.register("entente-en-fr", "served", corpus="grammar", judged=judged, bleu=bleu)


def fill(runs: Runs, root: Path) -> None:
    """Write what a sweep, its jobs, a job that failed and a plain training leave."""
    patch = pytest.MonkeyPatch()
    with runs.train("sweep", "all", {"seed": [1, 2]}, {KIND: "sweep"}, resume=False) as parent:
        parent.flush()
        patch.setenv(PARENT_VARIABLE, parent.id)
        for seed in (1, 2):
            tags = {"entente.ablation": "baseline"}
            parameters = {"model": {"heads": 4}, "seed": seed, "long": ["é"] * 2000}
            with runs.train(f"job {seed}", f"job {seed}", parameters, tags, resume=False) as run:
                for step in range(1100):
                    run.metrics({"train/loss": math.nan if step == 7 else step / seed, "l'élision": 1.0}, step)
                run.dataset("grammar/train", "data/prepared", "a" * 32, context="training", rows=20000)
                run.table("samples.json", [{"step": 1, "hypothesis": "Je t'aime."}])
                register(run, root, 30.0 + seed)
    patch.undo()
    with pytest.raises(KeyboardInterrupt):
        stop(runs.train("stopped", "stopped", {}, {}, resume=False))


def stop(run: Run) -> None:
    with run:
        run.tags({f"evaluated.{number}": str(number) for number in range(150)})
        raise KeyboardInterrupt
