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

from entente.decoding.settings import Decoding
from entente.errors import EntenteError, for_people
from entente.model.weights import build
from entente.options import construct
from entente.text.segmentation import Segmentation
from entente.training.settings import Machine
from pipelines import download, groups, learn_subwords, learning, prepare
from pipelines.parameters import PARAMETERS, load

CONF = Path("conf")


def compose(overrides: Sequence[str], conf: Path) -> DictConfig:
    """Compose the configuration of the folder `conf` with Hydra `overrides`, all interpolations resolved."""
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf.resolve()), version_base=None):
            composed = hydra_compose("config", overrides=list(overrides))
        OmegaConf.resolve(composed)
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        said = " ".join(str(error).partition("Config search path")[0].split())
        raise EntenteError(f"{conf}/ does not compose: {said}") from error
    return composed


def plain(composed: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as plain dictionaries and values."""
    found = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(found, dict)
    return {str(group): value for group, value in found.items()}


def check(composed: DictConfig) -> None:
    """Make all that is described, the network without memory: the check that options are known and fit together."""
    parameters = plain(composed)
    groups.check(parameters)
    corpus, training = parameters["corpus"], parameters["training"]
    download.described(corpus["download"], download.RAW)
    prepare.described(corpus)
    learn_subwords.described(parameters["subwords"])
    construct(Segmentation, parameters["segmentation"], "segmentation")
    with torch.device("meta"):
        build(parameters["model"], parameters["subwords"]["vocabulary"])
    learning.loss(training)
    learning.optimizer(training)
    learning.schedule(training, training["updates"])
    learning.course(training, training["updates"])
    construct(Machine, parameters["trainer"], "trainer").share(training["accumulate"])
    construct(Decoding, parameters["decoding"], "decoding")


@for_people
def main() -> None:
    """Write params.yaml where it differs from the composition of conf/, and say what changed."""
    if os.environ.get("DVC_EXP_NAME"):
        check(load())  # DVC has composed it, with the values of -S
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
