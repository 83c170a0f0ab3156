"""What the stages read: the composed configuration in params.yaml, and their own inputs as dvc.yaml lists them."""

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from entente.errors import EntenteError
from pipelines.groups import check_group

PARAMETERS = Path("params.yaml")


def load() -> DictConfig:
    """Return what is in params.yaml, interpolations resolved. Raises EntenteError where there is no such thing."""
    if not PARAMETERS.exists():
        raise EntenteError(
            f"{PARAMETERS} is missing in {Path.cwd()}: run from the repository's root, `dvc repro compose` writes it"
        )
    try:
        found = OmegaConf.load(PARAMETERS)
        OmegaConf.resolve(found)
    except (OmegaConfBaseException, yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise EntenteError(f"{PARAMETERS} cannot be read ({said}): `dvc repro compose` writes it anew") from error
    if not isinstance(found, DictConfig):
        raise EntenteError(f"{PARAMETERS} holds no groups of options: `dvc repro compose` writes it anew from conf/")
    return found


def read(place: str) -> Any:
    """Return one entry of params.yaml, such as `model` or `corpus.tests`, as plain Python values.

    Raises EntenteError where the file or the entry is missing, or the group that it stands in is not as it should be.
    """
    found: Any = OmegaConf.to_container(load(), resolve=True)
    for depth, name in enumerate(place.split(".")):
        if not isinstance(found, dict) or name not in found:
            raise EntenteError(f"{PARAMETERS} has no entry `{place}`: `dvc repro compose` writes it anew from conf/")
        found = found[name]
        if not depth:
            check_group(name, found)
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
