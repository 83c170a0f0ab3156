import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from entente.text import subwords

SENTENCES = [
    "I love you.",
    "The cat, which is fluffy, sleeps.",
    "The dog chased the cat; the cat slept.",
    "Do you see the old house?",
    "Élodie n'a pas vu l'été, « bien sûr » !",
]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Many small tensors: threads would only wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_works() -> Iterator[None]:
    """A shell starts what it puts in the background with Ctrl-C ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def subwords_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("subwords")
    (folder / "text").write_text("\n".join(SENTENCES * 5) + "\n", encoding="utf-8")
    subwords.learn([folder / "text"], folder, kind="bpe", vocabulary=340, threads=1, sample=1000)
    return folder / "subwords.model"
