"""Servers that are slow, down at the start, down in the middle, and back again."""

import json
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as Stored

from entente.tracking import runs as tracked
from entente.tracking.runs import PARENT_VARIABLE, Run, Runs
from tests.tracking.servers import Wire, free_port, server, wire

pytestmark = [
    pytest.mark.services,
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
]
PARAMETERS = {"model": {"heads": 4}, "seed": 1}


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    number = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{number}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    return number


@pytest.fixture
def lossy(root: Path, runs: Runs, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A server at the end of a wire that can lose answers."""
    with server(root, port), wire(port) as between:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{between.port}")
        yield between


def stored(port: int) -> list[Stored]:
    """The runs that the server has, the earliest first."""
    client = MlflowClient(f"http://127.0.0.1:{port}")
    every = [found.experiment_id for found in client.search_experiments()]
    return sorted(client.search_runs(every), key=lambda run: run.info.start_time)


def curve(port: int, run: str, name: str) -> list[tuple[int, float]]:
    history = MlflowClient(f"http://127.0.0.1:{port}").get_metric_history(run, name)
    return [(point.step, point.value) for point in history]


def rows(root: Path, port: int, run: str) -> list[int]:
    file = MlflowClient(f"http://127.0.0.1:{port}").download_artifacts(run, "samples.json", str(root))
    return [row[0] for row in json.loads(Path(file).read_text())["data"]]


def tell(run: Run, root: Path, *steps: int) -> None:
    """Tell a run all there is to tell."""
    for step in steps:
        run.metrics({"train/loss": float(step)}, step)
        run.table("samples.json", [{"step": step, "hypothesis": "Je t'aime."}])
    run.dataset("grammar/train", "data/prepared", "a" * 32, context="training", rows=20000)
    (root / "weights").write_text(f"weights of {steps[-1]}")
    run.artifact(root / "weights", "model")
    (root / "weights").unlink()


def catch_up(port: int) -> None:
    """Open the store, as the next stage or report does."""
    Runs("entente", flush_every_seconds=1, system_metrics_every_seconds=60).find("anything")


def assert_whole(root: Path, port: int, run: Stored, *steps: int) -> None:
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model.heads": "4", "seed": "1"}
    assert curve(port, run.info.run_id, "train/loss") == [(step, float(step)) for step in steps]
    assert rows(root, port, run.info.run_id) == list(steps)
    assert run.inputs is not None
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["grammar/train"]
    kept = MlflowClient(f"http://127.0.0.1:{port}").download_artifacts(run.info.run_id, "model/weights", str(root))
    assert Path(kept).read_text() == f"weights of {steps[-1]}"
    assert not list((root / "mlartifacts").rglob("*.jsonl"))


def test_a_server_that_goes_away_in_the_middle_gets_everything_when_it_is_back(
    runs: Runs, root: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "entente.tracking")
    with ExitStack() as training:
        with server(root, port):
            run = training.enter_context(runs.train("tiny", "one", PARAMETERS, {}, resume=False))
            tell(run, root, 0)
            run.flush()
        tell(run, root, *range(1, 50))
    assert caplog.text.count("is away (") == 1

    with server(root, port):
        catch_up(port)
        (found,) = stored(port)
        assert_whole(root, port, found, *range(50))


def test_a_server_that_was_never_there_gets_the_run_when_it_is_there(
    runs: Runs, root: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "entente.tracking")
    began = time.time()
    with runs.train("tiny", "one", PARAMETERS, {"stage": "train"}, resume=False) as run:
        tell(run, root, *range(5))
    ended = time.time()
    (warning, farewell) = [record.getMessage() for record in caplog.records]
    assert "is away (" in warning
    assert f"figures wait in {root}/mlartifacts/unsent/" in warning
    assert "is delivered by the next run" in farewell
    with runs.evaluate("tiny", "one", {**PARAMETERS, "seed": 2}, {"stage": "evaluate"}) as evaluated:
        evaluated.metrics({"test/bleu": 90.0}, 0)

    with server(root, port):
        catch_up(port)
        catch_up(port)  # nothing is left to be delivered twice
        (found,) = stored(port)
        assert_whole(root, port, found, *range(5))
        assert (found.info.run_name, found.data.tags["stage"]) == ("tiny", "train")
        assert found.data.metrics["test/bleu"] == 90.0
        assert found.data.tags["evaluated.seed"] == "2"
        assert "entente.trained" not in found.data.tags
        moments = [found.info.start_time, found.info.end_time]
        history = MlflowClient(f"http://127.0.0.1:{port}").get_metric_history(found.info.run_id, "train/loss")
        moments += [point.timestamp for point in history]
        assert all(began * 1000 - 1 <= moment <= ended * 1000 + 1 for moment in moments)


def test_a_server_that_comes_while_the_training_goes_on_gets_its_run_from_it(
    runs: Runs, root: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "entente.tracking")
    with runs.train("tiny", "one", PARAMETERS, {}, resume=False) as run:
        tell(run, root, 0, 1)
        with server(root, port):
            assert run.flush()
            (found,) = stored(port)
            assert (found.info.run_id, found.info.status) == (run.id, "RUNNING")
            tell(run, root, 2)
            assert run.flush()
        tell(run, root, 3)
    with server(root, port):
        catch_up(port)
        (found,) = stored(port)
        assert_whole(root, port, found, *range(4))
    assert [record.getMessage().partition("(")[0] for record in caplog.records][:3] == [
        "the MLflow store is away ",
        "the MLflow store is back",
        "the MLflow store is away ",
    ]


def stop(run: Run) -> None:
    with run:
        run.metrics({"train/loss": 0.0}, 0)
        raise KeyboardInterrupt


def test_a_training_that_goes_on_finds_its_run_before_the_store_had_it(runs: Runs, root: Path, port: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        stop(runs.train("tiny", "one", PARAMETERS, {}, resume=False))
    with runs.train("tiny", "one", PARAMETERS, {}, resume=True) as run:
        run.metrics({"train/loss": 1.0}, 1)
    with runs.train("tiny", "one", PARAMETERS, {}, resume=False) as anew:
        anew.metrics({"train/loss": 0.5}, 0)
    with server(root, port):
        catch_up(port)
        first, second = stored(port)
        assert curve(port, first.info.run_id, "train/loss") == [(0, 0.0), (1, 1.0)]
        assert curve(port, second.info.run_id, "train/loss") == [(0, 0.5)]
        assert (first.info.status, second.info.status) == ("FINISHED", "FINISHED")


def test_an_evaluation_of_a_run_that_only_the_store_knows_finds_it_later(runs: Runs, root: Path, port: int) -> None:
    with server(root, port), runs.train("tiny", "one", PARAMETERS, {}, resume=False):
        pass
    for fingerprint in ("one", "from elsewhere"):
        with runs.evaluate("tiny", fingerprint, PARAMETERS, {}) as run:
            run.metrics({"test/bleu": 90.0}, 0)
    with server(root, port):
        catch_up(port)
        known, other = stored(port)
        assert [run.data.metrics for run in (known, other)] == [{"test/bleu": 90.0}] * 2
        assert "entente.trained" not in known.data.tags
        assert other.data.tags["entente.trained"] == "elsewhere"
        assert (other.data.params["seed"], other.info.status) == ("1", "FINISHED")


def test_children_stand_below_a_parent_that_began_without_the_store(
    runs: Runs, root: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runs.train("sweep", "all", {}, {}, resume=False) as parent:
        monkeypatch.setenv(PARENT_VARIABLE, parent.id)
        with runs.train("early", "one", {}, {}, resume=False):
            pass
        with server(root, port), runs.train("late", "two", {}, {}, resume=False) as late:
            assert parent.flush()
            assert late.flush()
    with server(root, port):
        catch_up(port)
        found = {run.info.run_name: run for run in stored(port)}
        assert found.keys() == {"sweep", "early", "late"}
        above = {found[name].data.tags["mlflow.parentRunId"] for name in ("early", "late")}
        assert above == {found["sweep"].info.run_id}


def test_a_server_that_hangs_holds_no_training_up(
    runs: Runs, root: Path, port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracked, "PATIENCE", 1.0)
    with server(root, port) as process:
        with runs.train("first", "one", PARAMETERS, {}, resume=False) as run:
            os.killpg(process.pid, signal.SIGSTOP)
            tell(run, root, *range(5))
        with runs.train("second", "two", PARAMETERS, {}, resume=False) as run:
            tell(run, root, *range(5))
        assert caplog.text.count("is away (it does not answer)") == 2
        os.killpg(process.pid, signal.SIGCONT)
        for _ in range(20):  # it has much to catch up with, and may be slow
            if any((root / "mlartifacts").rglob("*.jsonl")):
                catch_up(port)
        first, second = stored(port)
        assert [first.info.run_name, second.info.run_name] == ["first", "second"]
        assert_whole(root, port, first, *range(5))
        assert_whole(root, port, second, *range(5))


def test_what_a_proxy_finds_too_large_is_dropped_and_said_and_the_rest_arrives(
    runs: Runs, root: Path, port: int, lossy: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    lossy.refused.append(b"model/weights")
    with runs.train("tiny", "one", PARAMETERS, {}, resume=False) as run:
        tell(run, root, 0)
    (found,) = stored(port)
    assert found.info.status == "FINISHED"
    assert curve(port, found.info.run_id, "train/loss")
    assert any("413" in record.message for record in caplog.records)
    assert not list((root / "mlartifacts").rglob("unsent/**/*.jsonl"))


@pytest.mark.parametrize("retries", ["0", "2"])
def test_what_was_written_and_never_confirmed_is_not_written_twice(
    runs: Runs, root: Path, port: int, lossy: Wire, monkeypatch: pytest.MonkeyPatch, retries: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", retries)
    asked = [b"mlflow/runs/create", b"mlflow/runs/log-batch", b"artifacts/samples.json", b"runs/log-inputs"]
    asked += [b"mlflow/runs/update", b"model/weights"]
    lossy.lost += asked[:1]
    with runs.train("tiny", "one", PARAMETERS, {}, resume=False) as run:
        for step in range(6):
            lossy.lost += asked
            tell(run, root, step)
            run.flush()
        lossy.lost += asked
    while lossy.lost and any((root / "mlartifacts").rglob("*.jsonl")):
        catch_up(port)
    (found,) = stored(port)
    assert_whole(root, port, found, *range(6))
