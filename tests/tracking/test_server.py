import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient

from entente.errors import EntenteError
from entente.tracking.runs import Runs

pytestmark = [
    pytest.mark.services,
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
]


@contextmanager
def server(root: Path, port: int) -> Iterator[None]:
    """A real MLflow server on the loopback; it is stopped, not asked to stop, as servers are that go away."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{root}/mlflow.db", "--artifacts-destination", f"{root}/served"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    with (root / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            until = time.monotonic() + 90
            while not answers(port):
                assert process.poll() is None, (root / "server.log").read_text()
                assert time.monotonic() < until, (root / "server.log").read_text()
                time.sleep(0.2)
            yield
        finally:
            os.killpg(process.pid, 9)
            process.wait()


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=1).ok
    except requests.RequestException:
        return False


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{number}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    return number


def test_a_server_that_goes_away_in_the_middle_gets_everything_when_it_is_back(
    runs: Runs, root: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "entente.tracking")
    with ExitStack() as training:
        with server(root, port):
            run = training.enter_context(runs.train("tiny", "one", {"seed": 1}, {}, resume=False))
            run.metrics({"train/loss": 0.0}, 0)
            run.flush()
        began = time.monotonic()
        for step in range(1, 50):
            run.metrics({"train/loss": float(step)}, step)
            run.table("samples.json", [{"step": step, "hypothesis": "Je t'aime."}])
        (root / "weights").write_text("weights")
        run.artifact(root / "weights", "model")
    assert time.monotonic() - began < 30
    assert caplog.text.count("is away (") == 1
    (root / "weights").unlink()

    with server(root, port):
        found = Runs("entente", flush_every_seconds=1, system_metrics_every_seconds=60).find("one")
        assert found is not None
        assert found.info.status == "FINISHED"
        client = MlflowClient(f"http://127.0.0.1:{port}")
        history = client.get_metric_history(run.id, "train/loss")
        assert [(point.step, point.value) for point in history] == [(step, float(step)) for step in range(50)]
        assert Path(client.download_artifacts(run.id, "model/weights", str(root))).read_text() == "weights"
        table = json.loads(Path(client.download_artifacts(run.id, "samples.json", str(root))).read_text())
        assert [row[0] for row in table["data"]] == list(range(1, 50))
    assert not list((root / "mlartifacts").rglob("*.jsonl"))


def test_a_server_that_was_never_there_is_an_error_for_people(root: Path, port: int) -> None:
    runs = Runs("entente", flush_every_seconds=1, system_metrics_every_seconds=60)
    with pytest.raises(EntenteError, match=f"127.0.0.1:{port} cannot be used"):
        runs.train("tiny", "one", {}, {}, resume=False)
