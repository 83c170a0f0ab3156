"""How commands load a model, and their options for it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from entente.decoding.settings import DEFAULT, Decoding

if TYPE_CHECKING:
    from entente.decoding.translator import Translator
    from entente.pages.attention import Shown

MODEL = Path("artifacts/model")


def add_folder(command: argparse.ArgumentParser) -> None:
    """Add the option that says which model."""
    command.add_argument(
        "--model", type=Path, default=MODEL, metavar="DIR", help="folder of a trained model (%(default)s)"
    )


def add_model(command: argparse.ArgumentParser) -> None:
    """Add the options that say which model, and where it runs."""
    add_folder(command)
    _add_device(command)


def add_models(command: argparse.ArgumentParser, several: str) -> None:
    """Add the options that say which models, what `several` do, and where they run."""
    command.add_argument(
        "--model",
        type=Path,
        action="append",
        metavar="DIR",
        help=f"folder of a trained model ({MODEL}); {several}",
    )
    _add_device(command)


def _add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--device",
        default="auto",
        metavar="auto|cpu|cuda",
        help="where to run (auto: the GPU where there is one)",
    )


def load(folders: Sequence[Path], device: str, decoding: Decoding = DEFAULT) -> "Translator":
    """Load one model, or several that translate together. Raises EntenteError as `load_together` does."""
    from entente.decoding.ensemble import load_together

    return load_together(folders, device, decoding)


def load_shown(folders: Sequence[Path], device: str) -> "list[Shown]":
    """Load models for a page, each by the name of its folder. Raises EntenteError as Translator.load does."""
    from entente.model.weights import read_config
    from entente.pages.attention import Shown
    from entente.translator import Translator

    return [Shown(str(folder), Translator.load(folder, device), read_config(folder)["network"]) for folder in folders]
