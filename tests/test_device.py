import pytest
import torch

from entente.device import find_device
from entente.errors import EntenteError


def test_devices_are_found_or_refused() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(EntenteError, match="`abacus` is unknown"):
        find_device("abacus")
    with pytest.raises(EntenteError, match=r"`cuda:99` was asked for, but PyTorch sees \d+ CUDA"):
        find_device("cuda:99")
