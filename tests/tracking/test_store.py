import errno
import multiprocessing
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient

from entente.errors import EntenteError
from entente.tracking import store as module
from entente.tracking.runs import Runs
from entente.tracking.store import AwayError, open_store, tracking_uri
from tests.tracking.servers import free_port

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")


def test_default_store_is_at_the_root_also_from_a_folder_below(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "below").mkdir()
    monkeypatch.chdir(root / "below")
    assert tracking_uri() == f"sqlite:///{root}/mlflow.db"


def test_a_copy_that_dvc_made_for_an_experiment_uses_the_real_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = root / ".dvc" / "tmp" / "exps" / "copy"
    copy.mkdir(parents=True)
    (copy / "dvc.yaml").touch()
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(root))
    assert tracking_uri() == f"sqlite:///{root}/mlflow.db"


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ("sqlite:///runs/all.db", "sqlite:///{root}/runs/all.db"),
        ("sqlite:////elsewhere/all.db", "sqlite:////elsewhere/all.db"),
        ("mlruns", "file://{root}/mlruns"),
        ("file:./mlruns", "file://{root}/mlruns"),
        ("file:///elsewhere/mlruns", "file:///elsewhere/mlruns"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("postgresql://me:secret@host/mlflow", "postgresql://me:secret@host/mlflow"),
    ],
)
def test_the_environment_wins_and_relative_paths_start_at_the_root(
    given: str, resolved: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert tracking_uri() == resolved.format(root=root)


def test_processes_that_meet_in_a_new_store_all_get_the_same_experiment(first_use: tuple[Path, list[str]]) -> None:
    _, experiments = first_use
    assert len(experiments) == 4
    assert len(set(experiments)) == 1


def has_tables(file: Path, many: int) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            return len(database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table'").fetchall()) >= many
    except sqlite3.DatabaseError:
        return False  # being written, or no database


def test_killed_as_it_makes_a_store_the_next_process_makes_it(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"
    opening = f"from entente.tracking.store import open_store; open_store({store!r}, 'entente')"
    process = subprocess.Popen([sys.executable, "-c", opening], env={**os.environ, "COVERAGE_PROCESS_START": ""})
    deadline = time.monotonic() + 100
    while not any(has_tables(file, 30) for file in [*tmp_path.glob("runs.db"), *tmp_path.glob("runs.db.*.part")]):
        assert time.monotonic() < deadline
        assert process.poll() is None
    process.kill()
    process.wait()
    client, experiment = open_store(store, "entente")
    assert client.get_experiment(experiment).name == "entente"
    assert not list(tmp_path.glob("*.part*"))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_what_kept_a_store_from_being_made_does_not_the_next_time(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"
    for size in (0, 200_000):
        with files_of_at_most(size), pytest.raises(AwayError):
            open_store(store, "entente")
    client, experiment = open_store(store, "entente")
    assert client.get_experiment(experiment).name == "entente"
    assert not list(tmp_path.glob("*.part*"))


def test_a_store_that_another_program_made_meanwhile_stays(tmp_path: Path) -> None:
    client, experiment = open_store(f"sqlite:///{tmp_path}/runs.db", "entente")
    module._create(tmp_path / "runs.db")
    assert client.get_experiment(experiment).name == "entente"
    assert MlflowClient(f"sqlite:///{tmp_path}/runs.db").get_experiment_by_name("entente") is not None
    assert not list(tmp_path.glob("*.part*"))


def make(uri: str) -> None:
    """Make a store as `mlflow ui` does, which does not know our lock."""
    MlflowClient(uri).search_experiments(max_results=1)


def test_a_store_is_opened_when_the_program_that_is_making_it_has_done_so(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/runs.db"
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["entente.tracking.store", "mlflow.store.tracking.sqlalchemy_store"])
    with processes.Pool(1) as pool:
        made = pool.map_async(make, [uri])
        while module._schema(tmp_path / "runs.db") == ([], 0):
            time.sleep(0.01)
        assert not made.ready()
        client, experiment = open_store(uri, "entente")
        made.get()
    assert client.get_experiment(experiment).name == "entente"


def test_a_file_system_without_hard_links_has_a_store_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    client, experiment = open_store(f"sqlite:///{tmp_path}/runs.db", "entente")
    assert client.get_experiment(experiment).name == "entente"
    assert not list(tmp_path.glob("*.part*"))


def test_a_link_may_say_where_a_store_is_to_be(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs.db").symlink_to(tmp_path / "elsewhere" / "there.db")
    open_store(f"sqlite:///{tmp_path}/runs.db", "entente")
    assert (tmp_path / "elsewhere" / "there.db").stat().st_size


def test_of_a_half_made_store_it_is_said_what_that_may_be(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database:
        database.execute("CREATE TABLE review_queues (id INTEGER)")
    with pytest.raises(AwayError, match=r"half made .*review_queues.*move it away"):
        open_store(f"sqlite:///{tmp_path}/runs.db", "entente")


def test_artifacts_lie_beside_the_database(runs: Runs, root: Path, client: MlflowClient) -> None:
    runs.find("none")
    experiment = client.get_experiment_by_name("entente")
    assert experiment is not None
    assert experiment.artifact_location == f"file://{root}/mlartifacts"


def test_a_store_that_cannot_be_used_is_named_without_its_password(root: Path) -> None:
    with pytest.raises(EntenteError, match=r"(?s)//\*\*\*@host.*MLFLOW_TRACKING_URI") as error:
        open_store("nosuchdriver://me:secret@host/mlflow", "entente")
    assert "secret" not in str(error.value)


def test_a_file_that_is_no_database_is_an_error_for_people(root: Path) -> None:
    (root / "mlflow.db").write_text("not a database, but long enough to be taken for one " * 20)
    with pytest.raises(EntenteError, match=r"mlflow\.db cannot be used"):
        open_store(tracking_uri(), "entente")


def test_a_deleted_experiment_says_how_to_bring_it_back(runs: Runs, root: Path, client: MlflowClient) -> None:
    runs.find("none")
    experiment = client.get_experiment_by_name("entente")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(EntenteError, match="mlflow experiments restore"):
        open_store(tracking_uri(), "entente")


def test_whom_nobody_lets_in_is_told_before_the_work(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Locked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(answer)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Locked) as door:
        threading.Thread(target=door.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{door.server_port}")
        for answer in (401, 403):
            with pytest.raises(EntenteError, match=rf"//\*\*\*@127.0.0.1.*{answer}") as error:
                work()
            assert not isinstance(error.value, AwayError)
            assert "secret" not in str(error.value)
        door.shutdown()
    assert not (root / "mlartifacts").exists()


def work() -> None:
    runs = Runs("entente", flush_every_seconds=1, system_metrics_every_seconds=60)
    with runs.train("tiny", "one", {}, {}, resume=False):
        pytest.fail("the work began")


@pytest.mark.parametrize("address", ["nosuchscheme://host/mlflow", "http://127.0.0.1:port"])
def test_an_address_that_is_none_is_told_before_the_work(
    address: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(EntenteError, match="MLFLOW_TRACKING_URI"):
        work()
    assert not (root / "mlartifacts").exists()


def test_a_file_that_is_no_database_and_a_deleted_experiment_are_told_before_the_work(
    runs: Runs, root: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.find("none")
    experiment = client.get_experiment_by_name("entente")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(EntenteError, match="mlflow experiments restore"):
        work()
    (root / "other.db").write_text("not a database, but long enough to be taken for one " * 20)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    with pytest.raises(EntenteError, match=r"other\.db cannot be used"):
        work()


def test_a_port_at_which_nobody_answers_may_be_answered_later(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(AwayError):
        open_store(f"http://127.0.0.1:{free_port()}", "entente")
