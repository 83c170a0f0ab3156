"""Everything that a store has comes to another, once, however often the way there is interrupted."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from entente.errors import EntenteError
from entente.tracking.records import Record, Records
from entente.tracking.runs import Runs
from pipelines import migrate
from tests.tracking.contents import contents
from tests.tracking.filling import fill, register

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")
WRITES = (
    "create_run", "log_batch", "log_inputs", "log_artifacts", "set_terminated", "set_tag", "create_registered_model",
    "create_model_version", "set_registered_model_alias",
)  # fmt: skip


@pytest.fixture
def other(runs: Runs, root: Path, first_use: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> str:
    """A filled store at the root, and an empty one to which MLFLOW_TRACKING_URI points from then on."""
    fill(runs, root)
    (root / "other").mkdir()
    shutil.copy(first_use[0], root / "other/mlflow.db")
    address = f"sqlite:///{root}/other/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return address


def all_of(address: str, place: Path) -> dict[str, Any]:
    place.mkdir(exist_ok=True)
    return contents(MlflowClient(address), place)


@pytest.fixture
def carry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def command(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["migrate", *arguments])
        migrate.main()
        return capsys.readouterr().out

    return command


def test_all_there_is_comes_to_the_other_store_and_comes_once(
    runs: Runs, root: Path, other: str, carry: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"sqlite:///{root}/mlflow.db"
    assert "has the 4 runs of" in carry()
    before = all_of(source, root / "a")
    assert all_of(other, root / "b") == before
    assert before["runs"]["job 1"]["parent"] == "sweep"
    assert len(before["runs"]["job 1"]["points"]["train/loss"]) == 1100
    assert before["runs"]["stopped"]["told"][0] == "KILLED"

    assert ": 0 were new or had changed,\nand 0 versions" in carry()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with runs.evaluate("job 1", "job 1", {}, {}) as run:
        run.metrics({"test/bleu": 90.0}, 0)
    with runs.train("late", "late", {}, {}, resume=False) as run:
        register(run, root, 40.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
    assert ": 2 were new or had changed,\nand 1 versions" in carry("--from", "sqlite:///mlflow.db")
    assert all_of(other, root / "b") == all_of(source, root / "a") != before


def test_whoever_reads_runs_sees_the_same_ones(
    root: Path, other: str, carry: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(address: str) -> list[str]:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        records = Records("entente")
        found = [*records.tagged("entente.ablation"), records.latest_sweep()]
        samples = records.get(found[0].id).fetch("samples.json", root / "c").read_text(encoding="utf-8")
        return [samples, *(told(record) for record in found)]

    carry()
    before = read(f"sqlite:///{root}/mlflow.db")
    assert len(before) == 4
    assert read(other) == before


def told(record: Record) -> str:
    parameters, figures = sorted(record.parameters.items()), sorted(record.figures.items())
    return str((record.id, record.name, figures, parameters, record.began, record.curve("train/loss")))


def test_a_way_that_is_interrupted_anywhere_is_gone_to_its_end(
    root: Path, other: str, carry: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 0

    def after(write: str) -> None:
        """Let a write happen, and the process end before anybody hears of it, if it was the last one left."""
        real = getattr(MlflowClient, write)

        def interrupted(*arguments: object, **named: object) -> object:
            nonlocal left
            answer = real(*arguments, **named)
            left -= 1
            if not left:
                raise EntenteError("interrupted")
            return answer

        monkeypatch.setattr(MlflowClient, write, interrupted)

    for write in WRITES:
        after(write)
    attempts = 0
    while not left:
        left = attempts = attempts + 1
        with contextlib.suppress(SystemExit):
            carry()
    assert attempts > 5  # each one write longer than the last
    assert all_of(other, root / "b") == all_of(f"sqlite:///{root}/mlflow.db", root / "a")


def test_a_better_model_of_somebody_else_keeps_its_name(
    runs: Runs, root: Path, other: str, carry: Callable[..., str]
) -> None:
    with runs.train("theirs", "theirs", {}, {}, resume=False) as run:
        register(run, root, 31.5)
    carry()
    model = MlflowClient(other).get_registered_model("entente-en-fr")
    best = MlflowClient(other).get_model_version_by_alias("entente-en-fr", "best")
    assert model.aliases.keys() == {"best", "best-grammar"}
    assert best.tags["val_bleu"] == "32.0000"  # of job 2, for the other has 31.5
    with runs.train("theirs again", "again", {}, {}, resume=False) as run:
        register(run, root, 50.0)
    carry()
    assert MlflowClient(other).get_model_version_by_alias("entente-en-fr", "best").tags["val_bleu"] == "50.0000"


def test_runs_of_one_store_do_not_hide_those_of_another(
    runs: Runs, root: Path, other: str, carry: Callable[..., str]
) -> None:
    with runs.train("theirs", "theirs", {}, {}, resume=False):
        pass
    carry()
    assert len(all_of(other, root / "b")["runs"]) == 5


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("sqlite:///other/mlflow.db", "is where runs go already"),
        ("sqlite:///nosuch.db", "there is no .*nosuch.db to carry runs from"),
        ("nosuchscheme://me:secret@host", r"nosuchscheme://\*\*\*@host"),
    ],
)
def test_a_store_that_cannot_be_carried_from(source: str, said: str, root: Path, carry: Callable[..., str]) -> None:
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other/mlflow.db")
    with pytest.raises(SystemExit, match=said) as error:
        carry("--from", source)
    assert "secret" not in str(error.value)
    assert not (root / "nosuch.db").exists()
    patch.undo()
