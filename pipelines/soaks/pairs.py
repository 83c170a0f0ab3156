"""Millions of pairs through the stages up to the start of a training: how long each takes, and how much memory."""

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from entente.text.corpus import replacing
from entente.tracking.store import root
from pipelines.benchmarks.growth import repeated
from pipelines.soaks.memory import Memory
from pipelines.soaks.repository import Repository

STAGES = ("prepare", "learn_subwords", "encode", "train")
OPTIONS = ("trainer=smoke",)  # a few updates
MOST = 1024  # MiB


@dataclass(frozen=True)
class Went:
    """A stage: seconds, and MiB at the peak, of all its processes together."""

    stage: str
    seconds: float
    peak: float


def soak(pairs: int) -> list[Went]:
    """Take so many pairs, those of the embedded corpus over and over with a number, through the stages."""
    with TemporaryDirectory(prefix="entente-soak-") as place:
        repository = Repository(Path(place), dvc=False)
        repository.furnish(root(), OPTIONS)
        log = Path(place, "log.txt")
        for stage in ("compose", "download"):
            repository.finish(stage, log)
        for language in ("en", "fr"):
            _multiply(Path(place, "data/raw", f"train.{language}"), pairs)
        return [_measured(repository, stage, log) for stage in tqdm(STAGES, "going through", unit=" stages")]


def _multiply(file: Path, lines: int) -> None:
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8") as text:
        text.writelines(f"{line}\n" for line in islice(repeated(file), lines))


def _measured(repository: Repository, stage: str, log: Path) -> Went:
    began = time.monotonic()
    process = repository.start(stage, log)
    with Memory(process.pid) as memory:
        repository.wait(process, stage, log)
    return Went(stage, time.monotonic() - began, memory.used().peak)
