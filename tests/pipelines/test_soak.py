"""Killed, or asked to stop: what is run again makes what an undisturbed pipeline makes."""

import json
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from entente.errors import EntenteError
from pipelines import compose, download, encode, evaluate, learn_subwords, prepare, register, soak, train
from pipelines.soaks import kills
from pipelines.soaks.kills import EVERY, OPTIONS, UPDATES, Kill, Round, Undisturbed, at_update, once_there, strike
from pipelines.soaks.repository import LOCKS, NOTED, STAGES, Repository
from tests.pipelines.conftest import stand_in
from tests.pipelines.thimble import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")
MODULES = (compose, download, prepare, learn_subwords, encode, train, evaluate, register)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, Undisturbed]:
    """A repository in which every stage ran once, in this process."""
    repository = Repository(tmp_path_factory.mktemp("undisturbed"), dvc=False)
    repository.furnish(ROOT, OPTIONS)
    with pytest.MonkeyPatch.context() as patch:
        stand_in(repository.folder, patch)
        for stage in MODULES:
            stage.main()
    (points,) = repository.runs()
    return repository, Undisturbed(repository.outs(), points, dict.fromkeys(STAGES, 1.0))


@pytest.fixture
def again(undisturbed: tuple[Repository, Undisturbed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository in which everything but the training and what follows it is done, and in which the test stands."""
    whole = undisturbed[0].folder
    ignored = shutil.ignore_patterns("mlflow.db*", "mlartifacts", "checkpoints", "model", "curves", "snapshots",
                                     "evaluation", "train.json", "evaluate.json", "registered.json")  # fmt: skip
    repository = Repository(tmp_path / "again", dvc=False)
    shutil.copytree(whole / "src", repository.folder / "src")
    shutil.copytree(whole, repository.folder, ignore=ignored, dirs_exist_ok=True)
    stand_in(repository.folder, monkeypatch)
    return repository


def the_run(repository: Repository) -> Run:
    client = MlflowClient(f"sqlite:///{repository.folder}/mlflow.db")
    (run,) = client.search_runs([found.experiment_id for found in client.search_experiments()])
    return run


def is_writing(repository: Repository) -> bool:
    """Say whether the first of the training's outs is being written, or was just now: nobody looks all the time."""
    artifacts = repository.folder / "artifacts"
    return bool(list(artifacts.glob(".model.*"))) or (artifacts / "model" / "weights.safetensors").exists()


def is_tracked(repository: Repository) -> bool:
    """Say whether the tracking store has a run."""
    try:
        with closing(sqlite3.connect(f"file:{repository.folder}/mlflow.db?mode=ro", uri=True)) as store:
            return bool(store.execute("SELECT 1 FROM runs").fetchall())
    except sqlite3.OperationalError:
        return False  # no store yet, or no tables


def test_killed_as_its_run_is_made_a_training_goes_on_in_it(again: Repository, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert strike(again, "train", is_tracked, log)
    again.finish("train", log)
    assert the_run(again).info.status == "FINISHED"


def test_killed_in_training_in_writing_outs_and_in_evaluation_it_makes_the_same_bytes(
    undisturbed: tuple[Repository, Undisturbed], tmp_path: Path
) -> None:
    repository, log = Repository(tmp_path / "killed", dvc=True), tmp_path / "log.txt"
    repository.furnish(undisturbed[0].folder, ())
    moments = {
        "train": at_update(3 * EVERY + 7),  # in the middle of an epoch
        "train again": is_writing,
        "evaluate": once_there("artifacts/evaluation/test.tsv"),
    }
    found: list[Kill] = []
    for moment in moments.values():
        one = strike(repository, "evaluate", moment, log)  # with all that it depends on
        assert one is not None
        kills.note_repeated(found, log)
        found.append(one)
    assert [found[0].stage, found[2].stage] == ["train", "evaluate"]
    assert 0 < (found[0].repeated or 0) <= EVERY
    for stage in ("evaluate", "register"):
        repository.finish(stage, log)
    assert not list(undisturbed[1].differences(repository, 1))


@pytest.mark.parametrize(
    ("name", "torn"),
    [
        (LOCKS, ""),
        (NOTED, "schema: '2.0'\nstages:\n  compose:\n    cmd: 'pyt"),
        (NOTED, "schema: '2.0'\nstages:\n  compose:\n    cmd: python\n    deps:\n    - pa"),
        (NOTED, ""),
    ],
)
def test_dvc_killed_as_it_writes_a_file_in_place_goes_on_once_that_is_put_right(
    tmp_path: Path, name: str, torn: str
) -> None:
    repository, log = Repository(tmp_path / "killed", dvc=True), tmp_path / "log.txt"
    repository.furnish(ROOT, OPTIONS)
    if name == NOTED:  # before anything was noted
        (repository.folder / name).write_text(torn)
        assert repository.mend() == [name]
        assert not (repository.folder / name).exists()
    repository.finish("compose", log)
    noted = (repository.folder / NOTED).read_bytes()
    assert repository.mend() == []
    (repository.folder / name).write_text(torn)
    if torn or name == LOCKS:  # of an empty list of stages DVC says nothing
        with pytest.raises(EntenteError, match=rf"(?s)status \d+.*{Path(name).name}"):
            repository.finish("compose", log)
    assert repository.mend() == [name]
    repository.finish("compose", log)
    assert (repository.folder / NOTED).read_bytes() == noted


@pytest.mark.parametrize(
    ("shown", "anew", "repeated"), [("training:   0%| | 1/300 [", True, UPDATES), ("", False, None)]
)
def test_a_training_that_had_ended_is_begun_anew_only_if_dvc_had_not_noted_it(
    tmp_path: Path, shown: str, anew: bool, repeated: int | None
) -> None:
    log, killed = tmp_path / "log.txt", [Kill("train", False, ended=True)]
    log.write_text(f"dvc says this and that\n{shown}")
    kills.note_repeated(killed, log)
    assert (killed[0].anew, killed[0].repeated) == (anew, repeated)


def test_a_table_tells_what_was_killed_and_what_it_cost(
    undisturbed: tuple[Repository, Undisturbed],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    killed = [Kill("prepare", True), Kill("train", True, 30, 10), Kill("train", False, 0, 300, anew=True)]
    rounds = [Round(killed), Round([Kill("evaluate", True)], ["artifacts/evaluation/test.tsv"])]
    monkeypatch.setattr(kills, "soak", lambda folder, times, seed, dvc: rounds)
    monkeypatch.setattr("sys.argv", ["soak", "kills", "--out", str(tmp_path / "kills.json")])
    with pytest.raises(SystemExit, match=r"not as in an undisturbed pipeline: artifacts/evaluation/test\.tsv"):
        soak.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train", "2", "1", "0", "10", "in", "all,", "10", "at", "most", "1", "yes"] in rows
    assert ["evaluate", "1", "0", "0", "0", "NO"] in rows
    assert json.loads((tmp_path / "kills.json").read_text())["found"][0]["kills"][1]["repeated"] == 10


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize(("asking", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_stop_a_training_loses_nothing_and_goes_on_in_its_run(
    again: Repository, undisturbed: tuple[Repository, Undisturbed], tmp_path: Path, asking: int, status: int
) -> None:
    log = tmp_path / "log.txt"
    process = again.start("train", log)
    wait_for(lambda: kills.updates(again) >= EVERY + 3 or process.poll() is not None)
    process.send_signal(asking)
    assert process.wait(100) == status, log.read_text()
    assert "Traceback" not in log.read_text()
    stopped = the_run(again)
    assert stopped.info.status == "KILLED"
    done = kills.updates(again)
    again.finish("train", log)
    assert kills.drawn(log)[0] == done
    assert (the_run(again).info.run_id, the_run(again).info.status) == (stopped.info.run_id, "FINISHED")
    for stage in (evaluate, register):
        stage.main()
    assert not list(undisturbed[1].differences(again, 1))


def test_asked_to_stop_an_evaluation_tidies_up_and_leaves_the_training_finished(
    again: Repository, undisturbed: tuple[Repository, Undisturbed], tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    train.main()
    process = again.start("evaluate", log)
    wait_for(lambda: once_there("artifacts/evaluation/test.tsv")(again) or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    assert process.wait(100) == 143, log.read_text()
    assert not again.drafts()
    assert not once_there("artifacts/metrics/evaluate.json")(again)
    assert the_run(again).info.status == "FINISHED"
    for stage in (evaluate, register):
        stage.main()
    assert not list(undisturbed[1].differences(again, 1))
