"""Sweeps whose jobs are killed or hang, whose store is away, or that run beside others on one store."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from entente.errors import EntenteError
from pipelines import job
from pipelines.sweep import seconds
from tests.pipelines.sweeping import PATIENCE, children, furnish, parents, runs, start, sweep
from tests.tracking.servers import free_port, server

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")
ENDLESS = "# @package _global_\ntrainer: {limit_updates: 1000000}\ntraining: {validation: {every: 1000000}}\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own, in which one experiment does not end, and the baseline is done."""
    root = furnish(tmp_path_factory.mktemp("repository"))
    (root / "conf/experiment/endless.yaml").write_text(ENDLESS)
    status, _, err = sweep(root, "experiment=baseline", "seed=1")
    assert status == 0, err
    return root


def training(root: Path, sweep: "subprocess.Popen[str]") -> psutil.Process:
    """Wait until the endless training has told its run of a figure, and return its process."""
    while True:
        assert sweep.poll() is None, sweep.communicate()
        stages = [process for process in psutil.Process(sweep.pid).children() if "pipelines.train" in process.cmdline()]
        begun = [run for run in children(root) if run.data.tags["entente.ablation"] == "endless"]
        if stages and any("train/loss" in run.data.metrics for run in begun):
            return stages[0]
        time.sleep(0.2)


def standing(root: Path, parent: Run) -> dict[str, str]:
    """Return how each job stands, by the sweep's table."""
    table = json.loads((root / f"ablations/reports/{parent.info.run_id}/jobs.json").read_text())
    return {row["ablation"]: row["status"] for row in table}


def test_a_job_that_is_killed_leaves_the_others_and_the_report_says_which_and_why(repository: Path) -> None:
    process = start(repository, "experiment=endless,no_positions,baseline", "seed=1")
    training(repository, process).send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    why = "train was killed by signal 9 (Killed), by a person or for want of memory"
    (told,) = [line for line in err.splitlines() if line.startswith("not finished: ")]
    assert told.startswith("not finished: endless, seed 1")
    assert why in told
    assert "test/test/bleu" in out  # the others are compared all the same
    (parent,) = [run for run in parents(repository) if "endless" in str(run.info.run_name)]
    assert standing(repository, parent) == {"endless": "unfinished", "no_positions": "finished", "baseline": "finished"}
    own = {
        run.data.tags["entente.ablation"]: run
        for run in children(repository)
        if run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    }
    assert {name: run.info.status for name, run in own.items()} == {"endless": "KILLED", "no_positions": "FINISHED"}
    assert own["endless"].data.tags["entente.ended"].startswith(why)
    assert own["endless"].info.end_time


def test_a_job_past_its_time_is_stopped_and_the_report_says_which_and_why(repository: Path) -> None:
    status, out, err = sweep(
        repository, "experiment=endless,baseline", "seed=2,1", "hydra.callbacks.sweep.job_minutes=0.02"
    )
    assert status == 1
    told = [line for line in err.splitlines() if line.startswith("not finished: ")]
    assert [line.split(":")[1].strip() for line in told] == [
        "endless, seed 2",
        "endless, seed 1",
        "baseline, seed 2",
    ]
    for line in told:
        assert "train was stopped, past the time that a job may take (hydra.callbacks.sweep.job_minutes)" in line
    assert "test/test/bleu" in out
    assert not [run for run in runs(repository) if run.info.status == "RUNNING"]


def test_a_process_that_does_not_heed_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_LAST", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert "was stopped" in job._wait(process, 0.2)
        assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("minutes", [0, -1, "long"])
def test_a_limit_that_is_none_is_told(minutes: object) -> None:
    from omegaconf import OmegaConf

    with pytest.raises(EntenteError, match=f"job_minutes is {minutes}: give a number above 0"):
        seconds(OmegaConf.create({"callbacks": {"sweep": {"job_minutes": minutes}}}))


def test_a_sweep_without_its_store_ends_well_and_is_reported_later(repository: Path) -> None:
    before = len(runs(repository))
    away = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    status, out, err = sweep(repository, "experiment=baseline", "seed=1", **away)
    assert status == 0, err
    assert "1 jobs, 1 of them done already" in out
    assert (out + err).count("the MLflow store is away (") == 1  # Hydra logs to standard output
    assert "no report yet: `python -m pipelines.report` writes it, when the tracking store is back" in err
    assert len(runs(repository)) == before


def test_a_sweep_that_has_no_baseline_says_so_beforehand_and_ends_well(repository: Path) -> None:
    status, out, err = sweep(repository, "experiment=no_positions", "seed=1")
    assert status == 0, err
    assert "no baseline among them: nothing will be compared" in out
    assert "report" not in err
    (parent,) = [run for run in parents(repository) if str(run.info.run_name).startswith("experiment=no_positions ")]
    assert parent.info.status == "FINISHED"
    assert standing(repository, parent) == {"no_positions": "finished"}


@pytest.mark.services
def test_two_sweeps_and_a_server_share_one_store_and_no_run_is_lost(tmp_path: Path) -> None:
    root = furnish(tmp_path)
    port = free_port()
    asked: Counter[int] = Counter()
    several = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    sweeps = {name: start(root, f"experiment=baseline,{name}", "seed=1", *several) for name in ("no_positions", "gelu")}
    with server(root, port):
        client = MlflowClient(f"http://127.0.0.1:{port}")
        while any(process.poll() is None for process in sweeps.values()):
            every = [found.experiment_id for found in client.search_experiments()]
            found = client.search_runs(every)
            for run in found:
                client.get_metric_history(run.info.run_id, "train/loss")
            asked[len(found)] += 1
            time.sleep(0.05)
    for process in sweeps.values():
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert "test/test/bleu" in out
        assert "is away" not in out + err
    assert len(asked) > 1  # it saw the runs come
    assert {run.info.status for run in runs(root)} == {"FINISHED"}
    named = {run.info.run_name.partition(" seed=1")[0] for run in parents(root)}
    assert named == {f"experiment=baseline,{name}" for name in sweeps}
    assert Counter(run.data.tags["entente.ablation"] for run in children(root)) == {
        "baseline": 1,
        "no_positions": 1,
        "gelu": 1,
    }
    store = MlflowClient(f"sqlite:///{root}/mlflow.db")
    for run in children(root):
        for name in ("train/loss", "val/bleu", "test/test/bleu"):
            points = Counter(point.step for point in store.get_metric_history(run.info.run_id, name))
            assert points
            assert set(points.values()) == {1}
        assert run.inputs
        assert {one.dataset.name for one in run.inputs.dataset_inputs} >= {
            "grammar/train",
            "grammar/val",
            "grammar/test",
        }
        stored = {entry.path for entry in store.list_artifacts(run.info.run_id)}
        assert {"attention", "evaluation", "model", "params.yaml", "translations.json"} <= stored
    assert not list((root / "mlartifacts").rglob("unsent/**/*.jsonl"))
