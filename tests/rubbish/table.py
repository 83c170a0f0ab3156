"""Tables of bad inputs: what is put in, and what a person is told."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

Row = tuple[str, Any, str]  # what it is, in words; what is put in; what is said of it, as a regular expression

TABLES: list[Sequence[Row]] = []


def table(*rows: Row) -> pytest.MarkDecorator:
    """Ask a test of each row: its arguments are `put_in` and `said`."""
    TABLES.append(rows)
    return pytest.mark.parametrize(
        ("put_in", "said"), [pytest.param(put_in, said, id=name) for name, put_in, said in rows]
    )


@contextmanager
def refused(said: str) -> Iterator[None]:
    """Expect that a command ends with status 1 and tells a person why, in a line."""
    with pytest.raises(SystemExit) as end:
        yield
    message = str(end.value.code)  # a text exits with status 1
    assert message.startswith("error: ")
    assert re.search(said, message), message
    assert "\n" not in message
