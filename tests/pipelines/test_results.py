"""The page of results, from runs that a store holds."""

from pathlib import Path

import pytest

from entente.evaluation.report import write_translations
from entente.evaluation.results import SCORES
from entente.tracking.archive import read_archive
from entente.tracking.runs import KIND, Runs
from pipelines import results
from tests.pipelines.recorded import record

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")
MULTI30K = ("recipe=multi30k",)


@pytest.fixture
def reached(root: Path) -> Path:
    """A store in which two recipes were run, and two trainings translated together."""
    for seed, right in ((1, 38), (2, 36)):
        record(root, "baseline", seed, right=right, loss=0.5, overrides=MULTI30K)
    record(root, "gru_additive", 1, right=30, loss=0.5, overrides=MULTI30K)
    record(root, "baseline", 1, right=40, loss=0.5)
    # One that was not trained as its recipe says.
    record(root, "baseline", 1, right=2, loss=0.5, overrides=(*MULTI30K, "training.updates=3"))
    together(root, "multi30k-ensemble-of-2", bleu=77.7)
    return root


def together(root: Path, name: str, bleu: float, **told: object) -> None:
    """Record an ensemble as `pipelines.ensemble` does, of two sentences."""
    runs = Runs("entente", flush_every_seconds=0.05, system_metrics_every_seconds=60)
    folder = root / "made"
    write_translations(folder / "ensemble/test2016.tsv", ["A cat.", "Yes."], ["Un chat.", "Non."], [["Oui."]] * 2)
    with runs.train(name, str(told), told, {KIND: "ensemble"}, resume=False) as run:
        run.metrics({f"ensemble/test2016/{score}": bleu for score in SCORES}, 0)
        figures = {"difference": 1.26, "difference_low": -0.5, "difference_high": 3.0}
        run.metrics({f"ensemble/test2016/{figure}": value for figure, value in figures.items()}, 0)
        run.artifact(folder, "ensemble")


def cells(page: str, section: str, first: str) -> list[list[str]]:
    lines = page.split(f"## {section}\n")[1].split("\n## ")[0].splitlines()
    return [
        line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines if line.startswith(f"| {first} | ")
    ]


def test_the_page_says_what_the_runs_say(reached: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results.main()
    assert "4 runs of default, multi30k" in capsys.readouterr().out
    page = (reached / "docs/results.md").read_text(encoding="utf-8")
    baseline, rnn = cells(page, "`multi30k`", "test2016")
    archived = read_archive(reached / "docs/results.tar.xz")
    figures = {
        (run.parameters["corpus.name"], run.tags["entente.ablation"], run.parameters["seed"]): run.figures
        for run in archived
        if "seed" in run.parameters
    }
    assert len(figures) == 4
    own = [figures["multi30k", "baseline", seed]["test/test2016/bleu"] for seed in "12"]
    assert baseline[1:3] == ["baseline", "2"]
    assert baseline[3].startswith(f"{sum(own) / 2:.1f} (")
    assert rnn[1:4] == ["gru_additive", "1", f"{figures['multi30k', 'gru_additive', '1']['test/test2016/bleu']:.1f}"]
    assert float(rnn[7]) == pytest.approx(float(rnn[3]) - sum(own) / 2, abs=0.11)
    each = cells(page, "Each run", "multi30k")
    assert [row[1:4] for row in each] == [
        ["baseline", "1", "test2016"],
        ["baseline", "2", "test2016"],
        ["gru_additive", "1", "test2016"],
    ]
    assert [row[8:] for row in each] == [["3.0", "10.0"]] * 3  # 3 million pieces at 5,000 a second
    ((name, _, _, test, *scores, difference, around, _, _),) = cells(page, "Together", "multi30k-ensemble-of-2")
    assert (name, test, scores) == ("multi30k-ensemble-of-2", "ensemble/test2016", ["77.7"] * 4)
    assert (difference, around) == ("+1.3", "-0.5 to +3.0")
    (translated,) = (run.files for run in archived if run.tags.get(KIND) == "ensemble")
    assert translated["ensemble/ensemble/test2016.fr"].decode() == "Un chat.\nNon.\n"
    assert b"A cat." not in b"".join(translated.values())
    assert "- BLEU: `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in page
    assert "`python -m pipelines.ablate --multirun experiment=baseline seed=1,2 recipe=multi30k`" in page


def test_the_page_can_be_written_without_the_store(reached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results.main()
    page, kept = ((reached / name).read_bytes() for name in ("docs/results.md", "docs/results.tar.xz"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{reached / 'another.db'}")
    results.main()
    assert (reached / "docs/results.md").read_bytes() == page
    assert (reached / "docs/results.tar.xz").read_bytes() == kept


def test_scores_with_all_references_have_rows_and_signatures_of_their_own(root: Path) -> None:
    record(root, "baseline", 1, right=38, loss=0.5, overrides=("recipe=tatoeba",))
    results.main()
    page = (root / "docs/results.md").read_text(encoding="utf-8")
    assert len(cells(page, "`tatoeba`", "test")) == len(cells(page, "`tatoeba`", "test/all_references")) == 1
    for references in (1, 2):
        assert f"- BLEU: `nrefs:{references}|case:mixed|" in page


def test_of_runs_that_trained_nothing_each_set_of_members_and_each_command_has_its_row(reached: Path) -> None:
    recipe = "python -m pipelines.ensemble recipe=multi30k"
    asked = [
        (["baseline, seed 1", "baseline, seed 2"], recipe),
        (["baseline, seed 1", "gru_additive, seed 1"], recipe),
        (["baseline, seed 1", "baseline, seed 2"], f"{recipe}_early"),  # other trainings that are called the same
    ]
    for members, command in asked:
        named = {str(number): member for number, member in enumerate(members, start=1)}
        for bleu in (50.0, 60.0):  # the later one counts
            together(reached, "together", bleu, members=named, command=command)
    results.main()
    rows = cells((reached / "docs/results.md").read_text(encoding="utf-8"), "Together", "together")
    assert sorted((row[1].split("; "), row[10].strip("`")) for row in rows) == sorted(asked)
    assert {row[4] for row in rows} == {"60.0"}


def test_without_a_run_of_a_recipe_there_is_no_page(root: Path) -> None:
    record(root, "gelu", 1, right=40, loss=0.5)
    with pytest.raises(SystemExit, match="no finished run of a recipe's baseline"):
        results.main()
    assert not (root / "docs/results.md").exists()
