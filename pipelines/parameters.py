"""What the stages read: the composed configuration in params.yaml, and their own inputs as dvc.yaml lists them."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from entente.errors import EntenteError

PARAMETERS = Path("params.yaml")


def read(place: str) -> Any:
    """Return one entry of params.yaml, such as `model` or `corpus.tests`, as plain Python values."""
    if not PARAMETERS.exists():
        raise EntenteError(
            f"{PARAMETERS} is missing in {Path.cwd()}: run from the repository's root, `dvc repro compose` writes it"
        )
    found = OmegaConf.to_container(OmegaConf.load(PARAMETERS), resolve=True)
    for name in place.split("."):
        if not isinstance(found, dict) or name not in found:
            raise EntenteError(f"{PARAMETERS} has no entry `{place}`: `dvc repro compose` writes it anew from conf/")
        found = found[name]
    return found


def inputs(stage: str) -> tuple[dict[str, Any], list[Path]]:
    """Return what determines a stage's outs, by dvc.yaml: its parameters, and its dependencies but params.yaml."""
    entry = _stage(stage)
    return {place: read(place) for place in entry.get("params", [])}, [Path(path) for path in entry["deps"]]


def outs(stage: str) -> list[Path]:
    """Return what a stage leaves behind, its metrics among it, by dvc.yaml."""
    entry = _stage(stage)
    listed = [*entry.get("outs", []), *entry.get("metrics", [])]
    return [Path(out if isinstance(out, str) else next(iter(out))) for out in listed]


def _stage(name: str) -> dict[str, Any]:
    if not Path("dvc.yaml").exists():
        raise EntenteError(f"dvc.yaml is missing in {Path.cwd()}: run from the repository's root")
    entry = OmegaConf.to_container(OmegaConf.load("dvc.yaml").stages[name])
    assert isinstance(entry, dict)
    return {str(key): value for key, value in entry.items()}
