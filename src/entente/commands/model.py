"""How commands load a model: their options for it, and how it searches where nobody says otherwise."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from entente.decoding.translator import Translator

# What a person gets who asks for nothing else: what conf/decoding/beam.yaml says, which a test holds equal. An
# installed command has no conf/ to read, and in the model's folder an edit of it would train anew.
BEAM = 5
LENGTH_PENALTY = 0.6
MAX_LENGTH_FACTOR = 1.5
MAX_LENGTH_OFFSET = 15
BATCH_TOKENS = 2048

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


def load(folders: Sequence[Path], device: str, *, beam: int, length_penalty: float) -> "Translator":
    """Load one model, or several that translate together. Raises EntenteError as `load_together` does."""
    from entente.decoding.ensemble import load_together
    from entente.decoding.translator import Decoding

    decoding = Decoding(
        beam=beam,
        length_penalty=length_penalty,
        max_length_factor=MAX_LENGTH_FACTOR,
        max_length_offset=MAX_LENGTH_OFFSET,
        batch_tokens=BATCH_TOKENS,
    )
    return load_together(folders, device, decoding)
