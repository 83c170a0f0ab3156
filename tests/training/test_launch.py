"""Who starts the processes of a training, and what is said where there cannot be as many."""

import os
import signal
from pathlib import Path

import pytest
from filelock import FileLock
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from entente.errors import EntenteError
from entente.training.launch import LAUNCHED, environment, launched
from entente.training.settings import Machine
from tests.training.fitting import CPU

TWO = Machine("cpu", 2, CPU.precision, None)
FOUR = Machine("cpu", 2, CPU.precision, None, nodes=2)
SLURM = Machine("cpu", 2, CPU.precision, None, launcher="srun")


@pytest.fixture(autouse=True)
def nobody_started_us(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_ID", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def test_an_updates_batches_are_divided_or_it_is_said_how_they_could_be() -> None:
    assert [machine.share(8) for machine in (CPU, TWO, FOUR)] == [8, 4, 2]
    with pytest.raises(EntenteError, match=r"training\.accumulate=2 batches.*nodes=2\).*a multiple of 4"):
        FOUR.share(2)


def test_one_process_is_started_by_nobody_even_in_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "3")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert launched(CPU, "nothing")
    assert isinstance(environment(CPU), LightningEnvironment)


@pytest.mark.parametrize(("machine", "variable"), [(TWO, "WORLD_SIZE"), (SLURM, "SLURM_STEP_NUM_TASKS")])
def test_as_many_as_are_asked_for_train(machine: Machine, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "2")
    assert launched(machine, "nothing")
    monkeypatch.setenv(variable, "3")
    with pytest.raises(EntenteError, match=r"has started 3 processes, but trainer\.devices=2 on .* are 2"):
        launched(machine, "nothing")


def test_other_nodes_are_not_ours_to_start() -> None:
    with pytest.raises(EntenteError, match=r"torchrun --nnodes 2 --nproc-per-node 2 .* -m pipelines\.train"):
        launched(FOUR, "pipelines.train")


def test_outside_a_job_there_is_no_srun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match="no job of SLURM"):
        launched(SLURM, "nothing")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EntenteError, match="srun, which is not installed"):
        launched(SLURM, "nothing")


@pytest.mark.parametrize(
    ("does", "status"), [("pass", None), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 9)]
)
def test_processes_end_as_the_first_that_failed(
    does: str, status: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = FileLock(tmp_path / "lock")
    (tmp_path / "stage.py").write_text(
        "import os\nfrom filelock import FileLock, Timeout\n"
        "assert 'ENTENTE_LAUNCHED' in os.environ\n"
        "try:\n    FileLock('lock').acquire(timeout=0)\n"
        f"except Timeout:\n    os.write(1, b'this is %d\\n' % int(os.environ['RANK']))\n{does}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if status is None:
        assert not launched(TWO, "stage", meanwhile=lock)
        assert sorted(capfd.readouterr().out.splitlines()) == ["this is 0", "this is 1"]
    elif status == signal.SIGKILL:
        with pytest.raises(EntenteError, match=r"process [01] of 2 was ended by SIGKILL.* goes on from the last check"):
            launched(TWO, "stage", meanwhile=lock)
    else:
        with pytest.raises(SystemExit) as ended:
            launched(TWO, "stage", meanwhile=lock)
        assert ended.value.code == status
    assert not lock.is_locked
    assert LAUNCHED not in os.environ
