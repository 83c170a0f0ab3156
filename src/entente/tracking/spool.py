"""Files in which the entries of runs wait for a store that is away, each under the address that they go to."""

import contextlib
import json
import logging
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from entente.errors import EntenteError, naming
from entente.options import construct
from entente.tracking.delivery import Address, Deliver, Entry, RefusedError, batch, together
from entente.tracking.store import AwayError, first_line

log = logging.getLogger("entente.tracking")


class Spool:
    """The file in which entries wait for the store, with copies of the artifacts they name."""

    def __init__(self, folder: Path, address: Address) -> None:
        self.path = folder / f"{address.key}.jsonl"
        self._address = address
        self._kept = 0  # so many of the waiting entries, from the oldest, stand in the file
        self._lock = FileLock(f"{self.path}.lock", thread_local=False)  # held while this process may still deliver

    def keep(self, waiting: deque[Entry]) -> None:
        """Add the waiting entries that do not stand in the file yet."""
        if self._kept == len(waiting):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._lock.is_locked:
            self._lock.acquire(timeout=0)
        with naming(self.path), self.path.open("a", encoding="utf-8") as file:
            if not file.tell():
                file.write(json.dumps(asdict(self._address)) + "\n")
            for number in range(self._kept, len(waiting)):
                if waiting[number]["what"] == "artifact":
                    waiting[number] = self._copied(waiting[number])
                file.write(json.dumps(waiting[number], default=str) + "\n")
                self._kept += 1

    def forget(self, delivered: int) -> None:
        """Take the oldest entries, which were delivered, out of the file."""
        if self._kept:
            self._kept = max(0, self._kept - delivered)
            _drop(self.path, delivered, self._address)

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


def read(path: Path) -> tuple[Address, list[Entry], list[bytes]]:
    """Return where the entries of a spool go, the entries, and lines that a kill or a full disk cut short.

    Raises RefusedError where it does not tell of which run.
    """
    lines = path.read_bytes().splitlines()
    found = [_entry(line) for line in lines]
    entries = [entry for entry in found if entry is not None and "what" in entry]
    damaged = [line for line, entry in zip(lines, found, strict=True) if entry is None or "what" not in entry]
    if not found or (found[0] and "what" in found[0]):  # written before spools had an address, under the run's id
        return Address("", path.stem, {}, key=path.stem, run=path.stem), entries, damaged
    try:
        return construct(Address, found[0] or {}, str(path)), entries, damaged[1:]
    except EntenteError as error:
        raise RefusedError(f"it does not tell of which run ({error})") from error


def _entry(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def unopened(folder: Path) -> Iterator[Address]:
    """Yield the addresses whose runs are not known to be in the store yet."""
    for path in sorted(folder.glob("*.jsonl")):
        with contextlib.suppress(FileNotFoundError, RefusedError):  # delivered meanwhile, or damaged
            address, _, _ = read(path)
            if address.run is None:
                yield address


def deliver_left_over(path: Path, deliver_to: Callable[[Address], Deliver]) -> None:
    """Deliver what an earlier process left in a spool, unless one is still at it or the store is away."""
    with contextlib.suppress(Timeout), FileLock(f"{path}.lock", timeout=0):
        with contextlib.suppress(FileNotFoundError):  # delivered meanwhile
            _deliver(path, deliver_to)
        if not path.exists():
            Path(f"{path}.lock").unlink(missing_ok=True)


def _deliver(path: Path, deliver_to: Callable[[Address], Deliver]) -> None:
    try:
        address, entries, damaged = read(path)
    except RefusedError as error:
        aside = path.replace(path.with_suffix(".damaged"))
        log.warning("%s cannot be delivered: %s; it is kept as %s", path, error, aside)
        return
    for line in damaged:
        log.warning("a line of %s was cut short, and is dropped: %.100r", path, line)
    deliver = deliver_to(address)
    while sent := batch(entries):
        try:
            deliver(together(sent))
        except RefusedError as error:
            log.warning("MLflow refuses %s: %s", sent[0]["what"], first_line(error))
        except Exception as error:  # away again, if waiting heals it: the rest waits on
            if isinstance(error, EntenteError) and not isinstance(error, AwayError):
                log.warning("%s cannot be delivered: %s", path, error)
            return
        entries = entries[len(sent) :]
        _drop(path, len(sent), address)
    path.unlink(missing_ok=True)  # one without entries


def _drop(path: Path, oldest: int, address: Address) -> None:
    """Remove the oldest entries from the file; the last one takes the file and its copies along."""
    try:
        _, entries, _ = read(path)
        left = entries[oldest:]
        if not left:
            path.unlink()
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            return
        new = path.with_suffix(".new")
        lines = [json.dumps(line) for line in (asdict(address), *left)]
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(new, path)
    except OSError as error:
        log.warning("cannot write %s: %s", path, error)
