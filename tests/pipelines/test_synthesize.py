"""Synthetic text: trainings translate their own training side, and others learn from it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from entente.text.encoded import Encoded
from pipelines import synthesize as synthesis
from tests.pipelines.sweeping import QUICK, children, clean, furnish, sweep
from tests.pipelines.thimble import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")
MEMBERS = ["experiment=baseline,no_positions", "seed=1"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own, in which two trainings are done."""
    root = furnish(tmp_path_factory.mktemp("repository"))
    status, _, err = sweep(root, *MEMBERS)
    assert status == 0, err
    return root


def read_pairs(folder: Path) -> list[tuple[str, ...]]:
    return [*zip(*((folder / f"train.{side}").read_text().splitlines() for side in ("en", "fr")), strict=True)]


def synthesize(root: Path, *overrides: str) -> str:
    command = [sys.executable, "-m", "pipelines.synthesize", *overrides, *QUICK]
    done = subprocess.run(command, cwd=root, env=clean(), capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else done.stderr


def test_what_trainings_make_of_their_own_sentences_is_learnt_from(repository: Path) -> None:
    status, out, err = sweep(repository, "experiment=baseline,distilled", "seed=1")
    assert status == 1
    assert "data/synthetic/grammar/distilled/train.en is missing" in err  # before anything is trained
    assert "is to be done" not in out
    assert "translations are new: data/synthetic/grammar/distilled" in synthesize(repository, *MEMBERS)
    place = repository / "data/synthetic/grammar/distilled"
    made, pairs = json.loads((place / "made.json").read_text()), read_pairs(place)
    assert [*made["translated by"]] == ["baseline, seed 1", "no_positions, seed 1"]
    corpora = map(read_pairs, repository.glob("ablations/data-*/data/prepared"))
    known = next(corpus for corpus in corpora if {source for source, _ in pairs} <= {source for source, _ in corpus})
    assert 0 < len(pairs) == made["written"] <= made["read"] == len(known)
    assert not {*pairs} & {*known}
    assert "is there already, by the same trainings" in synthesize(repository, *MEMBERS)
    said = synthesize(repository, "seed=1")
    assert "distilled is there, by baseline, seed 1, no_positions, seed 1: remove it" in said
    assert "data/synthetic/grammar/alone" in synthesize(repository, "as=alone", "seed=1")
    assert read_pairs(place) == pairs

    status, out, err = sweep(repository, "experiment=baseline,distilled", "seed=1")
    assert status == 0, err
    assert "2 jobs, 1 of them done already" in out  # who does not learn from it is not trained anew
    (run,) = (run for run in children(repository) if run.data.tags["entente.ablation"] == "distilled")
    assert run.inputs is not None
    used = {one.dataset.name: json.loads(str(one.dataset.profile))["num_rows"] for one in run.inputs.dataset_inputs}
    assert used.items() >= {"grammar/train": len(known), "grammar/distilled": len(pairs)}.items()
    assert run.data.tags["entente.synthetic.distilled"].startswith(made["command"])
    learnt = {len(Encoded(one / "train.fr")) for one in repository.glob("ablations/data-*/data/encoded")}
    assert {len(known), len(known) + len(pairs)} <= learnt


def test_a_training_the_other_way_round_writes_english_for_real_french(repository: Path) -> None:
    status, _, err = sweep(repository, "corpus=grammar_turned", "seed=1")
    assert status == 0, err
    said = synthesize(repository, "corpus=grammar_turned", "seed=1")
    assert "translations are new: data/synthetic/grammar/back_translated" in said
    pairs = read_pairs(repository / "data/synthetic/grammar/back_translated")
    corpora = [*map(read_pairs, repository.glob("ablations/data-*/data/prepared"))]
    known = next(corpus for corpus in corpora if pairs and {pair[1] for pair in pairs} <= {pair[1] for pair in corpus})
    assert {(french, english) for english, french in known} in [{*corpus} for corpus in corpora]  # turned round
    assert not {*pairs} & {*known}
    status, _, err = sweep(repository, "experiment=baseline,back_translated", "seed=1")  # it is of the split it says
    assert status == 0, err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep=heads", "seed=1"], "not a sweep's"),
        (["as=../ours", "seed=1"], r"as\.0 is '\.\./ours'"),
        (["seed=7"], "baseline, seed 7: no such training is done"),
        (["seed=1,2", "decoding.beam=1,2"], "searches in one way"),
    ],
)
def test_who_cannot_translate_the_training_side_is_told(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.setattr("sys.argv", ["synthesize", *arguments])
    with pytest.raises(SystemExit, match=message):
        synthesis.main()
