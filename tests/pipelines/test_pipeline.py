"""The whole pipeline on a thimble of the embedded corpus, stage after stage, with the options of conf/."""

import csv
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from omegaconf import OmegaConf

from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator
from entente.text.corpus import read_references
from entente.tracking.store import tracking_uri, unsent
from pipelines import attend, dissect, evaluate, film, register, train, tune_decoding
from pipelines.tracked_run import open_runs
from tests.pipelines.conftest import stand_in
from tests.tracking.servers import free_port

ROOT = Path(__file__).parents[2]


def outs(root: Path) -> dict[str, bytes]:
    return {
        file.relative_to(root).as_posix(): file.read_bytes()
        for file in sorted((root / "artifacts").rglob("*"))
        if file.is_file()
    }


def client(root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


def runs(root: Path) -> list[Run]:
    store = client(root)
    return list(store.search_runs([found.experiment_id for found in store.search_experiments()]))


def test_every_out_of_dvc_yaml_is_there(there: Path) -> None:
    for stage in OmegaConf.load("dvc.yaml").stages.values():
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
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


def test_a_film_has_the_moments_of_the_training_and_its_end(there: Path) -> None:
    moments = [int(file.stem) for file in sorted((there / "artifacts/snapshots").iterdir())]
    assert moments
    page = (there / "artifacts/film.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    best = json.loads((there / "artifacts/metrics/train.json").read_text())["val"]["updates"]
    frames = data["models"][0]["frames"]
    assert [frame["updates"] for frame in frames] == [*(moment for moment in moments if moment < best), best]
    assert all(frame["recorded"].keys() == {"The cat sleeps."} and len(frame["right"]) > 10 for frame in frames)


@pytest.mark.parametrize("order", [(attend, film, dissect, evaluate), (evaluate, dissect, film, attend)])
def test_a_forced_rerun_makes_the_same_bytes_in_any_order(there: Path, order: tuple[ModuleType, ...]) -> None:
    before, trained = outs(there), len(runs(there))
    for folder in ("curves", "model", "snapshots", "attention", "dissection", "evaluation"):
        shutil.rmtree(there / "artifacts" / folder)
    for stage in (train, *order):
        stage.main()
    assert outs(there) == before
    assert len(runs(there)) == trained + 1


def test_processes_that_prepare_batches_change_nothing_but_the_fingerprint(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored = shutil.ignore_patterns("mlflow.db*", "mlartifacts", "model", "curves", "snapshots")
    root = tmp_path / "copy"
    shutil.copytree(there, root, symlinks=True, ignore=ignored)
    stand_in(root, monkeypatch)
    parameters = OmegaConf.load("params.yaml")
    parameters.training.workers = 2
    OmegaConf.save(parameters, "params.yaml")
    train.main()
    before, after = outs(there), outs(root)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {"artifacts/model/config.json"}
    one, other = (json.loads(found["artifacts/model/config.json"]) for found in (before, after))
    assert {name for name in one if one[name] != other[name]} == {"fingerprint"}


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


def test_no_stage_needs_the_store_and_all_of_them_add_to_one_run_that_is_made_later(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = outs(there)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for stage in (train, attend, film, dissect, evaluate, register):
        stage.main()
    assert outs(there) == before
    assert caplog.text.count("the MLflow store is away (") == 6
    postponed = unsent(tracking_uri())
    assert len(list(postponed.glob("*.jsonl"))) == 6

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'later.db'}")
    unsent(tracking_uri()).symlink_to(postponed)
    open_runs().find("anything")
    assert not list(postponed.iterdir())
    store = MlflowClient(f"sqlite:///{tmp_path / 'later.db'}")
    (run,) = store.search_runs([found.experiment_id for found in store.search_experiments()])
    assert (run.info.status, run.data.params["model.width"]) == ("FINISHED", "16")
    assert {"val/bleu", "test/test/bleu", "dissection/cross_attention/bleu_drop"} <= run.data.metrics.keys()
    assert not [tag for tag in run.data.tags if tag.startswith("evaluated.")]
    stored = {entry.path for entry in store.list_artifacts(run.info.run_id)}
    assert {"attention", "dissection", "evaluation", "model", "params.yaml", "translations.json"} <= stored
    assert store.get_model_version_by_alias(register.NAME, "best").run_id == run.info.run_id


def test_the_model_folder_translates_by_itself(there: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(there / "artifacts/model", tmp_path / "model")
    decoding = Decoding(**OmegaConf.to_container(OmegaConf.load("params.yaml").decoding))  # type: ignore[arg-type]
    elsewhere, here = (Translator.load(place, "cpu", decoding) for place in (folder, there / "artifacts/model"))
    sentences = ["The cat sleeps.", "", "I love you."]
    assert list(elsewhere.translate(sentences)) == list(here.translate(sentences))
    assert next(iter(here.translate(["", "The cat sleeps."]))) == ""
    assert not list(folder.glob("*.pkl")) + list(folder.glob("*.ckpt"))


def test_a_search_is_tuned_on_the_validation_set(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = iter([10.0, 30.0, 20.0, 15.0])
    judged: list[list[list[str]]] = []

    def judge(hypotheses: list[str], references: list[list[str]]) -> float:
        judged.append(references)
        return next(scores)

    monkeypatch.setattr(tune_decoding, "bleu", judge)
    monkeypatch.setattr("sys.argv", ["tune_decoding", "--beams", "1", "2", "--penalties", "0", "0.6"])
    tune_decoding.main()
    header, first, second, _, best = capsys.readouterr().out.splitlines()
    assert header.split() == ["beam", "penalty", "0", "penalty", "0.6"]
    assert (first.split(), second.split()) == (["1", "10.00", "30.00"], ["2", "20.00", "15.00"])
    assert "Best: 30.00 BLEU; `dvc exp run -S decoding.beam=1 -S decoding.length_penalty=0.6`" in best
    assert judged == [read_references(there / "data/prepared/val.references.jsonl")] * 4


def test_a_model_without_its_corpus_cannot_be_tuned(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tune_decoding", "--model", "elsewhere/artifacts/model"])
    with pytest.raises(SystemExit, match=r"elsewhere/data/prepared/val\.en"):
        tune_decoding.main()
