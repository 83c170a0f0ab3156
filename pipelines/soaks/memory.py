"""The memory of a process and of those that it started, looked at again and again."""

import threading
import time
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import Self

import psutil

EVERY = 1.0  # seconds
SETTLED, PART = 0.1, 0.2  # of the time
GROWN = 1.05  # times


@dataclass(frozen=True)
class Used:
    """MiB of memory: medians of a fifth of the time at the beginning and at the end, and the most that was seen."""

    first: float
    last: float
    peak: float

    @property
    def is_flat(self) -> bool:
        """Say whether there was no growth by more than a twentieth."""
        return self.last <= GROWN * self.first

    def __str__(self) -> str:
        return f"{self.first:,.0f} MiB at the beginning, {self.last:,.0f} at the end, {self.peak:,.0f} at most"


class Memory:
    """Looks at the resident memory of a process and its children while in `with`."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._seen: list[float] = []  # MiB, at even intervals
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="memory", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                process = psutil.Process(self._process)
                members = [process, *process.children(recursive=True)]
                self._seen.append(sum(member.memory_info().rss for member in members) / 2**20)
            except psutil.NoSuchProcess:
                return
            self._ended.wait(EVERY - (time.monotonic() - began))

    def used(self) -> Used:
        """Return what was used. In the first tenth of the time a process may settle: it counts for the peak only."""
        settled = self._seen[int(SETTLED * len(self._seen)) :]
        part = max(1, int(PART * len(self._seen)))
        return Used(median(settled[:part]), median(settled[-part:]), max(self._seen))
