"""`entente serve` under load: no error, memory that does not grow, and how long answers take."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from entente.errors import EntenteError
from pipelines.soaks.memory import Memory, Used

PERCENTILES = (50, 95, 99, 100)
VISITORS = Path(__file__).with_name("visitors.py")
ALL = "all"
SENTENCES = "ENTENTE_SENTENCES"  # names the file, to the visitors


@dataclass(frozen=True)
class Requests:
    """How many there were, how many of them failed, and the milliseconds that PERCENTILES of them took at most."""

    number: int
    failed: int
    milliseconds: list[float]


@dataclass(frozen=True)
class Served:
    """Requests by kind, and the server's memory."""

    requests: dict[str, Requests]
    memory: Used


def soak(minutes: float, connections: int, model: Path, sentences: Path) -> Served:
    """Serve `model` to so many who ask at once for `sentences`.

    Raises EntenteError where the server or Locust does not come up.
    """
    serve = [sys.executable, "-m", "entente.cli", "serve", "--port", "0", "--model", str(model)]
    with (
        TemporaryDirectory() as place,
        subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            url = server.stdout.readline().partition(" ")[0]
            if not url:
                raise EntenteError("`entente serve` ended before it served")
            with Memory(server.pid) as memory:
                _visit(url, minutes, connections, sentences, Path(place))
            if server.poll() is not None:
                raise EntenteError(f"`entente serve` ended under load, with exit status {server.returncode}")
        finally:
            server.terminate()
        return Served(_requests(Path(place, "load.json")), memory.used())


def _visit(url: str, minutes: float, connections: int, sentences: Path, place: Path) -> None:
    asked = ["--host", url.rstrip("/"), "--users", str(connections), "--spawn-rate", "10"]
    asked += ["--run-time", f"{round(60 * minutes)}s", "--stop-timeout", "60", "--json-file", str(place / "load")]
    command = [sys.executable, "-m", "locust", "--locustfile", str(VISITORS), "--headless", "--only-summary", *asked]
    environment = {**os.environ, SENTENCES: str(sentences)}
    status = subprocess.run([*command, "--exit-code-on-error", "0"], env=environment, check=False).returncode
    if status:
        raise EntenteError(f"Locust ended with exit status {status}; `pip install 'entente[soak]'` installs it")


def _requests(file: Path) -> dict[str, Requests]:
    """Read what Locust counted: its table of milliseconds holds them rounded, the smaller the finer."""
    kinds = {kind["name"]: kind for kind in json.loads(file.read_text(encoding="utf-8"))}
    found = {name: _counted([kind]) for name, kind in sorted(kinds.items())}
    return {**found, ALL: _counted(list(kinds.values()))}


def _counted(kinds: Sequence[dict[str, Any]]) -> Requests:
    times = [(float(time), count) for kind in kinds for time, count in kind["response_times"].items()]
    every = np.repeat(*np.array(sorted(times)).T.astype(int)) if times else np.zeros(1)
    answered, failed = (sum(kind[what] for kind in kinds) for what in ("num_requests", "num_failures"))
    return Requests(answered, failed, np.percentile(every, PERCENTILES).tolist())
