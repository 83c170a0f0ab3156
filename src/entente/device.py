"""Where to compute."""

import re

import torch

from entente.errors import EntenteError


def find_device(name: str) -> torch.device:
    """Return the device `name` (auto: a GPU where there is one); EntenteError for CUDA that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d{1,2})?", name):
        raise EntenteError(f"device `{name}` is unknown: choose auto, cpu or cuda")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise EntenteError(
            f"device `{name}` was asked for, but PyTorch sees {torch.cuda.device_count()} CUDA devices here: "
            "choose auto or cpu, or install a CUDA build of PyTorch and a driver that suits it"
        )
    return device
