"""Where an out, a checkpoint or the store cannot be written: a person's error, and the same command goes on later."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from mlflow import MlflowClient

from entente.tracking.store import tracking_uri
from pipelines import attend, download, encode, evaluate, learn_subwords, prepare, register, train
from pipelines.parameters import outs
from pipelines.tracked_run import open_runs
from tests.pipelines.conftest import stand_in

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")

Relieve = Callable[[], object]
Hindrance = Callable[[Path], AbstractContextManager[Relieve]]


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Lay a real disk of its own over a folder, with what is in it."""
    folder.mkdir(exist_ok=True)
    beside = shutil.copytree(folder, folder.with_name(f"{folder.name} beside"), symlinks=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], check=True)
    try:
        shutil.copytree(beside, folder, symlinks=True, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(folder: Path) -> Iterator[Relieve]:
    with disk(folder):
        there = os.statvfs(folder)
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(there.f_bavail * there.f_frsize))
        yield ballast.unlink


@contextmanager
def read_only(folder: Path) -> Iterator[Relieve]:
    with disk(folder):
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        yield lambda: subprocess.run(["mount", "-o", "remount,rw", folder], check=True)


@contextmanager
def limited(folder: Path) -> Iterator[Relieve]:
    """Let no file grow beyond 1 KiB, as a quota does not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


DISKS: list[Hindrance] = [full, read_only] if os.geteuid() == 0 else []  # who is not root mounts none
TEXTS = [(download, "data"), (prepare, "data"), (learn_subwords, "artifacts"), (encode, "data")]
TRACKED = [(attend, "artifacts"), (evaluate, "artifacts"), (register, "artifacts"), (train, "artifacts")]
CASES: list[tuple[ModuleType, str, Hindrance]] = [(stage, place, limited) for stage, place in TEXTS]
CASES += [(stage, place, hindrance) for hindrance in DISKS for stage, place in [*TEXTS, *TRACKED]]
CASES += [(train, "checkpoints", hindrance) for hindrance in DISKS]


@pytest.fixture
def copy(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, in which the test stands, of the repository in which every stage ran once; its tracking store is new."""
    root = tmp_path / "copy"
    shutil.copytree(built, root, symlinks=True, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
    stand_in(root, monkeypatch)
    return root


def contents(root: Path) -> dict[str, bytes]:
    places = (place for name in ("data", "artifacts") for place in (root / name).rglob("*"))
    return {place.relative_to(root).as_posix(): place.read_bytes() for place in places if place.is_file()}


def without_outs(root: Path, stage: ModuleType) -> dict[str, bytes]:
    """Remove what a stage put out, as DVC does before it runs one; return what else there is."""
    for out in outs(stage.__name__.rpartition(".")[2]):
        if out.is_dir():
            shutil.rmtree(out)
        else:
            out.unlink()
    return contents(root)


@pytest.mark.parametrize(
    ("stage", "place", "hindrance"), CASES, ids=lambda value: getattr(value, "__name__", value).rpartition(".")[2]
)
def test_what_cannot_be_written_is_named_nothing_is_half_there_and_it_is_made_later(
    copy: Path, stage: ModuleType, place: str, hindrance: Hindrance
) -> None:
    whole, rest = contents(copy), without_outs(copy, stage)
    with hindrance(copy / place) as relieve:
        with pytest.raises(SystemExit) as end:
            stage.main()
        relieve()
        assert str(end.value.code).startswith("error: cannot write ("), end.value.code
        assert f"{place}/" in str(end.value.code)
        there = contents(copy)
        assert there.items() >= rest.items()
        assert all(there[name] == whole[name] for name in there)  # none is half written, no draft is left
        stage.main()
        assert contents(copy) == whole


ROOT_ONLY = pytest.mark.skipif(not DISKS, reason="who is not root mounts no disk")


@ROOT_ONLY
def test_a_store_that_is_read_only_is_named_before_the_work(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///store/mlflow.db")
    whole = contents(copy)
    with read_only(copy / "store") as relieve:
        with pytest.raises(SystemExit, match=r"error: the MLflow store sqlite:.*store/mlflow\.db cannot be used: .+"):
            evaluate.main()
        assert contents(copy) == whole
        relieve()
        evaluate.main()
        assert contents(copy) == whole


@ROOT_ONLY
def test_a_store_on_a_full_disk_is_waited_for_and_has_everything_when_there_is_space(
    copy: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///store/mlflow.db")
    whole = contents(copy)
    with full(copy / "store") as relieve:
        evaluate.main()
        assert caplog.text.count("the MLflow store is away (") == 1
        assert contents(copy) == whole
        relieve()
        open_runs().find("anything")  # as any stage or report does that comes later
        store = MlflowClient(tracking_uri())
        (run,) = store.search_runs([found.experiment_id for found in store.search_experiments()])
        assert [point.step for point in store.get_metric_history(run.info.run_id, "test/test/bleu")] == [0]
        assert "evaluation" in {entry.path for entry in store.list_artifacts(run.info.run_id)}
    assert not list((copy / "mlartifacts").rglob("*.jsonl"))
