"""Many short lines through `entente translate`: as many come out, each as ever, in memory that does not grow."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from entente.errors import EntenteError
from entente.text.corpus import read_lines
from pipelines.soaks.memory import Memory, Used

WORDS, DIFFERENT = 6, 1000  # at most in a line, and lines that differ, which come again and again
OTHERWISE = 0.001  # of lines, in another company: sums of floats depend on it


@dataclass(frozen=True)
class Translated:
    """Lines that came out, how many of them not as the same line did before, seconds, and memory."""

    lines: int
    otherwise: int
    seconds: float
    memory: Used


def soak(lines: int, beam: int, model: Path, text: Path) -> Translated:
    """Translate so many short lines of `text` in one process. Raises EntenteError where it fails, or lines are lost."""
    short = list(islice(_short(text), DIFFERENT))
    if not short:
        raise EntenteError(f"{text} has no line of at most {WORDS} words")
    command = [sys.executable, "-m", "entente.cli", "translate", "--model", str(model), "--beam", str(beam)]
    with TemporaryDirectory() as place:
        english = Path(place, "english.txt")
        with english.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in islice(cycle(short), lines))
        started = time.monotonic()
        with english.open("rb") as source, subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            with Memory(process.pid) as memory:
                seen: list[bytes] = []
                count = otherwise = 0
                for count, french in enumerate(tqdm(process.stdout, "translating", lines, unit=" lines"), start=1):
                    if count <= len(short):
                        seen.append(french)
                    otherwise += french != seen[(count - 1) % len(short)]
        seconds = time.monotonic() - started
    if process.returncode or count != lines:
        raise EntenteError(f"of {lines:,} lines {count:,} came out, with exit status {process.returncode}")
    return Translated(count, otherwise, seconds, memory.used())


def _short(text: Path) -> Iterator[str]:
    return (line for line in read_lines(text) if len(line.split()) <= WORDS)
