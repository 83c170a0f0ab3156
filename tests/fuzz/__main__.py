"""Look for an input that a reader answers with anything but its content or an EntenteError.

`pip install -e '.[test,fuzz]'`, then `python -m tests.fuzz READER`; --help says what else.
"""

import argparse
import atexit
import logging
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["entente", "pipelines"]):
    from entente.errors import EntenteError
    from tests.fuzz.readers import READERS, Reader, bounded_memory


OWN = {"src", "pipelines"}


class Hunt:
    """Reads what it is given, and keeps the first input of each kind of exception, told by where it was raised."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._began = reader, time.monotonic()
        self._inputs = self._refused = 0
        self._found = Counter[str]()

    def __call__(self, content: bytes) -> None:
        """Read one input."""
        self._inputs += 1
        try:
            self._reader.read(content)
        except EntenteError:
            self._refused += 1
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if OWN & set(Path(frame.filename).parts)] or frames
            place = f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}"
            if not self._found[place]:
                print(f"{place}: {error}\n  of {content!r}", flush=True)
            self._found[place] += 1

    def report(self) -> None:
        """Say how it went."""
        seconds = time.monotonic() - self._began
        print(f"{self._inputs} inputs, {self._refused} refused, {len(self._found)} findings, {seconds:.0f} s")
        for place, count in self._found.most_common():
            print(f"  {count} times {place}")


def main() -> None:
    """Fuzz one reader."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    logging.disable()  # what was refused is not news here
    with TemporaryDirectory() as place, TemporaryDirectory() as good, bounded_memory():
        reader = READERS[asked.reader](Path(place))
        for number, seed in enumerate(reader.seeds):
            Path(good, str(number)).write_bytes(seed)
        longest = 2 * max(map(len, reader.seeds))
        hunt = Hunt(reader)
        atexit.register(hunt.report)
        own = [f"-atheris_runs={asked.inputs}", f"-seed={asked.seed}", f"-max_len={longest}", "-rss_limit_mb=0"]
        atheris.Setup([sys.argv[0], *own, "-verbosity=0", good], hunt)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
