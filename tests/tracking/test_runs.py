import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from entente.tracking.delivery import KEY
from entente.tracking.runs import PARENT_VARIABLE, Run, Runs, flatten, status

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")
Curve = Callable[[str, str], list[tuple[int, float]]]
PARAMETERS = {"model": {"heads": 4, "positions": {"kind": "sinusoidal"}}, "seed": 1}


def train(runs: Runs, fingerprint: str = "one", *, resume: bool = False) -> Run:
    with runs.train("tiny", fingerprint, PARAMETERS, {"stage": "train"}, resume=resume) as run:
        run.metrics({"train/loss": 2.0}, 10)
    return run


def stop(run: Run, error: BaseException) -> None:
    with run:
        run.metrics({"train/loss": 3.0}, 5)
        raise error


def test_parameters_are_flat_and_written_as_in_yaml() -> None:
    assert flatten({"a": {"b": {"c": 0.1}}, "on": True, "none": None, "betas": [0.9, 0.98], "word": "é"}) == {
        "a.b.c": "0.1",
        "on": "true",
        "none": "null",
        "betas": "[0.9, 0.98]",
        "word": "é",
    }


def test_values_too_long_for_mlflow_are_cut_and_still_differ() -> None:
    long = flatten({"one": "x" * 7000 + "1", "two": "x" * 7000 + "2"})
    assert len(long["one"]) == len(long["two"]) == 6000
    assert long["one"] != long["two"]


def test_a_run_records_parameters_tags_and_its_end(runs: Runs, client: MlflowClient, curve: Curve) -> None:
    many = {f"p{number}": number for number in range(250)} | {"long": "x" * 9000}
    with runs.train("tiny", "one", PARAMETERS | many, {"stage": "train"}, resume=False) as run:
        assert client.get_run(run.id).info.status == "RUNNING"
    found = client.get_run(run.id)
    assert found.info.run_name == "tiny"
    assert found.info.status == "FINISHED"
    assert found.data.params["model.positions.kind"] == "sinusoidal"
    assert len(found.data.params) == 3 + 251
    assert found.data.tags["stage"] == "train"


def test_metrics_keep_their_steps_and_odd_names_and_values(runs: Runs, curve: Curve) -> None:
    with runs.train("tiny", "one", {}, {}, resume=False) as run:
        for step in range(1200):
            run.metrics({"train/loss": step / 2, "test/probe/l'élision?": 1.0}, step)
        run.metrics({"validation/perplexity": math.inf, "validation/loss": math.nan}, 0)
    assert curve(run.id, "train/loss") == [(step, step / 2) for step in range(1200)]
    assert len(curve(run.id, "test/probe/l_élision_")) == 1200
    assert math.isnan(curve(run.id, "validation/loss")[0][1])


def test_the_latest_run_with_a_fingerprint_is_found(runs: Runs) -> None:
    train(runs)
    train(runs, "another")
    latest = train(runs)
    found = runs.find("one")
    assert found is not None
    assert found.info.run_id == latest.id
    assert runs.find("never trained") is None


def test_an_interrupted_training_goes_on_in_its_run(runs: Runs, client: MlflowClient, curve: Curve) -> None:
    interrupted = runs.train("tiny", "one", PARAMETERS, {}, resume=False)
    with pytest.raises(KeyboardInterrupt):
        stop(interrupted, KeyboardInterrupt())
    assert client.get_run(interrupted.id).info.status == "KILLED"
    resumed = train(runs, resume=True)
    assert resumed.id == interrupted.id
    assert curve(resumed.id, "train/loss") == [(5, 3.0), (10, 2.0)]
    assert client.get_run(resumed.id).info.status == "FINISHED"
    assert train(runs, resume=False).id != resumed.id


def test_what_a_resumed_training_logs_again_stands_once(runs: Runs, client: MlflowClient, curve: Curve) -> None:
    def learn(first: int, end: int, *, resume: bool) -> Run:
        with runs.train("tiny", "one", PARAMETERS, {}, resume=resume) as run:
            for step in range(first, end):
                run.metrics({"train/loss": step / 2, "train/l'odd": 1.0, "system/cpu": 1.0}, step)
                run.table("translations.json", [{"update": step, "translation": "Je t'aime."}])
        return run

    learn(0, 4, resume=False)
    run = learn(2, 6, resume=True)
    assert curve(run.id, "train/loss") == [(step, step / 2) for step in range(6)]
    assert len(curve(run.id, "train/l_odd")) == 6
    assert len(curve(run.id, "system/cpu")) == 8
    table = json.loads(Path(client.download_artifacts(run.id, "translations.json")).read_text(encoding="utf-8"))
    assert [update for update, _ in table["data"]] == list(range(6))


KILLED = """
import os
from entente.tracking.runs import Runs
runs = Runs("entente", flush_every_seconds=1000, system_metrics_every_seconds=1000)
run = runs.train("tiny", "one", {}, {}, resume=True)
run.__enter__()
for step in range(2, 6):
    run.metrics({"train/loss": step / 2}, step)
run.keep()
os._exit(9)
"""


def test_what_a_resumed_training_logs_again_and_leaves_as_it_is_killed_stands_once(
    runs: Runs, curve: Curve, root: Path
) -> None:
    with runs.train("tiny", "one", {}, {}, resume=False) as run:
        for step in range(4):
            run.metrics({"train/loss": step / 2}, step)
    assert subprocess.run([sys.executable, "-c", KILLED], cwd=root, check=False).returncode == 9
    with runs.train("tiny", "one", {}, {}, resume=True):
        pass
    assert curve(run.id, "train/loss") == [(step, step / 2) for step in range(6)]


def test_an_evaluation_that_is_run_again_adds_what_is_otherwise(runs: Runs, curve: Curve) -> None:
    train(runs)
    for bleu in (30.0, 30.0, 31.0):
        with runs.evaluate("tiny", "one", PARAMETERS, {}) as run:
            run.metrics({"test/bleu": bleu}, 0)
    assert curve(run.id, "test/bleu") == [(0, 30.0), (0, 31.0)]


def test_the_run_of_a_job_is_its_own_though_others_train_the_same(runs: Runs, curve: Curve) -> None:
    own = train(runs)
    with runs.train("tiny", "one", PARAMETERS, {"entente.job": "a"}, resume=False) as job:  # began later
        pass
    for tags, bleu in (({}, 20.0), ({"entente.job": "a"}, 30.0)):
        with runs.evaluate("tiny", "one", PARAMETERS, tags) as run:
            run.metrics({"test/bleu": bleu}, 0)
    assert (curve(own.id, "test/bleu"), curve(job.id, "test/bleu")) == ([(0, 20.0)], [(0, 30.0)])
    assert runs.find("one").info.run_id == own.id  # type: ignore[union-attr]


def test_a_point_without_a_step_is_added_also_where_there_are_some(runs: Runs, client: MlflowClient) -> None:
    for number in (1, 2):
        with runs.train("tiny", "one", {}, {}, resume=True) as run:
            run.metrics({"jobs/finished": number}, None)
            time.sleep(1.1)  # its step is the second
    assert client.get_run(run.id).data.metrics["jobs/finished"] == 2


def sigterm() -> None:
    raise type("SIGTERMException", (SystemExit,), {})


def interrupt_as_lightning_does() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise SystemExit(1)  # noqa: B904  (as Lightning's trainer does)


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (lambda: exec("raise SystemExit(0)"), "FINISHED"),
        (lambda: exec("raise SystemExit('error: no')"), "FAILED"),
        (lambda: exec("raise ValueError"), "FAILED"),
        (lambda: exec("raise SystemExit(143)"), "KILLED"),
        (sigterm, "KILLED"),
        (interrupt_as_lightning_does, "KILLED"),
    ],
)
def test_status_tells_a_failure_from_a_kill(ending: Callable[[], None], expected: str) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        ending()
    assert status(caught.value) == expected


def test_a_failed_run_says_so_and_keeps_its_figures(runs: Runs, client: MlflowClient, curve: Curve) -> None:
    run = runs.train("tiny", "one", {}, {}, resume=False)
    with pytest.raises(ZeroDivisionError):
        stop(run, ZeroDivisionError())
    assert client.get_run(run.id).info.status == "FAILED"
    assert curve(run.id, "train/loss") == [(5, 3.0)]


def test_evaluation_adds_to_the_training_and_leaves_its_end(runs: Runs, client: MlflowClient) -> None:
    trained = train(runs)
    before = client.get_run(trained.id).info
    for beam in (8, 4):
        with runs.evaluate("tiny", "one", PARAMETERS | {"beam": beam}, {"stage": "evaluate"}) as run:
            run.metrics({"test/bleu": 90.0 + beam}, 0)
    assert run.id == trained.id
    after = client.get_run(trained.id)
    assert (after.info.status, after.info.end_time) == (before.status, before.end_time)
    assert after.data.metrics["test/bleu"] == 94.0
    assert after.data.tags["stage"] == "train"
    assert after.data.tags["evaluated.beam"] == "4"
    assert "evaluated.seed" not in after.data.tags


def test_evaluation_alone_makes_a_marked_run_and_finds_it_again(runs: Runs, client: MlflowClient) -> None:
    with runs.evaluate("tiny", "one", PARAMETERS, {"stage": "evaluate"}) as first:
        first.metrics({"test/bleu": 90.0}, 0)
    found = client.get_run(first.id)
    assert found.data.tags["entente.trained"] == "elsewhere"
    assert found.data.params["seed"] == "1"
    assert found.info.status == "FINISHED"
    with runs.evaluate("tiny", "one", PARAMETERS, {"stage": "evaluate"}) as second:
        assert second.id == first.id


def test_surroundings_become_tags(
    runs: Runs, root: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "fuzzy-cat")
    monkeypatch.setenv(PARENT_VARIABLE, "0" * 32)
    tags = client.get_run(train(runs).id).data.tags
    assert (tags["dvc.exp"], tags["mlflow.parentRunId"]) == ("fuzzy-cat", "0" * 32)
    assert "mlflow.source.git.commit" not in tags
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "one"], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    tags = client.get_run(train(runs).id).data.tags
    assert tags["mlflow.source.git.commit"] == commit.strip()


def test_what_was_killed_is_ended_for_it_and_says_why_until_it_goes_on(runs: Runs, client: MlflowClient) -> None:
    tags = {"entente.job": "a"}
    killed = runs.train("tiny", "one", {}, tags, resume=False)
    killed.__enter__()
    runs.ended("tiny", "one", "a", "train was killed")
    found = client.get_run(killed.id)
    assert (found.info.status, found.data.tags["entente.ended"]) == ("KILLED", "train was killed")
    assert found.info.end_time
    with runs.train("tiny", "one", {}, tags, resume=True) as resumed:
        assert resumed.id == killed.id
    runs.ended("tiny", "another", "a", "train was killed")  # before it had a run
    (found,) = client.search_runs([found.info.experiment_id])
    assert found.info.status == "FINISHED"
    assert "entente.ended" not in found.data.tags
    runs.ended("tiny", "one", "a", "it was lost", lost=True)
    assert "entente.ended" not in client.get_run(killed.id).data.tags
    runs.ended("tiny", "one", "a", "evaluate was killed")
    found = client.get_run(killed.id)
    assert (found.info.status, found.data.tags["entente.ended"]) == ("FINISHED", "evaluate was killed")
    with pytest.raises(ArithmeticError), runs.evaluate("tiny", "one", {}, tags):
        raise ArithmeticError
    assert "entente.ended" in client.get_run(killed.id).data.tags
    with runs.evaluate("tiny", "one", {}, tags) as evaluated:
        assert evaluated.id == killed.id
    assert "entente.ended" not in client.get_run(killed.id).data.tags
    killed.__exit__(None, None, None)


def test_a_table_grows(runs: Runs, root: Path, client: MlflowClient) -> None:
    with runs.train("tiny", "one", {}, {}, resume=False) as run:
        for epoch in (1, 2):
            run.table("samples.json", [{"epoch": epoch, "source": "I see her.", "hypothesis": "Je la vois."}])
    text = (root / "mlartifacts" / run.id / "artifacts" / "samples.json").read_text(encoding="utf-8")
    assert json.loads(text) == {
        "columns": ["epoch", "source", "hypothesis"],
        "data": [[1, "I see her.", "Je la vois."], [2, "I see her.", "Je la vois."]],
    }
    marks = json.loads(client.get_run(run.id).data.tags["mlflow.loggedArtifacts"])
    assert marks == [{"path": "samples.json", "type": "table"}]


def test_an_artifact_may_change_once_it_is_handed_over(runs: Runs, root: Path) -> None:
    (root / "model").mkdir()
    (root / "model" / "weights").write_text("first")
    with runs.train("tiny", "one", {}, {}, resume=False) as run:
        run.artifact(root / "model", "model")
        (root / "model" / "weights").write_text("second")
        run.artifact(root / "dvc.yaml")
    stored = root / "mlartifacts" / run.id / "artifacts"
    assert (stored / "model" / "weights").read_text() == "first"
    assert (stored / "dvc.yaml").exists()


def test_datasets_are_inputs_of_the_run(runs: Runs, client: MlflowClient) -> None:
    with runs.train("tiny", "one", {}, {}, resume=False) as run:
        run.dataset("grammar/train", "data/prepared", "a" * 32 + ".dir", context="training", rows=20000)
    inputs = client.get_run(run.id).inputs
    assert inputs is not None
    (found,) = inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("grammar/train", "a" * 32 + ".dir")
    assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "training")]


def test_the_machine_is_read_while_the_run_is_open(root: Path, runs: Runs, client: MlflowClient) -> None:
    often = Runs("entente", flush_every_seconds=0.05, system_metrics_every_seconds=0.05)
    with often.train("tiny", "one", {}, {}, resume=False) as run:
        for _ in range(100):
            run.flush()
            if "system/cpu_utilization_percentage" in client.get_run(run.id).data.metrics:
                break
    assert client.get_run(run.id).data.metrics["system/system_memory_usage_megabytes"] > 0


def test_only_the_process_that_leads_a_training_writes(
    runs: Runs, curve: Curve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_PROCID", "1")  # a scheduler's affair: each of its tasks may be a training of its own
    with runs.train("tiny", "one", {}, {}, resume=False, leads=False) as silent:
        silent.metrics({"train/loss": 1.0}, 1)
    assert runs.find("one") is None
    with runs.train("tiny", "one", {}, {}, resume=False) as run:
        run.metrics({"train/loss": 1.0}, 1)
    assert curve(run.id, "train/loss") == [(1, 1.0)]


def test_what_mlflow_refuses_is_dropped_and_said(runs: Runs, curve: Curve, caplog: pytest.LogCaptureFixture) -> None:
    with runs.train("tiny", "one", {"seed": 1}, {}, resume=False) as run:
        run.parameters({"seed": 2})
        run.artifact(Path("no such file"))
        run.metrics({"train/loss": 1.0}, 1)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "MLflow refuses parameters",
        "MLflow refuses artifact",
    ]
    assert curve(run.id, "train/loss") == [(1, 1.0)]


def test_a_twin_that_this_user_may_not_delete_is_told_and_holds_nothing_up(
    runs: Runs, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(client: MlflowClient, run: str) -> None:
        raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(MlflowClient, "delete_run", refuse)
    with runs.train("tiny", "one", {}, {}, resume=False) as run:
        assert run.flush()
        found = client.get_run(run.id)
        twin = client.create_run(found.info.experiment_id, tags={KEY: found.data.tags[KEY]})
    assert client.get_run(run.id).info.status == "FINISHED"
    assert f"may not delete the other, {twin.info.run_id}" in caplog.text
