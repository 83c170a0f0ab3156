"""The ledger, from runs that a store holds: what they say is found again in docs/claims.md."""

from dataclasses import replace
from pathlib import Path

import pytest

from entente.errors import EntenteError
from entente.tracking.archive import Archived, read_archive
from pipelines import claims, kept_runs
from tests.pipelines.recorded import record

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")
SEEDS = (1, 2)


def test_the_ledger_says_what_the_runs_say(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in SEEDS:
        record(root, "baseline", seed, right=38 + seed, loss=0.5)
        record(root, "no_mask", seed, right=seed, loss=0.001)
    record(root, "baseline", 1, right=0, loss=9.0, overrides=("training.updates=3",))  # another training: not of these
    record(root, "no_mask", 1, right=40, loss=9.0, overrides=("model.width=64",))  # nor is another network
    record(root, "baseline", 1, right=40, loss=0.4, overrides=("training.schedule.peak=0.001",))
    record(root, "gelu", 1, right=20, loss=0.5)  # no claim rests on it
    claims.main()
    assert "5. holds" in capsys.readouterr().out
    ledger = (root / "docs/claims.md").read_text(encoding="utf-8")
    fifth = ledger.split("## 5. ")[1].split("## 6. ")[0]
    assert "Verdict: **holds**" in fifth
    every = ledger.split("## Every ingredient")[1].split("##")[0]
    assert [line.split(" | ")[0] for line in every.splitlines()[6:9]] == ["| baseline", "| gelu", "| no_mask"]
    assert "0.001" in fifth
    assert "largest deviation from linearity in the values, in float64: at most 1e-12" in ledger
    assert "`no_self_attention` is worse than the baseline by probes/within/relative_agreement | not run" in ledger
    assert "python -m pipelines.ablate --multirun experiment=no_mask seed=1,2" in ledger
    assert "| speed |" not in ledger
    assert "## On Multi30k" not in ledger
    assert "| baseline | 0.001 | 100.0 |\n| baseline | 0.003 | 97.5 |" in ledger
    assert "| no_mask" not in ledger.split("## Tuning")[1].split("## ")[0]  # one trial is no choice


def test_an_option_that_came_later_than_a_run_is_what_the_run_had(root: Path) -> None:
    record(root, "baseline", 1, right=38, loss=0.5)
    (run,) = kept_runs.known(root / "docs/claims.tar.xz")
    wanted = {("baseline", 1)}
    assert kept_runs.runs([run], [], ["baseline"]).keys() == wanted
    earlier = {
        key: value
        for key, value in run.parameters.items()
        if not key.startswith(("segmentation", "synthetic", "training.loss"))
    }
    assert kept_runs.runs([replace(run, parameters=earlier)], [], ["baseline"]).keys() == wanted
    for other in (
        {"segmentation.each": "8"},
        {"synthetic": '["ours"]'},
        {"training.loss.kind": "r_drop"},
        {"training.loss.weight": "5.0"},
    ):
        assert not kept_runs.runs([replace(run, parameters=earlier | other)], [], ["baseline"])


def test_runs_that_learnt_from_another_text_of_that_name_are_not_their_seeds(root: Path) -> None:
    for seed in (1, 2, 3):
        record(root, "baseline", seed, right=38, loss=0.5)
    runs = kept_runs.known(root / "docs/claims.tar.xz")
    texts = ["python -m pipelines.synthesize seed=1,2 aaaa", "python -m pipelines.synthesize seed=1 bbbb", "cccc"]
    latest, *others = [
        replace(run, tags=run.tags | {"entente.synthetic.ours": text}) for run, text in zip(runs, texts, strict=True)
    ]
    found = kept_runs.runs([latest, *others], [], ["baseline"])
    assert list(found.values()) == [latest]
    (told,) = kept_runs.origins(found, [])
    assert told.command.startswith("python -m pipelines.synthesize seed=1,2 && python -m pipelines.ablate --multirun")
    found = kept_runs.runs([others[1]], [], ["baseline"])  # whose text says not who made it
    assert kept_runs.origins(found, [])[0].command.startswith("python -m pipelines.ablate")


def test_the_ledger_can_be_written_without_the_store(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in SEEDS:
        record(root, "baseline", seed, right=38 + seed, loss=0.5)
        record(root, "no_mask", seed, right=seed, loss=0.001)
    claims.main()
    ledger, kept = ((root / name).read_bytes() for name in ("docs/claims.md", "docs/claims.tar.xz"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'another.db'}")
    claims.main()
    assert (root / "docs/claims.md").read_bytes() == ledger
    assert (root / "docs/claims.tar.xz").read_bytes() == kept

    record(root, "no_mask", 2, right=9, loss=0.002)  # a newer run takes the place of the one that was kept
    claims.main()
    assert (root / "docs/claims.md").read_bytes() != ledger
    bleu = {(run.tags["entente.ablation"], run.parameters["seed"]): run.figures["val/bleu"] for run in archived(root)}
    assert bleu == {("baseline", "1"): 97.5, ("baseline", "2"): 100.0, ("no_mask", "1"): 2.5, ("no_mask", "2"): 22.5}


def archived(root: Path) -> list[Archived]:
    return read_archive(root / "docs/claims.tar.xz")


def test_an_archived_run_gives_back_what_it_held_and_no_more(root: Path, tmp_path: Path) -> None:
    record(root, "baseline", 1, right=38, loss=0.5)
    claims.main()
    (run,) = archived(root)
    answers = run.fetch("evaluation", tmp_path / "out") / "test.tsv"
    assert answers.read_bytes() == (root / "baseline-1/evaluation/test.tsv").read_bytes()
    assert run.curve("val/bleu") == [(0, 95.0)]
    assert run.curve("nothing") == []
    with pytest.raises(EntenteError, match="no model was archived"):
        run.fetch("model", tmp_path / "out")


def test_a_corpus_that_is_not_ours_is_not_given_away(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(root, "baseline", 1, right=38, loss=0.5)
    for experiment, right in (("baseline", 39), ("no_mask", 3)):
        record(root, experiment, 1, right=right, loss=0.5, overrides=claims.MULTI30K)
    claims.main()
    page = (root / "docs/claims.md").read_text(encoding="utf-8")
    assert "| no_mask | 1 | " in page.split("## On Multi30k")[1].split("## ")[0]
    real = [run for run in archived(root) if run.parameters["corpus.name"] == "multi30k"]
    assert [sorted(name for name in run.files if "test2016" in name) for run in real] == [
        ["evaluation/test2016.fr", "evaluation/test2016.tsv"]
    ] * 2
    assert not [run for run in real if any(b"neighbour" in text for text in run.files.values())]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'another.db'}")
    claims.main()
    assert (root / "docs/claims.md").read_text(encoding="utf-8") == page


def test_a_damaged_archive_is_named(root: Path) -> None:
    record(root, "baseline", 1, right=38, loss=0.5)
    claims.main()
    ledger, archive = root / "docs/claims.md", root / "docs/claims.tar.xz"
    ledger.unlink()
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(SystemExit, match=r"claims.tar.xz is no archive of runs"):
        claims.main()
    assert not ledger.exists()


def test_without_a_baseline_there_is_no_ledger(root: Path) -> None:
    with pytest.raises(SystemExit, match="no finished run of the baseline"):
        claims.main()
    assert not (root / "docs/claims.md").exists()


def test_an_unknown_run_is_named(root: Path) -> None:
    from entente.tracking.records import Records

    with pytest.raises(EntenteError, match="has no run nowhere"):
        Records("entente").get("nowhere")
    with pytest.raises(EntenteError, match="no evaluated run of job nobody"):
        Records("entente").of_job("nobody")
