"""The whole pipeline on a thimble of the embedded corpus, stage after stage, with the options of conf/."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from omegaconf import OmegaConf

from entente.decoding.translator import Decoding, Translator
from pipelines import attend, benchmark, dissect, download, encode, evaluate, learn_subwords, prepare, train
from pipelines.benchmarks import case, training, translating
from pipelines.compose import compose
from pipelines.job import Job

ROOT = Path(__file__).parents[2]
THIMBLE = [
    "corpus.download.pairs=1500",
    "corpus.download.val=40",
    "corpus.download.test=30",
    "corpus.download.compositional=20",
    "corpus.download.longer=20",
    "corpus.download.probes=4",
    "subwords.vocabulary=700",
    "model.width=16",
    "model.hidden=16",
    "model.heads=2",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "training.validation.sentences=20",
    "trainer=smoke",
    "evaluation.sentences=[The cat sleeps.]",
    "evaluation.dissection.sentences=5",
    "evaluation.dissection.probes=1",
    "training.log_every=2",
    "tracking.system_metrics_every_seconds=0.1",  # a thimble trains in under a second
]


def stand_in(root: Path, patch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "ENTENTE_PARENT_RUN_ID"):
        patch.delenv(name, raising=False)
    patch.setenv("DVC_ROOT", str(root))
    patch.chdir(root)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which every stage ran once."""
    root = tmp_path_factory.mktemp("repository")
    with pytest.MonkeyPatch.context() as patch:
        stand_in(root, patch)
        (root / "data").mkdir()
        (root / "data" / "grammar").symlink_to(ROOT / "data" / "grammar")
        shutil.copy(ROOT / "dvc.yaml", root)
        for folder in ("src", "pipelines", "conf"):
            (root / folder).symlink_to(ROOT / folder)
        (root / "params.yaml").write_text(OmegaConf.to_yaml(compose(THIMBLE, ROOT / "conf")))
        for stage in (download, prepare, learn_subwords, encode, train, attend, dissect, evaluate):
            stage.main()
    return root


@pytest.fixture
def there(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same repository, in which the test stands."""
    stand_in(built, monkeypatch)
    return built


def outs(root: Path) -> dict[str, bytes]:
    return {
        file.relative_to(root).as_posix(): file.read_bytes()
        for file in sorted((root / "artifacts").rglob("*"))
        if file.is_file()
    }


def client(root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


def test_every_out_of_dvc_yaml_is_there(there: Path) -> None:
    for stage in OmegaConf.load("dvc.yaml").stages.values():
        for out in [*stage.outs, *stage.get("metrics", [])]:
            path = Path(out if isinstance(out, str) else next(iter(out)))
            assert path.exists(), path
            assert not path.is_dir() or any(path.iterdir()), path
    assert not [path for path in (there / "checkpoints").iterdir() if path.is_dir()]


def test_metrics_tell_of_every_test_set_and_the_probes(there: Path) -> None:
    figures = json.loads((there / "artifacts/metrics/evaluate.json").read_text())
    assert set(figures) == {"test", "compositional", "longer", "probes"}
    assert 0 <= figures["test"]["bleu"] <= 100
    signatures = json.loads((there / "artifacts/evaluation/signatures.json").read_text())
    assert "tok:13a" in signatures["test"]["bleu"]
    assert "updates" in json.loads((there / "artifacts/metrics/train.json").read_text())["val"]


def test_each_head_layer_and_kind_of_attention_is_put_out_once(there: Path) -> None:
    table = (there / "artifacts/dissection/heads.csv").read_text(encoding="utf-8")
    whole, *rows = csv.DictReader(table.splitlines())
    assert (whole["kind"], whole["bleu_drop"], whole["probes_drop"]) == ("whole", "0.00", "0.00")
    places = [("1", "1"), ("1", "2"), ("1", "all"), ("all", "all")]  # one layer, two heads
    kinds = ["encoder_self_attention", "decoder_self_attention", "cross_attention"]
    assert sorted((row["kind"], row["layer"], row["head"]) for row in rows) == sorted(
        (kind, *place) for kind in kinds for place in places
    )
    assert "relative_agreement_drop" in whole
    for row in rows:
        assert float(row["bleu"]) + float(row["bleu_drop"]) == pytest.approx(float(whole["bleu"]), abs=0.02)
    assert {path.name for path in (there / "artifacts/dissection").glob("*.png")} == {
        "probes.png",
        *(f"{kind}.png" for kind in kinds),
    }


def test_a_forced_rerun_makes_the_same_bytes(there: Path) -> None:
    before = outs(there)
    for stage in (train, attend, dissect, evaluate):
        for folder in ("curves", "model", "attention", "dissection", "evaluation"):
            if stage is train:
                shutil.rmtree(there / "artifacts" / folder)
        stage.main()
    assert outs(there) == before


def test_one_run_holds_training_and_evaluation(there: Path) -> None:
    store = client(there)
    (experiment,) = [found for found in store.search_experiments() if found.name != "Default"]
    run = store.search_runs([experiment.experiment_id])[0]
    assert run.info.status == "FINISHED"
    assert {
        "train/loss",
        "train/learning_rate",
        "train/gradient_norm",
        "train/tokens_per_second",
        "val/bleu",
    } <= run.data.metrics.keys()
    assert {"test/test/bleu", "test/longer/chrf", "probes/mean"} <= run.data.metrics.keys()
    assert {"dissection/cross_attention/bleu_drop", "dissection/cross_attention/probes_drop"} <= run.data.metrics.keys()
    assert run.data.params["model.width"] == "16"
    assert run.data.tags["entente.fingerprint"] in (there / "artifacts/model/config.json").read_text()
    assert run.inputs
    assert {entry.dataset.name for entry in run.inputs.dataset_inputs} == {
        "grammar/train",
        "grammar/val",
        "grammar/test",
        "grammar/compositional",
        "grammar/longer",
    }
    stored = {entry.path for entry in store.list_artifacts(run.info.run_id)}
    assert {"attention", "dissection", "evaluation", "model", "params.yaml", "translations.json"} <= stored
    assert {"model/weights.safetensors", "model/config.json", "model/subwords.model"} == {
        entry.path for entry in store.list_artifacts(run.info.run_id, "model")
    }
    assert any(name.startswith("system/") for name in run.data.metrics)


def test_evaluation_alone_adds_to_the_same_run(there: Path) -> None:
    store = client(there)
    (experiment,) = [found for found in store.search_experiments() if found.name != "Default"]
    before = [run.info.run_id for run in store.search_runs([experiment.experiment_id])]
    evaluate.main()
    assert [run.info.run_id for run in store.search_runs([experiment.experiment_id])] == before


def test_evaluation_where_the_store_has_no_such_run_begins_one(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    evaluate.main()
    store = MlflowClient(f"sqlite:///{tmp_path / 'other.db'}")
    (run,) = store.search_runs([found.experiment_id for found in store.search_experiments()])
    assert run.data.tags["entente.trained"] == "elsewhere"
    assert any(name.startswith("test/") for name in run.data.metrics)


def test_the_model_folder_translates_by_itself(there: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(there / "artifacts/model", tmp_path / "model")
    decoding = Decoding(**OmegaConf.to_container(OmegaConf.load("params.yaml").decoding))  # type: ignore[arg-type]
    elsewhere, here = (Translator.load(place, "cpu", decoding) for place in (folder, there / "artifacts/model"))
    sentences = ["The cat sleeps.", "", "I love you."]
    assert list(elsewhere.translate(sentences)) == list(here.translate(sentences))
    assert next(iter(here.translate(["", "The cat sleeps."]))) == ""
    assert not list(folder.glob("*.pkl")) + list(folder.glob("*.ckpt"))


def test_operations_are_counted_in_the_thread_that_counts() -> None:
    torch.set_num_threads(2)

    def work() -> float:
        assert torch.get_num_threads() == 1  # or a translator would work where the counter does not see it
        torch.ones(3, 4) @ torch.ones(4, 5)
        return 2.0

    assert case.operations(work) == 3 * 4 * 5
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


@pytest.mark.parametrize(("task", "options"), [("training", ["--precisions", "fp32", "bf16"]), ("translating", [])])
def test_speed_is_told_beside_the_yardsticks(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], task: str, options: list[str]
) -> None:
    shape = tuple(option for option in THIMBLE if option.startswith(("model.", "subwords.", "corpus.")))
    for module in (training, translating):
        monkeypatch.setattr(module, "SIZES", {"tiny": shape})
        monkeypatch.setattr(module, "ROUNDS", 1)
    monkeypatch.setattr(case, "SQUARE", 64)
    monkeypatch.setattr(training, "BATCHES", 2)
    monkeypatch.setattr(translating, "SENTENCES", 8)
    measure = {"training": training.measure, "translating": translating.measure}[task]
    monkeypatch.setattr(case.Case, "time", measure)  # in this process, where coverage looks
    monkeypatch.setattr(Job, "prepare", lambda self, environment: None)
    monkeypatch.setattr(Job, "shared", there)
    arguments = f"benchmark {task} --sizes tiny --recipe default --turns 1 --tokens 256"
    monkeypatch.setattr("sys.argv", [*arguments.split(), *options])
    benchmark.main()
    table = capsys.readouterr().out
    assert "torch tiny fp32" in table
    file = json.loads((there / "ablations" / "benchmarks" / f"{task}.json").read_text())
    assert [entry["system"] for entry in file["cases"]] == ["entente", "entente", "torch"]
    for entry in file["cases"]:
        (timing,) = entry["timings"]
        assert timing["flops"] > 0
        assert 0 < timing["real"] <= 1
    ours, _, theirs = (entry["timings"][0] for entry in file["cases"])
    assert task != "training" or ours["real"] > theirs["real"]
