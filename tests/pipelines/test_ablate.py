"""Sweeps on a thimble of the embedded corpus: planned, run, failed, killed and taken up again, and reported."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from entente.errors import EntenteError
from entente.evaluation.claims import CLAIMS
from entente.evaluation.translations import read_rows
from pipelines import ensemble, out_of_domain
from pipelines.compose import compose
from pipelines.job import DONE
from pipelines.sweep import label, plan
from tests.pipelines.sweeping import QUICK, children, clean, furnish, parents, runs, start, sweep

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")
ROOT = Path(__file__).parents[2]
SWEEP = ["experiment=baseline,no_positions", "seed=1"]
DRAWN = {"test_test_bleu.png", "probes_mean.png", "probes_within.png", "val_loss.png", "length_longer.png"}


def is_alive(group: int) -> bool:
    """Say whether a process of the group is still there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def weights(root: Path) -> dict[str, int]:
    files = (root / "ablations").glob("*/artifacts/model/weights.safetensors")
    return {file.parts[-4]: file.stat().st_mtime_ns for file in files}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own, in which one experiment cannot be trained, and one recipe has another corpus."""
    root = furnish(tmp_path_factory.mktemp("repository"))
    (root / "conf/experiment/too_short.yaml").write_text("# @package _global_\nmodel: {max_length: 4}\n")
    (root / "conf/recipe/another.yaml").write_text("# @package _global_\ncorpus: {download: {seed: 2}}\n")
    return root


@pytest.fixture(scope="module")
def killed(repository: Path) -> dict[str, int]:
    """A sweep that was killed, with all its processes, once its first job was done."""
    process = start(repository, *SWEEP)
    deadline = time.monotonic() + 600
    while not any('"attend"' in done.read_text() for done in (repository / "ablations").glob(f"*/{DONE}")):
        assert time.monotonic() < deadline, process.communicate()
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return weights(repository)


@pytest.fixture(scope="module")
def finished(repository: Path, killed: dict[str, int]) -> tuple[int, str, str]:
    """What the sweep said when it was started again."""
    return sweep(repository, *SWEEP)


def test_a_killed_sweep_started_again_does_what_is_missing(
    repository: Path, killed: dict[str, int], finished: tuple[int, str, str]
) -> None:
    status, out, err = finished
    assert status == 0, err
    assert "2 jobs, 1 of them done already" in out
    assert "by the 1 jobs of this corpus and training timed here" in out
    now = weights(repository)
    assert len(now) == 2
    assert killed.items() <= now.items()
    (parent,) = parents(repository)
    assert parent.info.status == "FINISHED"
    trained = children(repository)
    assert not [run for run in trained if run.info.status == "RUNNING"]
    assert {run.data.tags["mlflow.parentRunId"] for run in trained} == {parent.info.run_id}
    assert {run.data.tags["entente.ablation"] for run in trained if run.info.status == "FINISHED"} == {
        "baseline",
        "no_positions",
    }


def test_the_report_is_an_artifact_and_rebuilt_from_mlflow_alone(
    repository: Path, finished: tuple[int, str, str]
) -> None:
    (parent,) = parents(repository)
    folder = repository / "ablations" / "reports" / parent.info.run_id
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert before.keys() >= DRAWN | {"comparison.csv", "comparison.txt", "broken_rules.csv", "jobs.json"}
    stored = MlflowClient(f"sqlite:///{repository}/mlflow.db").list_artifacts(parent.info.run_id, "report")
    assert {Path(entry.path).name for entry in stored} == before.keys()
    with (folder / "comparison.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["measure"] == "test/test/bleu"]
    assert (rows[0]["ablation"], rows[0]["verdict"]) == ("baseline", "baseline")
    assert {row["ablation"] for row in rows} == {"baseline", "no_positions"}
    shutil.rmtree(folder)
    shutil.move(repository / "ablations", repository / "elsewhere")
    try:
        subprocess.run([sys.executable, "-m", "pipelines.report"], cwd=repository, check=True, capture_output=True)
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
            name: content for name, content in before.items() if name != "jobs.json"
        }
    finally:
        shutil.move(folder, repository / "elsewhere" / "reports" / parent.info.run_id)
        shutil.rmtree(repository / "ablations")
        shutil.move(repository / "elsewhere", repository / "ablations")


def test_jobs_that_are_done_translate_together(repository: Path, finished: tuple[int, str, str]) -> None:
    def together(*overrides: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pipelines.ensemble", *QUICK, *overrides]
        return subprocess.run(command, cwd=repository, env=clean(), capture_output=True, text=True, check=False)

    done = together(*SWEEP, "decoding.beam=2")  # which no member searched with
    assert done.returncode == 0, done.stderr
    (folder,) = (repository / "ablations/ensembles").iterdir()
    with (folder / "ensemble.csv").open() as file:
        rows = {row.pop("translated by"): row for row in csv.DictReader(file)}
    names = ["baseline, seed 1", "no_positions, seed 1"]
    assert list(rows) == [*names, "ensemble", "ensemble of least risk"]
    assert [rows[name]["test difference"] for name in rows] == ["", *["+0.0"] * 3]  # after so short a training
    assert len((folder / "ensemble_of_least_risk/test.tsv").read_text().splitlines()) == 31
    (run,) = (run for run in runs(repository) if run.data.tags.get("entente.kind") == "ensemble")
    assert {"ensemble/test/bleu", "ensemble of least risk/test/bleu"} <= run.data.metrics.keys()
    assert [run.data.params[f"members.{number}"] for number in (1, 2)] == names
    assert run.data.params["command"].startswith("python -m pipelines.ensemble ")

    alone = together("experiment=baseline", "seed=1")
    assert alone.returncode == 0, alone.stderr
    (other,) = {*(repository / "ablations/ensembles").iterdir()} - {folder}
    with (other / "ensemble.csv").open() as file:
        rows = {row.pop("translated by"): row for row in csv.DictReader(file)}
    assert list(rows) == ["baseline, seed 1", "least risk"]
    figures = (repository / "ablations").glob("*/artifacts/metrics/evaluate.json")
    assert rows["baseline, seed 1"]["test chrf"] in {
        f"{json.loads(file.read_text())['test']['chrf']:.1f}" for file in figures
    }  # as it was evaluated


def test_a_training_is_scored_on_the_tests_of_another_recipe(repository: Path, finished: tuple[int, str, str]) -> None:
    command = [sys.executable, "-m", "pipelines.out_of_domain", "tests_of=another", *SWEEP, *QUICK]
    done = subprocess.run(command, cwd=repository, env=clean(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {run.info.run_name: run for run in runs(repository) if run.data.tags.get("entente.kind") == "out_of_domain"}
    assert found.keys() == {f"grammar-{name}-s1-on-another" for name in ("baseline", "no_positions")}
    others = [
        file.read_text(encoding="utf-8").splitlines()
        for file in repository.glob("ablations/data-*/data/prepared/test.en")
    ]
    assert len(others) == 2
    for table in repository.glob("ablations/out_of_domain/*/test.tsv"):
        asked = [row["source"] for row in read_rows(table)]
        evaluated = next(repository.glob("ablations/*/artifacts/evaluation/test.tsv"))
        assert asked in others
        assert asked != [row["source"] for row in read_rows(evaluated)]
    for name, run in found.items():
        assert name in done.stdout
        assert {"test/bleu", "longer/ter", "compositional/bleu_lower_tokenised"} <= run.data.metrics.keys()


def test_of_an_embedded_test_set_training_had_seen_nothing(repository: Path, finished: tuple[int, str, str]) -> None:
    def overlap(*overrides: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pipelines.overlap", *QUICK, *overrides]
        return subprocess.run(command, cwd=repository, env=clean(), capture_output=True, text=True, check=False)

    done = overlap("experiment=baseline", "seed=1")
    assert done.returncode == 0, done.stderr
    told = [line.split()[:3] for line in done.stdout.splitlines() if line.strip().startswith("test ")]
    assert told[1:] == [["test", "neither", "30"], ["test", "all", "30"]]
    otherwise = overlap("experiment=baseline", "seed=1", "decoding.beam=2")
    assert otherwise.returncode == 1
    assert "it is trained, but was evaluated by another search" in otherwise.stderr
    several = overlap(*SWEEP)
    assert several.returncode == 1
    assert "2 trainings are meant: name one" in several.stderr


@pytest.mark.parametrize("asked", [[], ["tests_of=tatoeba", "tests_of=multi30k"]])
def test_one_recipe_is_to_be_named_whose_tests_are_translated(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["out_of_domain", *asked])
    with pytest.raises(SystemExit, match="name one recipe whose test sets to translate, such as tests_of=tatoeba"):
        out_of_domain.main()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=1,7"], "baseline, seed 1: no such training is done; `python -m pipelines.ablate --multirun seed=1,7`"),
        (["sweep=heads", "seed=1,2"], "not a sweep's"),
        (["--multirun", "seed=1,2"], "no override"),
        (["seed=1,2", "decoding.beam=1,2"], "searches in one way"),
    ],
)
def test_what_is_no_ensemble_is_refused(
    overrides: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.setattr("sys.argv", ["ensemble", *overrides])
    with pytest.raises(SystemExit, match=message):
        ensemble.main()


def test_a_job_that_fails_leaves_the_others_and_is_told(repository: Path, finished: tuple[int, str, str]) -> None:
    trained = len(children(repository))
    several = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    status, out, err = sweep(repository, "experiment=too_short,baseline,no_positions", "seed=1", *several)
    assert status == 1
    assert "3 jobs, 2 of them done already" in out
    assert "not finished: too_short, seed 1: train was not completed" in err
    assert "error: a training sentence has" in err
    assert "test/test/bleu" in out  # the others are compared all the same
    parent = max(parents(repository), key=lambda run: run.info.start_time)
    assert parent.info.status == "FAILED"
    assert parent.data.metrics["jobs/unfinished"] == 1
    failed = max(children(repository), key=lambda run: run.info.start_time)
    assert (failed.info.status, failed.data.tags["mlflow.parentRunId"]) == ("FAILED", parent.info.run_id)
    assert len(children(repository)) == trained + 1  # the others are not trained anew


def test_asked_to_stop_a_sweep_takes_its_stage_along(repository: Path, finished: tuple[int, str, str]) -> None:
    before = set((repository / "ablations").glob("*/log.txt"))
    process = start(repository, "experiment=baseline", "seed=2")
    deadline = time.monotonic() + 100
    while not any("== train" in log.read_text() for log in {*(repository / "ablations").glob("*/log.txt")} - before):
        assert time.monotonic() < deadline, process.communicate()
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.terminate()
    out, err = process.communicate(timeout=100)
    assert process.returncode == 143, out + err
    assert "not finished: baseline, seed 2" in err
    while is_alive(process.pid):  # until those that ended are taken notice of
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert max(parents(repository), key=lambda run: run.info.start_time).info.status == "KILLED"


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("experiment=baseline,no_such_thing", "no_such_thing"),
        ("model.heads=2,3", "3 heads"),
        ("sweep=no_such_sweep", "no_such_sweep"),
        ("recipe=tatoeba,multi30k", "on one corpus"),
        ("seed=1,1", "stands twice"),
        ("experiment=glob(gru*)", r"is no override of a sweep.*values one after another, as in seed=1,2"),
        ("evaluation.length_bounds=[5],[10]", "are one training with one evaluation"),
    ],
)
def test_what_cannot_be_composed_fails_before_the_first_job(override: str, named: str) -> None:
    with pytest.raises(EntenteError, match=named):
        plan(["seed=1,2", override], ROOT / "conf")


def test_an_experiment_that_changes_nothing_in_a_recipe_is_the_baseline_once_more() -> None:
    one, other = plan(["recipe=multi30k", "experiment=baseline,rotary_positions", "seed=1"], ROOT / "conf")
    assert (one.label, other.label) == ("baseline", "rotary_positions")
    assert one.folder == other.folder


def test_jobs_are_called_by_what_varies() -> None:
    jobs = plan(["experiment=baseline,no_mask", "model.heads=2,4", "seed=1", "training.updates=700"], ROOT / "conf")
    # Four heads are what each has untold.
    assert [job.label for job in jobs] == ["baseline model.heads=2", "baseline", "no_mask model.heads=2", "no_mask"]
    assert [job.label for job in plan(["experiment=gelu", "seed=1,2"], ROOT / "conf")] == ["gelu", "gelu"]
    assert label(["recipe=multi30k", "seed=3"]) == "baseline"
    assert len({job.folder for job in jobs}) == 4
    assert len({job.shared for job in jobs}) == 1


@pytest.mark.parametrize("name", sorted(file.stem for file in (ROOT / "conf" / "sweep").glob("*.yaml")))
def test_every_sweep_has_a_baseline_and_composes(name: str) -> None:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        whole = hydra_compose("config", [f"sweep={name}"], return_hydra_config=True)
    experiments = [one.strip() for one in whole.hydra.sweeper.params.experiment.split(",")]
    assert experiments[0] == "baseline"
    assert len(set(experiments)) == len(experiments)
    for experiment in experiments:
        compose([f"experiment={experiment}"], ROOT / "conf")
    if name in ("claims", "length"):
        trained = None if name == "claims" else f"corpus.cleaning.max_words={whole.corpus.cleaning.max_words}"
        assert {one.ablation for claim in CLAIMS if claim.trained == trained for one in claim.comparisons} <= {
            *experiments
        }
