"""One of many who write to a server at once: a process that tracks a training, and does not train."""

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Barrier

from entente.tracking.runs import Runs

STEPS, TOLD = 200, 100  # steps of each, and between two rows of its table


def write(number: int, folder: Path, environment: Mapping[str, str], together: Barrier) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    Path("dvc.yaml").touch()
    Path("weights").write_bytes(bytes([number]) * 100_000)
    runs = Runs("entente", flush_every_seconds=0.2, system_metrics_every_seconds=60)
    together.wait()
    parameters = {"seed": number, "model": {"heads": 4}}
    with runs.train(f"writer {number}", f"writer {number}", parameters, {}, resume=False) as run:
        for step in range(STEPS):
            run.metrics({"train/loss": number + step / STEPS, "val/bleu": float(step)}, step)
            if step % TOLD == 0:
                run.table("samples.json", [{"step": step, "hypothesis": f"{number}"}])
                run.flush()
        run.artifact(Path("weights"), "model")
        run.flush()
        together.wait()  # nobody ends before all have written
