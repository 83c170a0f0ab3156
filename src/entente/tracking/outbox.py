"""The outbox of a run: entries leave in order, from a thread, and wait while the store is away.

Once it is open no store makes it raise, and all that is waited for the store together has a bound: a training must not
die, nor stand still, with its tracking server.
"""

import logging
import threading
import time
from collections import deque
from typing import Protocol

from entente.errors import EntenteError
from entente.tracking.delivery import Deliver, Entry, RefusedError, batch, together
from entente.tracking.spool import Spool
from entente.tracking.store import AwayError, first_line

log = logging.getLogger("entente.tracking")

THREAD = "tracking outbox"
LONGEST_PAUSE = 60.0  # seconds between two attempts while the store is away


class Writes(Protocol):
    """What a run asks of its outbox."""

    def start(self) -> None:
        """Begin to deliver; return when what is there has arrived, or the store is known to be away."""

    def put(self, entry: Entry) -> None:
        """Take an entry; return at once."""

    def keep(self) -> None:
        """Keep in the spool at once what is not delivered yet, so that it outlives this process."""

    def flush(self, *, insist: bool = False) -> bool:
        """Wait until everything is delivered or kept in the spool, and return whether it is delivered.

        Where the store is away, its next attempt has its time, but for those who `insist` on one now.
        """

    def close(self) -> None:
        """Deliver what waits, keep in the spool what cannot be delivered, and stop."""


class Silence:
    """The outbox of the other processes of a distributed training: only the first one writes."""

    def start(self) -> None:
        """Do nothing."""

    def put(self, entry: Entry) -> None:
        """Drop the entry."""

    def keep(self) -> None:
        """Do nothing."""

    def flush(self, *, insist: bool = False) -> bool:
        """Do nothing."""
        return True

    def close(self) -> None:
        """Do nothing."""


class Outbox:
    """Entries on their way to one run, each some `seconds`. While the store is away they stand in `spool` too.

    The store is waited for `patience` seconds at most as the run is opened, and no longer in all that comes later.
    `keep`, `flush` and `close` raise OSError where what the store lacks can be kept in the spool neither.
    """

    def __init__(self, deliver: Deliver, spool: Spool, seconds: float, patience: float) -> None:
        self._deliver, self._spool, self._seconds = deliver, spool, seconds
        self._patience = self._left = patience
        self._waiting: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._failures = 0  # in a row
        self._attempts = 0  # that failed
        self._unusable: EntenteError | None = None  # what no waiting heals, while there is somebody to be told
        self._opening = self._hurry = self._closing = self._closed = False
        self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)

    def start(self) -> None:
        """Begin to deliver; return when what is there has arrived, or the store is known to be away.

        Raises EntenteError where waiting would not help.
        """
        self._opening = True
        self._thread.start()
        self.flush()
        with self._changed:
            self._opening, self._left = False, self._patience
            if self._unusable:
                raise self._unusable

    def put(self, entry: Entry) -> None:
        """Take an entry; return at once."""
        with self._changed:
            self._waiting.append(entry)
            if self._failures:
                self._try_to_keep()

    def keep(self) -> None:
        """Keep in the spool at once what is not delivered yet, so that it outlives this process."""
        with self._changed:
            self._spool.keep(self._waiting)

    def flush(self, *, insist: bool = False) -> bool:
        """Wait until everything is delivered or kept in the spool, and return whether it is delivered."""
        with self._changed:
            if insist or not self._failures:
                before, began = self._attempts, time.monotonic()
                self._hurry = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: not self._waiting or self._attempts > before, timeout=self._left)
                self._left = max(0.0, self._left - (time.monotonic() - began))
                if self._waiting and self._attempts == before and not self._failures:
                    self._store_left(TimeoutError("it does not answer"))
            if not self._unusable:
                self._spool.keep(self._waiting)
            return not self._waiting

    def close(self) -> None:
        """Deliver what waits, keep in the spool what cannot be delivered, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(self._left)
        with self._changed:
            self._closed = True  # others may deliver what is left, as soon as the spool is released
            try:
                self._spool.keep(self._waiting)
                if self._waiting:
                    log.warning(
                        "the MLflow store is away: what it lacks waits in %s and is delivered by the next run",
                        self._spool.path,
                    )
            finally:
                self._spool.release()

    def _work(self) -> None:
        closing = False
        while not closing and not self._unusable:
            with self._changed:
                pause = min(self._seconds * 2**self._failures, LONGEST_PAUSE)
                self._changed.wait_for(lambda: self._hurry or self._closing, timeout=pause)
                self._hurry, closing = False, self._closing
            self._send()

    def _send(self) -> None:
        while entries := self._next():
            try:
                self._deliver(together(entries))
            except RefusedError as error:
                log.warning("MLflow refuses %s: %s", entries[0]["what"], first_line(error))
            except Exception as error:  # what is thrown depends on the store: HTTP, database driver, file system
                self._failed(error)
                return
            with self._changed:
                if self._closed:
                    return
                for _ in entries:
                    self._waiting.popleft()
                self._spool.forget(len(entries))
                if self._failures:
                    log.warning("the MLflow store is back")
                    self._failures = 0
                self._changed.notify_all()

    def _next(self) -> list[Entry]:
        with self._changed:
            return batch(self._waiting)

    def _failed(self, error: Exception) -> None:
        with self._changed:
            if self._closed:
                return
            self._attempts += 1
            if self._opening and isinstance(error, EntenteError) and not isinstance(error, AwayError):
                self._unusable = error
            else:
                self._store_left(error)
            self._changed.notify_all()

    def _store_left(self, error: Exception) -> None:
        if not self._failures:
            reason = first_line(error.__cause__ or error)
            log.warning(
                "the MLflow store is away (%.300s): the work goes on, and its figures wait in %s",
                reason,
                self._spool.path,
            )
        self._failures += 1
        self._try_to_keep()

    def _try_to_keep(self) -> None:
        try:
            self._spool.keep(self._waiting)
        except OSError as error:
            log.warning("cannot write %s: %s", self._spool.path, error)
