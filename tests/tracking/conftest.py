import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from entente.tracking.runs import PARENT_VARIABLE, Runs
from entente.tracking.store import open_store


@pytest.fixture(scope="session")
def first_use(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A store that four processes opened at once when it was new, and the experiment each of them got.

    Creating MLflow's schema takes seconds: the other tests work on copies of this one.
    """
    database = tmp_path_factory.mktemp("first") / "mlflow.db"
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["entente.tracking.store", "mlflow.store.tracking.sqlalchemy_store"])
    with processes.Pool(4) as pool:
        return database, pool.map(race, [f"sqlite:///{database}"] * 4, chunksize=1)


def race(uri: str) -> str:
    return open_store(uri, "race")[1]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository's root, in which the test stands."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "DVC_EXP_NAME", PARENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def runs(root: Path, first_use: tuple[Path, list[str]]) -> Runs:
    shutil.copy(first_use[0], root / "mlflow.db")
    return Runs("entente", flush_every_seconds=0.05, system_metrics_every_seconds=60)


@pytest.fixture
def client(runs: Runs, root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root}/mlflow.db")


@pytest.fixture
def curve(client: MlflowClient) -> Callable[[str, str], list[tuple[int, float]]]:
    def read(run: str, name: str) -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in client.get_metric_history(run, name)]

    return read
