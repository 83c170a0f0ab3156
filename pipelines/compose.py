"""Stage `compose`: conf/ into params.yaml. `dvc exp run` composes it itself, with what -S changes."""

import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from entente.errors import EntenteError, for_people
from entente.model.weights import build
from pipelines.parameters import PARAMETERS

CONF = Path("conf")


def compose(overrides: Sequence[str], conf: Path) -> DictConfig:
    """Compose the configuration of the folder `conf` with Hydra `overrides`, all interpolations resolved."""
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf.resolve()), version_base=None):
            composed = hydra_compose("config", overrides=list(overrides))
        OmegaConf.resolve(composed)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise EntenteError(f"{conf}/ does not compose: {error}") from error
    return composed


def plain(composed: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as plain dictionaries and values."""
    found = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(found, dict)
    return {str(group): value for group, value in found.items()}


def check(composed: DictConfig) -> None:
    """Build the network without memory: the check that the options of the model are known and fit together."""
    parameters = plain(composed)
    with torch.device("meta"):
        build(parameters["model"], parameters["subwords"]["vocabulary"])


@for_people
def main() -> None:
    """Write params.yaml where it differs from the composition of conf/, and say what changed."""
    if os.environ.get("DVC_EXP_NAME"):
        check(OmegaConf.load(PARAMETERS))  # type: ignore[arg-type]  # DVC has composed it, with the values of -S
        return
    composed = compose([], CONF)
    check(composed)
    new = OmegaConf.to_yaml(composed)
    old = PARAMETERS.read_text(encoding="utf-8") if PARAMETERS.exists() else ""
    if new == old:
        return
    names = f"{PARAMETERS} as it was", f"{PARAMETERS} from {CONF}/"
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), *names, n=0))
    part = PARAMETERS.with_suffix(".part")
    part.write_text(new, encoding="utf-8")
    part.replace(PARAMETERS)


if __name__ == "__main__":
    main()
