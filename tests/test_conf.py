"""Every option composes and builds; what we compose is what DVC composes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from dvc.utils.hydra import compose_and_dump
from omegaconf import OmegaConf

from entente.errors import EntenteError
from entente.model.weights import build
from pipelines.compose import CONF, check, compose
from pipelines.tracked_run import LOGGED

ROOT = Path(__file__).resolve().parents[1]
GROUPS = sorted(folder.relative_to(ROOT / CONF).as_posix() for folder in (ROOT / CONF).rglob("*") if folder.is_dir())

# Groups that stand in several places, and groups of another model than the default.
PLACES = {
    "model/positions": ["model.encoder_positions", "model.decoder_positions"],
    "model/attention": ["model.encoder_attention", "model.decoder_attention", "model.cross_attention"],
}
REFUSED = "model/attention@model.cross_attention=identity"  # a target word has no source word of its own
# An update's batches are divided among processes: by default it has one.
DIVIDED = {"trainer=ddp": "training.accumulate=2", "trainer=slurm": "training.accumulate=16"}
OF_RNN = ("model/cell", "model/recurrent_attention")


def overrides() -> list[str]:
    """Return every option of every group, as one types it."""
    found = []
    for group in GROUPS:
        places = PLACES.get(group, [""])
        for option in sorted((ROOT / CONF / group).glob("*.yaml")):
            if option.stem in ("transformer", "recurrent", "teacher_forcing"):
                continue  # what options share, not an option
            found += [f"{group}{'@' + place if place else ''}={option.stem}" for place in places if group not in OF_RNN]
            found += [f"model=rnn {group}={option.stem}" for _ in places if group in OF_RNN]
    return [override for override in found if override != REFUSED]


@pytest.mark.parametrize("override", overrides())
def test_every_option_composes_and_builds(override: str) -> None:
    composed = compose([*override.split(), *DIVIDED.get(override, "").split()], ROOT / CONF)
    check(composed)
    assert not OmegaConf.missing_keys(composed)


# What a recipe has anyway.
BY_MUON = ("muon", "rotary_positions")
BY_ADAM = ("adam", "sinusoidal_positions")
OF_GRAMMAR = (*BY_ADAM, "vocabulary_2k", "no_smoothing")
ANSWERED = {
    "default": OF_GRAMMAR,
    "grammar_long": OF_GRAMMAR,
    "multi30k": BY_MUON,
    "multi30k_brief": (*BY_MUON, "bfloat16"),
    "multi30k_early": BY_ADAM,
    "tatoeba": (*BY_MUON, "light_dropout"),
}


@pytest.mark.parametrize("recipe", sorted(file.stem for file in (ROOT / CONF / "recipe").glob("*.yaml")))
@pytest.mark.parametrize("experiment", sorted(file.stem for file in (ROOT / CONF / "experiment").glob("*.yaml")))
def test_every_experiment_asks_its_question_of_every_recipe(recipe: str, experiment: str) -> None:
    plain = compose([f"recipe={recipe}"], ROOT / CONF)
    asked = compose([f"recipe={recipe}", f"experiment={experiment}"], ROOT / CONF)
    check(asked)
    assert (asked == plain) == (experiment in {"baseline", *ANSWERED[recipe]})
    assert asked.corpus == plain.corpus


@pytest.mark.parametrize("recipe", ["multi30k", "tatoeba"])
def test_a_search_may_be_judged_by_the_validation_set(recipe: str) -> None:
    check(compose([f"recipe={recipe}", "corpus.tests=[val]"], ROOT / CONF))


@pytest.mark.parametrize("recipe", [None, "multi30k", "tatoeba"])
def test_recurrent_networks_are_as_large_as_the_transformer(recipe: str | None) -> None:
    def size(experiment: str) -> int:
        composed = compose([f"experiment={experiment}", *([f"recipe={recipe}"] if recipe else [])], ROOT / CONF)
        with torch.device("meta"):
            network = build(OmegaConf.to_container(composed.model), composed.subwords.vocabulary)  # type: ignore[arg-type]
        return sum(weight.numel() for weight in network.parameters())

    assert size("gru_additive") / size("baseline") == pytest.approx(1, abs=0.02)
    if recipe is None:  # its depth is chosen for the embedded corpus's network
        assert size("no_feed_forward_deep") / size("baseline") == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("changes", [[], ["recipe=multi30k", "experiment=no_positions", "seed=7"]])
def test_our_composition_is_what_dvc_writes(changes: list[str], tmp_path: Path) -> None:
    compose_and_dump(tmp_path / "params.yaml", str(ROOT / CONF), None, "config", None, changes)
    assert (tmp_path / "params.yaml").read_text() == OmegaConf.to_yaml(compose(changes, ROOT / CONF))


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model=hug", "tiny"),
        ("modle=tiny", "modle"),
        ("model.widht=3", "model.widht"),
        ("model.heads=3", "3 heads"),
        (REFUSED, "no source word of its own"),
        ("model=rnn +model.encoder_positions.kind=rotary", "encoder_positions"),
        ("+model.colour=red", "colour"),
    ],
)
def test_what_is_misspelt_or_does_not_fit_is_named(override: str, named: str) -> None:
    with pytest.raises(EntenteError, match=named):
        check(compose(override.split(), ROOT / CONF))


def compose_in(folder: Path, **environment: str) -> str:
    """Run the stage in a folder that has conf/."""
    if not (folder / CONF).exists():
        (folder / CONF).symlink_to(ROOT / CONF)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    out = subprocess.run(
        [sys.executable, "-m", "pipelines.compose"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return out.stdout


def test_the_stage_writes_heals_and_says_what_changed(tmp_path: Path) -> None:
    compose_in(tmp_path)
    whole = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(whole.replace("seed: 1", "seed: 2"))
    assert "+seed: 1" in compose_in(tmp_path)
    assert (tmp_path / "params.yaml").read_text() == whole


def test_the_stage_steps_aside_where_dvc_composed(tmp_path: Path) -> None:
    changed = OmegaConf.to_yaml(compose(["seed=9"], ROOT / CONF))
    (tmp_path / "params.yaml").write_text(changed)
    compose_in(tmp_path, DVC_EXP_NAME="some-name")
    assert (tmp_path / "params.yaml").read_text() == changed


def test_a_run_notes_every_group_that_decides_on_it() -> None:
    groups = set(compose([], ROOT / CONF)) - {"rnn_width"}  # which stands in model where it is used
    assert set(LOGGED) == groups
