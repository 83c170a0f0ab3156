"""Networks on disk: `config.json`, which rebuilds the network, beside `weights.safetensors`. No pickle."""

import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from entente.errors import EntenteError
from entente.model.recurrent import Recurrent
from entente.model.seq2seq import Seq2Seq
from entente.model.transformer import Transformer
from entente.model.unmasked import UnmaskedTransformer
from entente.options import choose

NETWORKS: Mapping[str, Callable[..., Seq2Seq]] = {
    "transformer": Transformer,
    "unmasked_transformer": UnmaskedTransformer,
    "recurrent": Recurrent,
}

CONFIG, WEIGHTS = "config.json", "weights.safetensors"


def build(network: Mapping[str, Any], vocabulary: int) -> Seq2Seq:
    """Build the network that the options describe (`model` in params.yaml), freshly initialised.

    Raises EntenteError where an option is unknown or missing, or options do not fit together.
    """
    return choose(NETWORKS, network, "model")(vocabulary=vocabulary)


def save(network: Seq2Seq, config: Mapping[str, Any], folder: Path) -> None:
    """Write the weights, and `config` with at least `network` and `vocabulary`, into `folder`, all or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    _write(tensors, folder / f"{WEIGHTS}.part")
    (folder / f"{CONFIG}.part").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for name in (WEIGHTS, CONFIG):
        os.replace(folder / f"{name}.part", folder / name)


def save_snapshot(network: Seq2Seq, file: Path) -> None:
    """Write the weights alone, in 16 bits, all or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    part = file.with_name(f"{file.name}.part")
    _write(tensors, part)
    os.replace(part, file)


def _write(tensors: Mapping[str, torch.Tensor], file: Path) -> None:
    """Write tensors. Raises OSError as other files do: safetensors tells what the system said in words alone."""
    try:
        save_file(dict(tensors), file)
    except SafetensorError as error:
        file.unlink(missing_ok=True)
        if not (said := re.search(r"\(os error (\d+)\)", str(error))):
            raise
        raise OSError(int(said[1]), os.strerror(int(said[1])), str(file)) from error


def load_snapshot(folder: Path, file: Path) -> Seq2Seq:
    """Load the network of the model in `folder` as it was when `file` was written."""
    network = load(folder)
    network.load_state_dict(_tensors(file, network))
    return network


def read_config(folder: Path) -> dict[str, Any]:
    """Return what `config.json` in a model's folder says; EntenteError where there is no model."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise EntenteError(
            f"no model in {folder}: {CONFIG} is missing. Train one with `dvc repro`, or name another with --model DIR"
        ) from error
    except (ValueError, RecursionError) as error:
        raise EntenteError(
            f"{folder / CONFIG} is not readable as JSON ({error}); train anew with `dvc repro`"
        ) from error
    needed = {"network", "vocabulary"}
    if not isinstance(config, dict) or not needed <= config.keys():
        missing = needed - config.keys() if isinstance(config, dict) else needed
        raise EntenteError(f"{folder / CONFIG} lacks {', '.join(sorted(missing))}; train anew with `dvc repro`")
    return config


def load(folder: Path) -> Seq2Seq:
    """Rebuild the network saved in `folder`, on the CPU, ready to translate (evaluation mode).

    Raises EntenteError where the configuration describes no network, and where the weights are not those of one.
    """
    config = read_config(folder)
    try:
        with torch.random.fork_rng(devices=[]):  # initial weights are overwritten; nobody's random numbers change
            tensors = _tensors(folder / WEIGHTS, _described(config))
            network = build(config["network"], config["vocabulary"])
    except EntenteError as error:
        raise EntenteError(f"{folder}: {error}; train anew with `dvc repro`") from error
    network.load_state_dict(tensors)
    return network.eval()


def _described(config: Mapping[str, Any]) -> Seq2Seq:
    """Build a network that takes no memory, however large it is."""
    try:
        with torch.device("meta"):
            return build(config["network"], config["vocabulary"])
    except EntenteError as error:
        raise EntenteError(f"{CONFIG}: {error}") from error


def _tensors(file: Path, network: Seq2Seq) -> dict[str, Tensor]:
    """Read the weights of a network like this one. Raises EntenteError where they are not, or are no numbers."""
    try:
        tensors = load_file(file)
    except FileNotFoundError as error:
        raise EntenteError(f"{file.name} is missing") from error
    except (OSError, SafetensorError) as error:
        raise EntenteError(f"{file.name} is damaged ({error})") from error
    expected = network.state_dict()
    complaints = {
        "lacks": expected.keys() - tensors.keys(),
        "has, beyond the network,": tensors.keys() - expected.keys(),
    }
    shared = sorted(expected.keys() & tensors.keys())
    complaints["has in other shapes"] = {name for name in shared if tensors[name].shape != expected[name].shape}
    complaints["has as other than fractions"] = {name for name in shared if not tensors[name].is_floating_point()}
    if wrong := [f"{what} {_listed(names)}" for what, names in complaints.items() if names]:
        raise EntenteError(f"{file.name} does not belong to {CONFIG}: it {'; '.join(wrong)}")
    if broken := {name for name in shared if not tensors[name].isfinite().all()}:
        raise EntenteError(
            f"{file.name} has NaN or infinity in {_listed(broken)}: its training diverged, or it is damaged"
        )
    return tensors


def _listed(names: Collection[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(sorted(names)[:3]) + more
