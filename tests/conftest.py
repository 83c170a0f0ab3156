import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import torch

from entente.model import weights
from entente.text import subwords
from tests.model.networks import options

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# The same examples each time, and no clock: a loaded machine fails no test.
hypothesis.settings.register_profile(
    "entente",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("entente")

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


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, subwords_model: Path) -> Path:
    """What a training leaves: here a Transformer of one and two layers that has learnt nothing."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "subwords.model").write_bytes(subwords_model.read_bytes())
    known = subwords.Subwords(subwords_model)
    network = options(hidden=32, heads=2, encoder_layers=1, decoder_layers=2, max_length=64)
    torch.manual_seed(3)
    names = {"network": network, "vocabulary": len(known), "subwords": known.digest}
    weights.save(weights.build(network, len(known)), names, folder)
    return folder


@pytest.fixture(scope="session")
def browser() -> "Iterator[Chrome]":
    """A real browser, from the system's packages, without a window."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    chosen = ChromeOptions()
    chosen.binary_location = "/usr/bin/chromium"
    for argument in ("headless", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking",
                     "disable-component-update", "disable-sync", "window-size=1280,1000"):  # fmt: skip
        chosen.add_argument(f"--{argument}")
    chosen.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(chosen, ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()
