"""Networks on disk: `config.json`, which rebuilds the network, beside `weights.safetensors`. No pickle."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

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
    constructor = choose(NETWORKS, network, "model")
    try:
        return constructor(vocabulary=vocabulary)
    except TypeError as error:
        raise EntenteError(f"model: {error}; see conf/model/") from error


def save(network: Seq2Seq, config: Mapping[str, Any], folder: Path) -> None:
    """Write the weights, and `config` with at least `network` and `vocabulary`, into `folder`, all or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, folder / f"{WEIGHTS}.part")
    (folder / f"{CONFIG}.part").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for name in (WEIGHTS, CONFIG):
        os.replace(folder / f"{name}.part", folder / name)


def save_snapshot(network: Seq2Seq, file: Path) -> None:
    """Write the weights alone, in 16 bits, all or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    part = file.with_name(f"{file.name}.part")
    save_file(tensors, part)
    os.replace(part, file)


def load_snapshot(folder: Path, file: Path) -> Seq2Seq:
    """Load the network of the model in `folder` as it was when `file` was written."""
    network = load(folder)
    network.load_state_dict(load_file(file))
    return network


def read_config(folder: Path) -> dict[str, Any]:
    """Return what `config.json` in a model's folder says; EntenteError where there is no model."""
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EntenteError(
            f"no model in {folder}: {CONFIG} is missing. Train one with `dvc repro`, or name another with --model DIR"
        ) from error
    except ValueError as error:
        raise EntenteError(
            f"{folder / CONFIG} is not readable as JSON ({error}); train anew with `dvc repro`"
        ) from error
    missing = {"network", "vocabulary"} - config.keys()
    if missing:
        raise EntenteError(f"{folder / CONFIG} lacks {', '.join(sorted(missing))}; train anew with `dvc repro`")
    return config


def load(folder: Path) -> Seq2Seq:
    """Rebuild the network saved in `folder`, on the CPU, ready to translate (evaluation mode)."""
    config = read_config(folder)
    with torch.random.fork_rng(devices=[]):  # initial weights are overwritten; nobody's random numbers change
        network = build(config["network"], config["vocabulary"])
    try:
        network.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    except FileNotFoundError as error:
        raise EntenteError(f"{folder / WEIGHTS} is missing; train anew with `dvc repro`") from error
    except (RuntimeError, SafetensorError) as error:
        raise EntenteError(
            f"{folder / WEIGHTS} does not belong to {folder / CONFIG}, or is damaged ({error}); "
            "train anew with `dvc repro`"
        ) from error
    return network.eval()
