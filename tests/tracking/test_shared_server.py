"""A server that several people share: PostgreSQL and S3 behind it, passwords before it, twenty who write at once."""

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

from entente.errors import EntenteError
from entente.tracking.records import Records
from entente.tracking.runs import CARRIED, Runs
from entente.tracking.store import AwayError, open_store
from pipelines import migrate
from tests.services.postgres import PASSWORD, USER, Postgres, postgres
from tests.services.s3 import S3, s3
from tests.services.tracking import ADMIN, Tracking, behind, let_in, shut_out, tracking, user
from tests.tracking.contents import contents
from tests.tracking.filling import fill
from tests.tracking.writing import STEPS, TOLD, write

pytestmark = [
    pytest.mark.services,
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*starlette.middleware.wsgi is deprecated"),
]
WRITERS = 20
TABLES = ("runs", "metrics", "params", "tags", "inputs", "model_versions", "registered_model_aliases", "users")


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as made:
        yield made


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3(tmp_path_factory.mktemp("s3")) as made:
        yield made


@contextmanager
def as_user(name: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in user(name).items():
            patch.setenv(variable, value)
        yield


@pytest.fixture(scope="module")
def server(database: Postgres, bucket: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """The server, which lets in ann and ben, and mallory too, but not to the experiment."""
    database.make_database("runs")
    bucket.make_bucket("runs")
    with tracking(tmp_path_factory.mktemp("tracking"), behind(database, "runs", bucket, "runs")) as made:
        with as_user(ADMIN):
            let_in(made, "ann", "ben", "mallory")
        with as_user("ann"):
            open_store(made.address, "entente")
        with as_user(ADMIN):
            shut_out(made, "mallory", "entente")
        yield made


@pytest.fixture
def let_in_as_ben(root: Path, server: Tracking, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """The server, where this process sends its runs as ben, who did not make the experiment."""
    settings = {"MLFLOW_TRACKING_URI": server.address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    for variable, value in (settings | user("ben")).items():
        monkeypatch.setenv(variable, value)
    return server


def runs() -> Runs:
    return Runs("entente", flush_every_seconds=0.05, system_metrics_every_seconds=60)


def test_twenty_who_write_at_once_lose_nothing_and_write_nothing_twice(
    root: Path, let_in_as_ben: Tracking, bucket: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.tracking.writing"])
    together = processes.Barrier(WRITERS, timeout=300)
    writers = []
    for number in range(WRITERS):
        (root / str(number)).mkdir()
        environment = {"MLFLOW_TRACKING_URI": let_in_as_ben.address, **user("ann" if number % 2 else "ben")}
        writers.append(processes.Process(target=write, args=(number, root / str(number), environment, together)))
        writers[-1].start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    for left in {path.parents[3] for path in root.rglob("*.jsonl")}:  # a server that has too much to do is caught up
        monkeypatch.chdir(left)
        runs().find("anything")
    assert not list(root.rglob("*.jsonl")), "something was not delivered"

    client = MlflowClient()
    experiment = client.get_experiment_by_name("entente")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "attributes.run_name LIKE 'writer %'")
    assert sorted(str(run.info.run_name) for run in found) == sorted(f"writer {number}" for number in range(WRITERS))
    assert max(run.info.start_time for run in found) < min(run.info.end_time for run in found)

    def read(key: str) -> bytes:
        return bytes(bucket.client().get_object(Bucket="runs", Key=key)["Body"].read())

    for run in found:
        number = int(run.data.params["seed"])
        assert (run.info.status, run.data.params["model.heads"]) == ("FINISHED", "4")
        for name, values in (("train/loss", [number + step / STEPS for step in range(STEPS)]), ("val/bleu", None)):
            points = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
            assert points == list(enumerate(values or map(float, range(STEPS))))
        place = f"{experiment.experiment_id}/{run.info.run_id}/artifacts/"
        own = {key.removeprefix(place): read(key) for key in bucket.objects("runs") if key.startswith(place)}
        assert own.keys() == {"samples.json", "model/weights"}
        assert json.loads(own["samples.json"])["data"] == [[step, str(number)] for step in range(0, STEPS, TOLD)]
        assert own["model/weights"] == bytes([number]) * 100_000


@pytest.mark.parametrize(
    ("who", "password", "said"),
    [
        (None, None, r"does not let you in \(401\): MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ("ben", "wrong-horse", r"does not let you in \(401\): MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ("mallory", "right", r"does not let this user do that \(403\)"),
    ],
)
def test_whom_the_server_does_not_let_in_is_told_so_in_a_line_before_the_work(
    who: str | None,
    password: str | None,
    said: str,
    root: Path,
    let_in_as_ben: Tracking,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name)
    given = user(str(who))["MLFLOW_TRACKING_PASSWORD"] if password == "right" else password
    if who and given:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", who)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", given)
    with pytest.raises(EntenteError, match=said) as error, runs().train("tiny", "one", {}, {}, resume=False):
        pytest.fail("the work began")
    assert not isinstance(error.value, AwayError)
    assert "\n" not in str(error.value)
    assert not given or given not in str(error.value)
    assert not (root / "mlartifacts").exists()


def test_a_database_of_another_version_is_told_before_the_work(
    root: Path, server: Tracking, database: Postgres
) -> None:
    database.ask("runs", "update alembic_version set version_num = reverse(version_num)")
    try:
        with pytest.raises(EntenteError, match=r"\*\*\*@127.*schema of another version.*mlflow db upgrade") as error:
            open_store(f"postgresql+psycopg2://{USER}:{PASSWORD}@127.0.0.1:{database.port}/runs", "entente")
    finally:
        database.ask("runs", "update alembic_version set version_num = reverse(version_num)")
    assert not isinstance(error.value, AwayError)
    assert PASSWORD not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_database_that_goes_away_in_the_middle_gets_everything_when_it_is_back(
    root: Path, let_in_as_ben: Tracking, database: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "entente.tracking")
    with runs().train("long", "long", {"seed": 1}, {}, resume=False) as run:
        run.metrics({"train/loss": 0.0}, 0)
        run.flush()
        database.stop()
        for step in range(1, 50):
            run.metrics({"train/loss": float(step)}, step)
        (root / "weights").write_text("of the long one")
        run.artifact(root / "weights", "model")
    with runs().train("later", "later", {"seed": 2}, {}, resume=False) as later:
        later.metrics({"train/loss": 1.0}, 0)
    assert caplog.text.count("is away (") == 2
    database.start()

    until = time.monotonic() + 60
    while any((root / "mlartifacts").rglob("*.jsonl")) and time.monotonic() < until:
        runs().find("anything")
    client = MlflowClient()
    found = {name: client.search_runs(["1"], f"attributes.run_name = '{name}'") for name in ("long", "later")}
    assert {name: [run.info.status for run in one] for name, one in found.items()} == {
        "long": ["FINISHED"],
        "later": ["FINISHED"],
    }
    [long] = found["long"]
    points = client.get_metric_history(long.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in points] == [(step, float(step)) for step in range(50)]
    file = client.download_artifacts(long.info.run_id, "model/weights", str(root))
    assert Path(file).read_text() == "of the long one"


def test_a_store_comes_whole_to_the_server_though_its_carrier_is_killed(
    root: Path, let_in_as_ben: Tracking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setattr("sys.argv", ["migrate"])
    fill(runs(), root)
    (root / "a").mkdir()
    before = contents(MlflowClient(f"sqlite:///{root}/mlflow.db"), root / "a")
    local = [record.id for record in Records("entente").tagged("entente.ablation")]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", let_in_as_ben.address)

    command = [sys.executable, "-m", "pipelines.migrate"]
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "src")])
    carrier = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, start_new_session=True)
    client = MlflowClient()
    while len(client.search_runs(["1"], f"tags.`{CARRIED}` != ''")) < 2:
        assert carrier.poll() is None, "it ended before it was killed"
    os.killpg(carrier.pid, signal.SIGKILL)
    carrier.wait()

    migrate.main()
    assert "has the 4 runs of" in capsys.readouterr().out
    assert contents(client, root / "a", before["runs"]) == before
    assert [record.id for record in Records("entente").tagged("entente.ablation")] == local
    migrate.main()
    assert "0 were new or had changed,\nand 0 versions" in capsys.readouterr().out
    assert contents(client, root / "a", before["runs"]) == before


def test_what_was_backed_up_is_restored_for_another_server(
    root: Path, let_in_as_ben: Tracking, database: Postgres, bucket: S3
) -> None:
    with runs().train("kept", "kept", {"seed": 3}, {}, resume=False) as run:
        run.metrics({"train/loss": 1.0}, 0)
        (root / "weights").write_text("kept")
        run.artifact(root / "weights", "model")
    (root / "a").mkdir()
    before = contents(MlflowClient(), root / "a", ["kept"])
    counted = database.rows("runs", *TABLES)
    let_in_as_ben.script("back-up", str(root / "backup"))
    kept = bucket.objects("runs")

    database.make_database("restored")
    bucket.make_bucket("restored")
    environment = behind(database, "restored", bucket, "restored")
    Tracking(0, environment).script("restore", str(root / "backup"))
    assert bucket.objects("restored") == kept
    assert database.rows("restored", *TABLES) == counted
    with tracking(root, environment) as restored:
        assert contents(MlflowClient(restored.address), root / "a", ["kept"]) == before
        with pytest.raises(EntenteError, match="401"), as_user("nobody"):
            open_store(restored.address, "entente")
