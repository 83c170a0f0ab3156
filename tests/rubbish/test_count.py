"""There are as many bad inputs as are promised, and no two of them are one."""

from collections import Counter
from importlib import import_module
from pathlib import Path

from tests.rubbish.table import TABLES

PROMISED = 150


def test_there_are_enough_and_each_is_another() -> None:
    for file in Path(__file__).parent.glob("test_*.py"):
        import_module(f"tests.rubbish.{file.stem}")
    assert sum(map(len, TABLES)) >= PROMISED
    for rows in TABLES:
        for words in ([name for name, _, _ in rows], [repr(put_in) for _, put_in, _ in rows]):
            assert [word for word, count in Counter(words).items() if count > 1] == []
