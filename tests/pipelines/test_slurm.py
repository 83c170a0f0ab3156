"""A real cluster of one node: sweeps whose jobs are preempted, out of time or cancelled; processes of one training."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mlflow.entities import Run

from entente.errors import EntenteError
from entente.training.checkpoints import LAST
from pipelines.job import Job
from pipelines.slurm import EVERY, Queue, queue
from pipelines.soaks.kills import drawn
from pipelines.soaks.repository import Repository, twice
from tests.pipelines.sweeping import PATIENCE, children, furnish, parents, runs, start, sweep
from tests.pipelines.together import beside, the_same, train_alone
from tests.services.slurm import Cluster, cluster
from tests.tracking.servers import free_port

pytestmark = [
    pytest.mark.services,
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
]
UPDATES, WITHOUT_END = 600, 1_000_000  # enough to be still at them when the job beside has stopped
LONG = """# @package _global_
trainer: {{limit_updates: {}}}
training: {{checkpoint_every: 50, validation: {{every: {}}}}}
"""
ON_SLURM = ("hydra/launcher=slurm", "hydra.launcher.array_parallelism=2", "hydra.launcher.cpus_per_task=1",
            "hydra.launcher.timeout_min=30")  # fmt: skip
BOUND = 60  # seconds in which what cannot be is told
LAUNCHER = {"nodes": 1, "tasks_per_node": 1, "cpus_per_task": 1, "timeout_min": 30, "signal_delay_s": 120}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("slurm")) as found:
        yield found


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own, with an experiment that takes a while and one that does not end."""
    root = furnish(tmp_path_factory.mktemp("repository"))
    (root / "conf/experiment/long.yaml").write_text(LONG.format(UPDATES, UPDATES // 2))
    (root / "conf/experiment/endless.yaml").write_text(LONG.format(WITHOUT_END, WITHOUT_END))
    return root


def wait_for(condition: Callable[[], Any], process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def log(root: Path, updates: int, seed: int) -> Path:
    """Where the job of so many updates with this seed writes what its stages print."""
    for file in root.glob("ablations/*/params.yaml"):
        if file.parent.name.startswith("data-"):
            continue
        parameters = yaml.safe_load(file.read_text())
        if parameters["seed"] == seed and parameters["trainer"]["limit_updates"] == updates:
            return file.with_name("log.txt")
    return root / "none.txt"


def reached(file: Path, update: int) -> bool:
    """Say whether the training that writes this log has been at an update."""
    return file.exists() and (drawn(file) or [0])[-1] >= update


def of(root: Path, job: Path) -> Run:
    """The one tracking run of a job."""
    (run,) = [run for run in children(root) if run.data.tags["entente.job"] == job.name]
    return run


def kept(root: Path, run: Run) -> int:
    """After which update the last checkpoint of a training was written."""
    file = root / "checkpoints" / f"{run.data.tags['entente.fingerprint']}-{run.data.tags['entente.job']}" / LAST
    return int(torch.load(file, weights_only=True)["global_step"])


def standing(root: Path, parent: Run) -> Counter[str]:
    table = json.loads((root / f"ablations/reports/{parent.info.run_id}/jobs.json").read_text())
    return Counter(row["status"] for row in table)


def stop(
    slurm: Cluster, root: Path, process: "subprocess.Popen[str]", orders: Mapping[int, Callable[[str], object]]
) -> list[tuple[Path, str, int, int]]:
    """Stop long jobs, by their seeds, each in the middle of its training, so that they go back to the queue.

    Return of each its log and tracking run, the update of its checkpoint, and how often its bar was drawn.
    """
    running = dict(orders)
    while running:  # whichever is first: by the time that one has stopped, the other may have ended
        wait_for(lambda: any(reached(log(root, UPDATES, seed), 20) for seed in running), process)
        seed = next(seed for seed in running if reached(log(root, UPDATES, seed), 20))
        (array,) = {number.partition("_")[0] for number in slurm.jobs()}
        running.pop(seed)(f"{array}_{seed - 1}")
    return [_stopped(slurm, root, process, seed, f"{array}_{seed - 1}") for seed in orders]


def _stopped(
    slurm: Cluster, root: Path, process: "subprocess.Popen[str]", seed: int, job: str
) -> tuple[Path, str, int, int]:
    wait_for(lambda: slurm.jobs().get(job, "PENDING") == "PENDING", process)
    assert job in slurm.jobs()
    file = log(root, UPDATES, seed)
    run = of(root, file.parent)
    assert run.info.status == "KILLED"
    assert 20 <= kept(root, run) < UPDATES
    assert file.read_text().endswith("train was asked to stop\n")
    return file, run.info.run_id, kept(root, run), len(drawn(file))


def test_jobs_that_are_preempted_or_out_of_time_go_on_where_they_were(slurm: Cluster, repository: Path) -> None:
    process = start(repository, "experiment=long,baseline,no_positions", "seed=1,2", *ON_SLURM, **slurm.environment)
    most = 0
    orders = {  # as if another job were worth more, and as if its time were up
        1: lambda job: slurm.ask("scontrol", "requeue", job),
        2: lambda job: slurm.ask("scancel", "--signal=URG", slurm.step(job)),
    }
    stopped = stop(slurm, repository, process, orders)
    while process.poll() is None:
        most = max(most, Counter(slurm.jobs().values())["RUNNING"])
        time.sleep(0.5)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert most == 2

    # As for joblib: each job once, below the one run of the sweep, which has the report.
    (parent,) = parents(repository)
    own = children(repository)
    assert {run.info.status for run in runs(repository)} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in own} == {parent.info.run_id}
    names = ("long", "baseline", "no_positions")
    assert Counter(run.data.tags["entente.ablation"] for run in own) == dict.fromkeys(names, 2)
    assert standing(repository, parent) == {"finished": 6}
    assert "6 jobs, 0 of them done already" in out
    assert "test/test/bleu" in out
    assert (repository / f"ablations/reports/{parent.info.run_id}/comparison.csv").exists()

    for file, identity, update, before in stopped:
        assert of(repository, file.parent).info.run_id == identity
        bar = drawn(file)[before:]
        assert (bar[0], bar[-1]) == (update, UPDATES)
    points = Repository(repository, dvc=False).runs()
    assert len(points) == 7
    assert not [twice(run) for run in points if twice(run)]
    assert sum(len(run.get("train/loss", ())) == UPDATES // 2 for run in points) == 2


def test_a_cancelled_job_is_told_and_others_are_waited_for_until_the_sweep_is_asked_to_stop(
    slurm: Cluster, repository: Path
) -> None:
    process = start(repository, "experiment=endless", "seed=1,2", *ON_SLURM, **slurm.environment)
    wait_for(lambda: all(reached(log(repository, WITHOUT_END, seed), 10) for seed in (1, 2)), process)
    first, second = sorted(slurm.jobs())
    slurm.ask("scancel", first)
    wait_for(lambda: list(slurm.jobs()) == [second], process)
    time.sleep(2 * EVERY)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143, out + err
    assert not slurm.jobs()
    told = [line for line in err.splitlines() if line.startswith("not finished: ")]
    why = "train was not completed, or its inputs changed since: train was asked to stop"
    assert told == [f"not finished: endless, seed {seed}: {why}" for seed in (1, 2)]
    for seed in (1, 2):
        run = of(repository, log(repository, WITHOUT_END, seed).parent)
        assert run.info.status == "KILLED"
        assert kept(repository, run) >= 10


def a_job(launcher: str = "torchrun") -> Job:
    return Job("", {"trainer": {"launcher": launcher}})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"partition": "none"}, "SLURM does not take the jobs.*invalid partition specified: none"),
        ({"cpus_per_task": 64}, "SLURM does not take the jobs.*More processors requested than permitted"),
        ({"mem_gb": 64000}, "SLURM does not take the jobs.*node configuration is not available"),
        ({"gpus_per_node": 8}, "SLURM does not take the jobs.*Invalid generic resource"),
        ({"timeout_min": 600}, "SLURM does not take the jobs.*time limit is invalid"),
        ({"additional_parameters": {"frobnicate": 1}}, "SLURM does not take the jobs.*frobnicate"),
        ({"nodes": 2}, "one process on one node"),
        ({"tasks_per_node": 2}, "one process on one node"),
    ],
)
def test_what_the_cluster_cannot_do_is_told(
    asked: dict[str, Any], message: str, slurm: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    with queue(LAUNCHER, [a_job(), a_job()]):
        pass
    began = time.monotonic()
    with pytest.raises(EntenteError, match=message), queue(LAUNCHER | asked, [a_job(), a_job()]):
        pass
    assert time.monotonic() - began < BOUND


def test_processes_that_srun_starts_are_no_job_of_a_sweep() -> None:
    with pytest.raises(EntenteError, match=r"use trainer=ddp, on one node"), queue(LAUNCHER, [a_job("srun")]):
        pass


def test_a_sweep_that_slurm_does_not_take_has_not_begun(slurm: Cluster, repository: Path) -> None:
    before = len(runs(repository))
    wrong = "hydra.launcher.partition=none"
    status, out, err = sweep(repository, "experiment=baseline", *ON_SLURM, wrong, **slurm.environment)
    assert status == 1
    assert err.startswith("error: SLURM does not take the jobs of this sweep (invalid partition specified: none")
    assert "Traceback" not in out + err
    assert len(runs(repository)) == before


@pytest.fixture
def away(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test has SLURM's commands, but its controller does not answer."""
    told = (slurm.folder / "slurm.conf").read_text()
    port = next(line for line in told.splitlines() if line.startswith("SlurmctldPort="))
    (tmp_path / "slurm.conf").write_text(told.replace(port, f"SlurmctldPort={free_port()}\nMessageTimeout=2"))
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))


@pytest.mark.usefixtures("away")
def test_a_controller_that_is_away_is_told_before_the_first_job_and_waited_for_after_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    with pytest.raises(EntenteError, match="Unable to contact slurm controller"), queue(LAUNCHER, [a_job()]):
        pass
    assert time.monotonic() - began < BOUND
    waits = Queue()
    waits.register_job("1")
    assert not waits.is_done("1")
    assert capsys.readouterr().out == "SLURM does not answer\n"
    monkeypatch.setattr("pipelines.slurm.SILENCE", 0.0)
    with pytest.raises(SystemExit, match="error: SLURM has not answered for 0 minutes"):
        waits.update()


def test_where_slurm_is_not_installed_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EntenteError, match=r"sbatch is not installed here.* another hydra/launcher"):
        queue(LAUNCHER, [a_job()]).__enter__()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which one process trained."""
    return train_alone(tmp_path_factory.mktemp("alone"))


def submitted(slurm: Cluster, repository: Repository, *options: str) -> tuple[int, str]:
    """Train in a job of SLURM; return its exit status and what it printed."""
    said = repository.folder / "said.txt"
    command = ["sbatch", "--wait", f"--output={said}", *options, f"--wrap={sys.executable} -m pipelines.train"]
    environment = repository.environment() | slurm.environment
    done = subprocess.run(command, cwd=repository.folder, env=environment, timeout=PATIENCE, check=False)
    return done.returncode, said.read_text()


def test_two_processes_that_srun_starts_train_as_one(alone: Repository, slurm: Cluster, tmp_path: Path) -> None:
    repository = beside(alone, tmp_path / "two", devices=2, launcher="srun")
    status, said = submitted(slurm, repository, "--ntasks=2")
    assert status == 0, said
    the_same(alone, repository)


@pytest.mark.parametrize(
    ("trainer", "options", "message"),
    [
        ({"devices": 1, "nodes": 2}, ["--ntasks=2"], "error: trainer.nodes is 2, but this job of SLURM has 1"),
        ({"devices": 2}, ["--ntasks=1"], "More processors requested than permitted"),
    ],
)
def test_more_processes_than_the_job_has_room_for_are_refused(
    trainer: dict[str, int], options: list[str], message: str, alone: Repository, slurm: Cluster, tmp_path: Path
) -> None:
    repository = beside(alone, tmp_path / "many", launcher="srun", **trainer)
    status, said = submitted(slurm, repository, "--time=2", *options)
    assert status == 1, said
    assert message in said
    assert not repository.runs()
