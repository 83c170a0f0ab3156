"""Errors that speak to people: what is wrong, what was expected, what to do."""

import errno
import functools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

INTERRUPTED = 130  # what a shell reports for Ctrl-C: 128 + SIGINT
TERMINATED = 143  # and where a scheduler asks to stop: 128 + SIGTERM

_NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
_NO_SUCH_PLACE = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG)


class EntenteError(Exception):
    """Something a person can mend. The message names the thing, says what was expected and what to do.

    Passwords in addresses are masked in it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(masked(message))


def masked(text: str) -> str:
    """Return the text without passwords in addresses: before the host, or among the parameters."""
    text = re.sub(r"(?<=://)\S*@", "***@", text)
    return re.sub(r"(?i)(?<=[?&])((?:password|passwd|pwd|token)=)[^&#\s]*", r"\1***", text)


def for_people(main: Callable[[], None]) -> Callable[[], None]:
    """Wrap an entry point: a person's error becomes one line on stderr and exit status 1, Ctrl-C exit 130.

    SIGTERM unwinds the program as Ctrl-C does, so that it tidies up, and becomes exit 143.
    """

    @functools.wraps(main)
    def wrapped() -> None:
        try:
            with sigterm_unwinds():
                main()
        except EntenteError as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            print("interrupted; what was finished is kept", file=sys.stderr)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            # The reader went away (`entente translate | head`); silence the flush at exit too.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except OSError as error:
            if error.errno in _NO_SUCH_PLACE:
                sys.exit(f"error: {error.filename2 or error.filename}: {error.strerror}. Name another file or folder.")
            if error.errno not in _NOT_WRITABLE:
                raise
            where = f" ({error.filename})" if error.filename else ""
            sys.exit(
                f"error: cannot write{where}: {error.strerror}. Free some space or choose a writable folder; "
                "what was finished earlier is intact."
            )

    return wrapped


@contextmanager
def sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM raise SystemExit in the body, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def unwind(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    except Exception as error:
        if asked:  # a library that was interrupted may raise something else as it tidies up
            raise SystemExit(TERMINATED) from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError of the body that names no file, as those of writing to an open one, name `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
