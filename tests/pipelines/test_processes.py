"""Two real processes that train together: the training of one, whatever happens to either of them."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from pipelines.soaks.kills import updates
from pipelines.soaks.repository import Repository
from tests.pipelines.together import ask_for, beside, the_same, train_alone

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which one process trained."""
    return train_alone(tmp_path_factory.mktemp("alone"))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_two_train_as_one(alone: Repository, tmp_path: Path) -> None:
    repository = beside(alone, tmp_path / "two", devices=2)
    repository.finish("train", tmp_path / "log.txt")
    the_same(alone, repository)
    # Where it was trained is no part of what was trained.
    configs = [(one.folder / "artifacts/model/config.json").read_text() for one in (alone, repository)]
    assert configs[0] == configs[1]


def test_one_is_lost_both_are_stopped_and_one_goes_on_alone(alone: Repository, tmp_path: Path) -> None:
    repository, log = beside(alone, tmp_path / "two", devices=2), tmp_path / "log.txt"

    process = repository.start("train", log)
    wait_for(lambda: updates(repository) >= 23 or process.poll() is not None)
    ranks = {int(one.environ()["RANK"]): one for one in psutil.Process(process.pid).children()}
    os.kill(ranks[1].pid, signal.SIGKILL)
    lost = time.monotonic()
    assert process.wait(100) == 1
    assert time.monotonic() - lost < 60
    # Whoever notices it first says so.
    assert re.search(r"error: (process 1 of 2 was ended by SIGKILL|another process of this train)", log.read_text())
    assert "Traceback" not in log.read_text()
    assert (repository.folder / "checkpoints").exists()

    process = repository.start("train", log)
    wait_for(lambda: updates(repository) >= 71 or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    assert process.wait(100) == 143, log.read_text()
    client = MlflowClient(f"sqlite:///{repository.folder}/mlflow.db")
    (run,) = client.search_runs([found.experiment_id for found in client.search_experiments()])
    assert run.info.status == "KILLED"

    ask_for(repository.folder, devices=1)
    repository.finish("train", log)
    the_same(alone, repository)
