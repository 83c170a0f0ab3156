from pathlib import Path

import numpy as np
import pytest

from entente.text.subwords import EOS
from tests.model.networks import VOCABULARY
from tests.training.fitting import write_side


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language whose translation is the reversed sentence."""
    folder = tmp_path_factory.mktemp("encoded")
    random = np.random.default_rng(0)
    for split, pairs in (("train", 90), ("val", 12)):
        words = [random.integers(EOS + 1, VOCABULARY, random.integers(2, 9)).tolist() for _ in range(pairs)]
        write_side(folder / f"{split}.en", [[*sentence, EOS] for sentence in words])
        write_side(folder / f"{split}.fr", [[*reversed(sentence), EOS] for sentence in words])
    return folder
