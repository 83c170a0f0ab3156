"""The registry: what is registered translates, in a process that knows nothing of this project too."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from importlib.metadata import requires
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from packaging.requirements import Requirement

from entente.tracking import registry
from entente.tracking.registry import EXAMPLE, NEEDED
from entente.translator import Translator
from pipelines import evaluate, register
from pipelines.parameters import read
from pipelines.tracked_run import open_runs

# It imports what it is given and no more; MLflow's own warnings are its own.
LOADED = """
import json, sys, warnings
import mlflow.pyfunc
before = set(sys.modules)
model = mlflow.pyfunc.load_model(sys.argv[1])
print(json.dumps({
    "french": model.predict(json.loads(sys.argv[2]))["translation"].tolist(),
    "entente": sys.modules["entente"].__file__,
    "modules": sorted({name.split(".")[0] for name in set(sys.modules) - before}),
}))
"""


def aliases(client: MlflowClient) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model(register.NAME).aliases.items()}


@pytest.fixture
def client(there: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{there / 'mlflow.db'}")


@pytest.fixture
def registered(client: MlflowClient, there: Path) -> Path:
    """The folder of the version that is called best."""
    register.main()
    version = client.get_model_version_by_alias(register.NAME, "best")
    assert version.source
    return Path(version.source.removeprefix("file://"))


def test_one_version_for_one_training_and_the_best_is_called_so(client: MlflowClient, registered: Path) -> None:
    before = Path("artifacts/registered.json").read_bytes()
    register.main()
    evaluate.main()
    assert Path("artifacts/registered.json").read_bytes() == before
    (version,) = client.search_model_versions(f"name = '{register.NAME}'")
    assert aliases(client) == {"best": "1", "best-grammar": "1"}
    run = client.get_run(str(version.run_id))
    assert float(version.tags["val_bleu"]) == pytest.approx(
        json.loads(Path("artifacts/metrics/train.json").read_text())["val"]["bleu"], abs=1e-4
    )
    assert run.data.tags["entente.fingerprint"] in (registered / "artifacts/model/config.json").read_text()
    assert not [*registered.rglob("*.pkl"), *registered.rglob("*.pyc")]


def test_who_writes_english_is_another_model(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = f"sqlite:///{tmp_path / 'other.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setattr(register, "REGISTERED", tmp_path / "registered.json")
    turned = read("corpus") | {"name": "grammar_turned"}
    monkeypatch.setattr("pipelines.register.read", lambda place: turned if place == "corpus" else read(place))
    register.main()
    (model,) = MlflowClient(store).search_registered_models()
    assert (model.name, [*model.aliases]) == ("entente-fr-en", ["best", "best-grammar_turned"])
    assert json.loads((tmp_path / "registered.json").read_text())["model"] == model.name


def test_of_one_corpus_the_best_of_another_the_latest(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    client = MlflowClient(f"sqlite:///{tmp_path / 'other.db'}")
    runs = open_runs()
    client.create_registered_model(register.NAME)
    client.create_model_version(register.NAME, str(tmp_path), None, {"judged": "a"})  # somebody else's
    for number, (corpus, bleu) in enumerate([("a", 50.0), ("a", 40.0), ("b c", 30.0), ("a", 20.0)], start=1):
        with runs.train("tiny", str(number), {}, {}, resume=False) as run:
            run.artifact(Path("params.yaml"), "served")
            run.register(register.NAME, "served", corpus=corpus, judged=corpus, bleu=bleu)
        assert aliases(client)["best"] == {1: "2", 2: "2", 3: "4", 4: "2"}[number]
    assert aliases(client) == {"best": "2", "best-a": "2", "best-b-c": "4"}


def test_what_the_store_lacks_is_registered_with_the_next_run(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes away while the model is packed: what was packed is kept, and delivered later."""
    database = tmp_path / "other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    whole = registry.package

    def pull_the_plug(model: Path, place: Path) -> None:
        whole(model, place)
        database.rename(tmp_path / "away.db")
        database.mkdir()  # SQLite would make a new one

    monkeypatch.setattr("pipelines.register.package", pull_the_plug)
    # Else MLflow is still trying when the stage has lost patience, and may find the store that comes back below.
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 2)
    register.main()
    database.rmdir()
    (tmp_path / "away.db").rename(database)
    client = MlflowClient(f"sqlite:///{database}")
    assert not client.search_registered_models()
    open_runs().find("anything")
    assert aliases(client)["best"] == "1"
    version = client.get_model_version_by_alias(register.NAME, "best")
    assert (Path(str(version.source).removeprefix("file://")) / "MLmodel").exists()


def test_it_translates_whatever_shape_sentences_come_in(registered: Path, there: Path) -> None:
    model = mlflow.pyfunc.load_model(str(registered))
    expected = list(Translator.load(there / "artifacts/model", "cpu").translate(EXAMPLE))
    for sentences in (EXAMPLE, pd.DataFrame({"any name": EXAMPLE}), pd.Series(EXAMPLE)):
        assert model.predict(sentences)["translation"].tolist() == expected
    assert model.predict(EXAMPLE[0])["translation"].tolist() == expected[:1]
    asked = model.predict(EXAMPLE[0], params={"n_best": 2, "attention": True})
    assert len(asked["hypotheses"][0]) == 2
    assert asked["attention"][0]["source"][-1] == "</s>"


@pytest.mark.parametrize(
    ("sentences", "params", "problem"),
    [
        (["a"], {"n_best": 9}, "n_best is 9, and the beam 5"),
        (["a" * 3000], {}, "at most 2000 characters"),
        (["a"] * 300, {}, "at most 256 items"),
        (["a"], {"beam": 0}, "beam: Input should be greater"),
        ([3], {}, "Failed to enforce schema"),
    ],
)
def test_what_cannot_be_answered_is_told(
    registered: Path, sentences: list[object], params: dict[str, object], problem: str
) -> None:
    with pytest.raises(MlflowException, match=problem) as caught:
        mlflow.pyfunc.load_model(str(registered)).predict(sentences, params=params)
    assert caught.value.get_http_status_code() == 400


def test_it_needs_nothing_of_this_project_and_says_what_it_needs(registered: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(registered, tmp_path / "elsewhere")
    command = [sys.executable, "-I", "-c", LOADED, str(folder), json.dumps(EXAMPLE)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    found = json.loads(told.stdout.splitlines()[-1])
    assert Path(found["entente"]).is_relative_to(folder)
    assert len(found["french"]) == len(EXAMPLE)
    own = {Requirement(line).name for line in requires("entente") or [] if "extra ==" not in line}
    own -= {"mlflow", "packaging", "pandas", "pyyaml"}  # MLflow itself, and what it cannot do without
    imported = {name for name in own if name.replace("-", "_") in found["modules"]}
    assert imported <= set(NEEDED)
    listed = (folder / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in listed] == list(NEEDED)


@pytest.mark.services
def test_it_answers_over_http_as_it_does_alone(client: MlflowClient, registered: Path, there: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", f"models:/{register.NAME}@best"]
    command += ["--env-manager", "local", "--port", str(port)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{there / 'mlflow.db'}"}
    with subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 90
            while not _answers(f"{url}/ping"):
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)
            reply = requests.post(f"{url}/invocations", json={"inputs": EXAMPLE, "params": {"beam": 2}}, timeout=60)
            model = mlflow.pyfunc.load_model(str(registered))
            expected = model.predict(EXAMPLE, params={"beam": 2}).to_dict("records")
            assert reply.json() == {"predictions": expected}
            reply = requests.post(f"{url}/invocations", json={"inputs": EXAMPLE, "params": {"n_best": 9}}, timeout=60)
            assert reply.status_code == 400
            assert "n_best is 9" in reply.text
        finally:
            os.killpg(server.pid, 9)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False
