"""Errors that speak to people: what is wrong, what was expected, what to do."""

import errno
import functools
import os
import sys
from collections.abc import Callable

INTERRUPTED = 130  # what a shell reports for Ctrl-C: 128 + SIGINT
TERMINATED = 143  # and where a scheduler asks to stop: 128 + SIGTERM


class EntenteError(Exception):
    """Something a person can mend. The message names the thing, says what was expected and what to do."""


def for_people(main: Callable[[], None]) -> Callable[[], None]:
    """Wrap an entry point: a person's error becomes one line on stderr and exit status 1, Ctrl-C exit 130."""

    @functools.wraps(main)
    def wrapped() -> None:
        try:
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
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                raise
            where = f" ({error.filename})" if error.filename else ""
            sys.exit(
                f"error: cannot write{where}: {error.strerror}. Free some space or choose a writable folder; "
                "what was finished earlier is intact."
            )

    return wrapped
