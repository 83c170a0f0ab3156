"""The outbox of a run: entries leave in order, from a thread, and wait while the store is away.

Nothing here raises or blocks for long: a training must not die, nor stand still, with its tracking server.
"""

import contextlib
import json
import logging
import os
import shutil
import threading
from collections import deque
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from entente.tracking.delivery import Deliver, Entry, RefusedError
from entente.tracking.store import first_line

log = logging.getLogger("entente.tracking")

THREAD = "tracking outbox"
POINTS = 1000  # MLflow's limit for one batch
LONGEST_PAUSE = 60.0  # seconds between two attempts while the store is away


class Writes(Protocol):
    """What a run asks of its outbox."""

    def start(self) -> None:
        """Begin to deliver."""

    def put(self, entry: Entry) -> None:
        """Take an entry; return at once."""

    def flush(self, patience: float) -> None:
        """Wait until everything is delivered or kept in the spool, `patience` seconds at most."""

    def close(self, patience: float) -> None:
        """Deliver what waits, keep in the spool what cannot be delivered, and stop."""


class Silence:
    """The outbox of the other processes of a distributed training: only the first one writes."""

    def start(self) -> None:
        """Do nothing."""

    def put(self, entry: Entry) -> None:
        """Drop the entry."""

    def flush(self, patience: float) -> None:
        """Do nothing."""

    def close(self, patience: float) -> None:
        """Do nothing."""


class Outbox:
    """Entries on their way to one run. While the store is away they stand in `spool` too, as JSON lines."""

    def __init__(self, deliver: Deliver, spool: Path, seconds: float) -> None:
        self._deliver, self._seconds = deliver, seconds
        self._spool = Spool(spool)
        self._waiting: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._failures = 0
        self._hurry = self._closing = False
        self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Take an entry; return at once."""
        with self._changed:
            self._waiting.append(entry)
            if self._failures:
                self._keep()

    def flush(self, patience: float) -> None:
        """Wait until everything is delivered or kept in the spool, `patience` seconds at most."""
        with self._changed:
            if not self._failures:  # else it is kept already, and the next attempt has its time
                self._hurry = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: not self._waiting or self._failures, timeout=patience)
            self._keep()

    def close(self, patience: float) -> None:
        """Deliver what waits, keep in the spool what cannot be delivered, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(patience)
        with self._changed:
            self._keep()
            if self._waiting:
                log.warning(
                    "the MLflow store is away: what it lacks waits in %s and is delivered by the next run",
                    self._spool.path,
                )
            self._spool.release()

    def _work(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                pause = min(self._seconds * 2**self._failures, LONGEST_PAUSE)
                self._changed.wait_for(lambda: self._hurry or self._closing, timeout=pause)
                self._hurry, closing = False, self._closing
            self._send()

    def _send(self) -> None:
        while entries := self._next():
            try:
                self._deliver(_together(entries))
            except RefusedError as error:
                log.warning("MLflow refuses %s: %s", entries[0]["what"], error)
            except Exception as error:  # what is thrown depends on the store: HTTP, database driver, file system
                self._store_left(error)
                return
            with self._changed:
                for _ in entries:
                    self._waiting.popleft()
                self._spool.forget(len(entries))
                if self._failures:
                    log.warning("the MLflow store is back")
                    self._failures = 0
                self._changed.notify_all()

    def _next(self) -> list[Entry]:
        """Return the oldest entry, with the metrics that follow it if it is one of metrics."""
        with self._changed:
            entries: list[Entry] = []
            points = 0
            for entry in self._waiting:
                points += len(entry["points"]) if entry["what"] == "metrics" else POINTS
                if entries and points > POINTS:
                    break
                entries.append(entry)
            return entries

    def _store_left(self, error: Exception) -> None:
        with self._changed:
            if not self._failures:
                reason = first_line(error)
                log.warning("the MLflow store is away (%.300s); figures wait in %s", reason, self._spool.path)
            self._failures += 1
            self._keep()
            self._changed.notify_all()

    def _keep(self) -> None:
        try:
            self._spool.keep(self._waiting)
        except OSError as error:
            log.warning("cannot write %s: %s", self._spool.path, error)


class Spool:
    """The file in which entries wait for the store, with copies of the artifacts they name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = 0  # so many of the waiting entries, from the oldest, stand in the file
        self._lock = FileLock(f"{path}.lock", thread_local=False)  # held while this process may still deliver

    def keep(self, waiting: deque[Entry]) -> None:
        """Add the waiting entries that do not stand in the file yet."""
        if self._kept == len(waiting):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._lock.is_locked:
            self._lock.acquire(timeout=0)
        with self.path.open("a", encoding="utf-8") as file:
            for number in range(self._kept, len(waiting)):
                if waiting[number]["what"] == "artifact":
                    waiting[number] = self._copied(waiting[number])
                file.write(json.dumps(waiting[number], default=str) + "\n")
                self._kept += 1

    def forget(self, delivered: int) -> None:
        """Take the oldest entries, which were delivered, out of the file."""
        if self._kept:
            self._kept = max(0, self._kept - delivered)
            _drop(self.path, delivered)

    def release(self) -> None:
        """Let other processes deliver what is left."""
        self._lock.release(force=True)
        if not self.path.exists():
            Path(self._lock.lock_file).unlink(missing_ok=True)

    def _copied(self, entry: Entry) -> Entry:
        """The file may be another by the time the store is back, so keep it as it is now."""
        source = Path(entry["path"])
        if not source.exists():
            return entry
        folder = self.path.with_suffix("")
        target = folder / str(len(list(folder.glob("*")))) / source.name
        target.parent.mkdir(parents=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
        return entry | {"path": str(target)}


def deliver_left_over(spool: Path, deliver: Deliver) -> None:
    """Deliver what an earlier process left in `spool`, unless one is still at it or the store is away."""
    with contextlib.suppress(Timeout), FileLock(f"{spool}.lock", timeout=0):
        for line in spool.read_text(encoding="utf-8").splitlines() if spool.exists() else []:
            entry = json.loads(line)
            try:
                deliver(entry)
            except RefusedError as error:
                log.warning("MLflow refuses %s: %s", entry["what"], error)
            except Exception:  # away again: the rest waits on
                return
            _drop(spool, 1)
        Path(f"{spool}.lock").unlink(missing_ok=True)


def _drop(spool: Path, oldest: int) -> None:
    """Remove the oldest entries from the file; the last one takes the file and its copies along."""
    try:
        left = spool.read_text(encoding="utf-8").splitlines(keepends=True)[oldest:]
        if not left:
            spool.unlink()
            shutil.rmtree(spool.with_suffix(""), ignore_errors=True)
            return
        new = spool.with_suffix(".new")
        new.write_text("".join(left), encoding="utf-8")
        os.replace(new, spool)
    except OSError as error:
        log.warning("cannot write %s: %s", spool, error)


def _together(entries: list[Entry]) -> Entry:
    if len(entries) == 1:
        return entries[0]
    return {"what": "metrics", "points": [point for entry in entries for point in entry["points"]]}
