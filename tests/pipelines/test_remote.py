"""What one repository made is pushed to a remote, and another has it from there and trains nothing."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines import (
    attend,
    compose,
    dissect,
    download,
    encode,
    evaluate,
    film,
    learn_subwords,
    prepare,
    register,
    train,
)
from pipelines.soaks.repository import Repository
from tests.pipelines.conftest import stand_in
from tests.pipelines.sweeping import QUICK
from tests.pipelines.thimble import ROOT
from tests.services.s3 import S3, s3
from tests.services.sshd import sshd

pytestmark = [
    pytest.mark.services,
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
]
STAGES = (compose, download, prepare, learn_subwords, encode, train, attend, film, dissect, evaluate, register)
PATIENCE = 300  # seconds after which a command that should work hangs
BOUND = 120  # seconds after which one that cannot work must have said so, on a machine that does much else too


def run(root: Path, *command: str, seconds: float = PATIENCE, **environment: str) -> tuple[int, str, str]:
    """Run a module in a repository; return exit status, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        env=Repository(root, dvc=True).environment() | environment,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    return done.returncode, done.stdout, done.stderr


def dvc(root: Path, *words: str) -> str:
    """Run a command of DVC that must succeed; return what it says."""
    status, out, err = run(root, "dvc", *words)
    assert status == 0, out + err
    return out


def use(root: Path, url: str, **options: str) -> None:
    """Add a default remote as docs/shared.md does."""
    dvc(root, "remote", "add", "--local", "--default", "store", url)
    for name, value in options.items():
        dvc(root, "remote", "modify", "--local", "store", name, value)


def clone(source: Path, target: Path) -> Path:
    """Clone a repository as git does: without cache, outs and runs; with the remote that its owner tells of."""
    subprocess.run(["git", "clone", "--quiet", source, target], check=True)
    shutil.copy(source / ".dvc/config.local", target / ".dvc")
    return target


def outs(root: Path) -> dict[str, str]:
    return Repository(root, dvc=True).outs()


def cached(root: Path) -> dict[str, int]:
    """Return what is in DVC's cache: bytes by path."""
    files = [file for file in (root / ".dvc/cache").rglob("*") if file.is_file()]
    return {file.relative_to(root / ".dvc/cache").as_posix(): file.stat().st_size for file in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which every stage ran once, and all that git is to have of it is committed."""
    repository = Repository(tmp_path_factory.mktemp("made"), dvc=True)
    repository.furnish(ROOT, QUICK)
    with pytest.MonkeyPatch.context() as patch:
        stand_in(repository.folder, patch)
        for stage in STAGES:
            stage.main()
    dvc(repository.folder, "commit", "--force", "--quiet")
    us = ("-c", "user.name=Entente", "-c", "user.email=entente@localhost")
    for words in (["add", "--all"], [*us, "commit", "--quiet", "--message", "made"]):
        subprocess.run(["git", *words], cwd=repository.folder, check=True)
    return repository.folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def ours(made: Path, tmp_path: Path) -> Path:
    """A copy of the repository to do things to."""
    return shutil.copytree(made, tmp_path / "ours")


def keys(server: S3) -> dict[str, str]:
    return {"endpointurl": server.endpoint, "access_key_id": server.key, "secret_access_key": server.secret}


def travels(ours: Path, theirs: Path) -> None:
    """Push from one repository, pull into a clone of it, and have DVC find nothing to do there."""
    assert "files pushed" in dvc(ours, "push")
    assert "Everything is up to date" in dvc(ours, "push")
    clone(ours, theirs)
    assert not list(theirs.glob("artifacts/model")) + list(theirs.glob("data/prepared"))
    dvc(theirs, "pull")
    said = dvc(theirs, "repro")
    assert "Running stage" not in said
    assert said.count("didn't change, skipping") == len(STAGES)
    assert outs(theirs) == outs(ours)
    assert not (theirs / "mlflow.db").exists()  # nothing was trained, evaluated or registered


def test_a_clone_has_all_from_s3_and_trains_nothing(ours: Path, tmp_path: Path, server: S3) -> None:
    server.make_bucket("whole")
    use(ours, "s3://whole/entente", **keys(server))
    travels(ours, tmp_path / "theirs")
    sent = Counter(path for path in server.asked("PUT") if path.startswith("/whole/"))
    assert set(sent.values()) == {1}  # no file travelled twice
    there = {key.removeprefix("entente/"): size for key, size in server.objects("whole").items()}
    assert there.items() <= cached(ours).items()
    assert len(there) == len(sent)


def test_a_clone_has_all_by_ssh_and_trains_nothing(ours: Path, tmp_path: Path) -> None:
    (tmp_path / "sshd").mkdir()
    with sshd(tmp_path / "sshd") as server:
        use(ours, server.url(tmp_path / "far"), keyfile=str(server.key))
        travels(ours, tmp_path / "theirs")


def test_a_clone_has_all_from_a_folder_but_no_runs_and_registers_for_itself(ours: Path, tmp_path: Path) -> None:
    use(ours, str(tmp_path / "network/entente"))
    travels(ours, theirs := tmp_path / "theirs")
    dvc(theirs, "repro", "--force", "--single-item", "register")
    store = MlflowClient(f"sqlite:///{theirs}/mlflow.db")
    (one,) = store.search_runs([found.experiment_id for found in store.search_experiments()])
    assert one.data.tags["entente.trained"] == "elsewhere"
    assert store.get_model_version_by_alias(register.NAME, "best").run_id == one.info.run_id
    assert outs(theirs) == outs(ours)


def test_who_has_no_lock_has_the_runs_of_others_and_trains_nothing(ours: Path, tmp_path: Path, server: S3) -> None:
    server.make_bucket("runs")
    use(ours, "s3://runs/entente", **keys(server))
    status, out, err = run(ours, "pipelines.push")
    assert status == 0, err
    assert "3 more files of 10 recorded runs pushed" in out  # metrics; `compose` is run wherever it is asked for
    sent = Counter(path for path in server.asked("PUT") if path.startswith("/runs/entente/files/"))
    assert set(sent.values()) == {1}  # though all of them are named twice
    theirs = clone(ours, tmp_path / "theirs")
    (theirs / "dvc.lock").unlink()
    shutil.rmtree(theirs / "artifacts/metrics")
    said = dvc(theirs, "repro", "--pull")
    ran = [line for line in said.splitlines() if line.startswith("Running stage")]
    assert ran == ["Running stage 'compose':"]
    assert said.count("is cached - skipping run, checking out outputs") == len(STAGES) - 1
    assert outs(theirs) == outs(ours)
    assert (theirs / "dvc.lock").read_text() == (ours / "dvc.lock").read_text()
    assert not (theirs / "mlflow.db").exists()


@pytest.fixture(scope="module")
def shared(made: Path, server: S3, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository whose remote is right, and has nothing yet."""
    root = shutil.copytree(made, tmp_path_factory.mktemp("shared") / "ours")
    server.make_bucket("shared")
    use(root, "s3://shared/entente", **keys(server))
    return root


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("secret_access_key", "anothers", "Forbidden"),
        ("access_key_id", "AKIANOBODY", "Forbidden"),
        ("url", "s3://nowhere/entente", "The specified bucket does not exist"),
        ("endpointurl", "http://127.0.0.1:9", "Could not connect to the endpoint URL"),
        ("read_timeout", "1", "Read timeout on endpoint URL"),  # of a server that listens and does not answer
    ],
)
def test_a_remote_that_cannot_be_had_is_told_in_time_and_nothing_is_lost(
    shared: Path, tmp_path: Path, server: S3, option: str, value: str, told: str
) -> None:
    root = shutil.copytree(shared, tmp_path / "ours")
    dvc(root, "remote", "modify", "--local", "store", option, value)
    before, kept = outs(root), cached(root)
    with server.deaf() if option == "read_timeout" else nullcontext():
        status, _, err = run(root, "dvc", "push", seconds=BOUND, AWS_MAX_ATTEMPTS="1")
        assert status != 0
        assert told in err
        assert cached(root) == kept
        shutil.rmtree(root / ".dvc/cache")
        status, _, err = run(root, "dvc", "pull", seconds=BOUND, AWS_MAX_ATTEMPTS="1")
    assert status != 0
    assert told in err
    assert outs(root) == before
    assert not server.objects("shared")


def test_a_push_of_runs_ends_as_dvc_does_where_it_cannot(ours: Path) -> None:
    status, _, err = run(ours, "pipelines.push", seconds=BOUND)
    assert status != 0
    assert "no remote specified" in err
