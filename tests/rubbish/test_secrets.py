"""A password in an address reaches nobody's eyes: no error, no log, no closing message, no run, no name of a file."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from entente.errors import EntenteError, masked
from entente.text import download as transport
from entente.text.download import Source, download
from entente.tracking import runs
from entente.tracking.delivery import Address, RefusedError
from entente.tracking.outbox import Outbox
from entente.tracking.spool import Spool
from entente.tracking.store import open_store
from pipelines import compose, evaluate
from tests.rubbish.table import table

ROOT = Path(__file__).parents[2]
SECRET = "correct-horse"
NOBODY = "127.0.0.1:9"  # a port at which nothing answers


@table(
    ("a name and a password", f"http://me:{SECRET}@host/x", "http://***@host/x"),
    ("a token alone", f"https://{SECRET}@host/x.git", "https://***@host/x.git"),
    ("an @ in the password", f"http://me:{SECRET}@{SECRET}@host/x", "http://***@host/x"),
    ("a slash in the password", f"postgresql://me:a/{SECRET}@host/db", "postgresql://***@host/db"),
    (
        "a password among parameters",
        f"postgresql://host/db?user=me&password={SECRET}",
        "postgresql://host/db?user=me&passw",
    ),
    ("a token among parameters", f"https://host/x?token={SECRET}#y", "https://host/x?token=***#y"),
    ("two addresses in a sentence", f"http://a:{SECRET}@b or http://c:{SECRET}@d", "http://***@b or http://***@d"),
    ("a driver in front", f"mysql+pymysql://me:{SECRET}@host", "mysql+pymysql://***@host"),
)
def test_an_address_in_words(put_in: str, said: str) -> None:
    assert masked(put_in).startswith(said)
    assert SECRET not in masked(put_in)
    assert SECRET not in str(EntenteError(f"{put_in} cannot be used"))


@table(
    (
        "a store of an unknown driver",
        f"nosuchdriver://me:{SECRET}@host/mlflow",
        r"nosuchdriver://\*\*\*@host/mlflow cannot",
    ),
    ("a store at which nobody is", f"http://me:{SECRET}@{NOBODY}", r"http://\*\*\*@127\.0\.0\.1:9 cannot be used"),
    (
        "a store with its password at the end",
        f"nosuchdriver://host/db?password={SECRET}",
        r"password=\*\*\* cannot be used",
    ),
)
def test_a_store_that_cannot_be_used(
    put_in: str, said: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with caplog.at_level(logging.DEBUG), pytest.raises(EntenteError, match=said) as error:
        open_store(put_in, "entente")
    assert SECRET not in f"{error.value}{caplog.text}{capfd.readouterr()}"


def test_the_closing_message_names_the_store_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@host")
    told = str(evaluate._next_steps())
    assert "http://***@host" in told
    assert SECRET not in told


@pytest.mark.parametrize("error", [RefusedError, ConnectionError])
def test_the_log_of_a_run_names_the_store_without_its_password(
    error: type[Exception], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(entry: object) -> None:
        raise error(f"API request to http://me:{SECRET}@host/api failed")

    outbox = Outbox(refuse, Spool(tmp_path, Address("entente", "tiny", {})), 60, patience=10)
    outbox.start()
    outbox.put({"what": "tags", "values": {}})
    outbox.close()
    assert "http://***@host/api" in caplog.text
    assert SECRET not in caplog.text


def test_a_run_notes_where_the_code_is_from_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = "mlflow.source.git.repoURL"
    monkeypatch.setattr(runs, "resolve_tags", lambda: {origin: f"https://me:{SECRET}@host/x.git"})
    assert runs._context({})[origin] == "https://***@host/x.git"


def test_a_mirror_is_named_without_its_password(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_BACKOFF", 0)
    source = Source(f"http://{NOBODY}/deep/file.bin", None)
    with pytest.raises(
        EntenteError, match=r"(?s)cannot download file\.bin; tried.*http://\*\*\*@127\.0\.0\.1:9/"
    ) as error:
        download([source], tmp_path, kept=tmp_path / "kept", mirror=f"http://me:{SECRET}@{NOBODY}")
    names = " ".join(str(path) for path in tmp_path.rglob("*"))
    assert SECRET not in f"{error.value}{names}{capfd.readouterr()}"


def test_a_download_s_address_has_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_EXP_NAME", "some-name")
    parameters = compose.plain(compose.compose(["corpus=tatoeba"], ROOT / "conf"))
    parameters["corpus"]["download"]["files"][0]["url"] = f"https://me:{SECRET}@host/fra-eng.zip"
    Path("params.yaml").write_text(yaml.safe_dump(parameters))
    with pytest.raises(SystemExit, match=r"https://\*\*\*@host/fra-eng\.zip holds a password.*\.netrc") as error:
        compose.main()
    assert SECRET not in f"{error.value}{capfd.readouterr()}"


def test_a_whole_stage_tells_no_password(tmp_path: Path) -> None:
    corpus = yaml.safe_load((ROOT / "conf/corpus/tatoeba.yaml").read_text(encoding="utf-8"))
    corpus["download"]["files"][0]["url"] = f"http://{NOBODY}/fra-eng.zip"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"corpus": corpus}))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "DVC_ROOT": str(tmp_path),
        "ENTENTE_MIRROR": f"http://me:{SECRET}@{NOBODY}",
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "pipelines.download"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("error: cannot download fra-eng.zip; tried\n")
    assert "Traceback" not in run.stderr
    names = " ".join(str(path) for path in tmp_path.rglob("*"))
    assert SECRET not in run.stdout + run.stderr + names
