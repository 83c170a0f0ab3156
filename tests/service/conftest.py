import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import uvicorn

from entente.decoding.settings import Decoding
from entente.model.weights import build
from entente.pages.attention import Shown
from entente.service.app import app, names
from entente.text.subwords import Subwords
from entente.translator import Translator
from tests.model.networks import options, recurrent_options

DECODING = Decoding(max_length_factor=1, max_length_offset=3)


@pytest.fixture(scope="session")
def shown(subwords_model: Path) -> list[Shown]:
    """A Transformer and an RNN that have learnt nothing."""
    subwords = Subwords(subwords_model)
    models = []
    for network in (options(max_length=200), recurrent_options(max_length=200)):
        torch.manual_seed(6)
        translator = Translator(build(network, len(subwords)).eval(), subwords, DECODING, torch.device("cpu"))
        models.append(Shown(network["kind"], translator, network))
    return models


@pytest.fixture(scope="session")
def url(shown: list[Shown]) -> Iterator[str]:
    """Where a real server answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app(shown, ["I love you."], names("127.0.0.1")), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()
