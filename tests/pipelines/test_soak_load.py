import subprocess
import sys
from pathlib import Path

import pytest

from entente.errors import EntenteError
from pipelines.soaks import lines, memory, serving
from pipelines.soaks.memory import Memory, Used

MODEL, TEXT = Path("artifacts/model"), Path("data/prepared/test.en")


def test_every_line_comes_out_as_it_did_before(there: Path) -> None:
    found = lines.soak(70, 1, there / MODEL, there / TEXT)
    assert (found.lines, found.otherwise) == (70, 0)
    assert found.memory.peak > 100


def test_lines_that_are_lost_are_told(there: Path, tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match="of 5 lines 0 came out, with exit status 1"):
        lines.soak(5, 1, tmp_path, there / TEXT)


def test_visitors_are_answered_each_kind_as_it_is_to_be(there: Path) -> None:
    found = serving.soak(0.1, 8, there / MODEL, there / TEXT)
    everything = found.requests.pop(serving.ALL)
    assert everything.number == sum(kind.number for kind in found.requests.values()) > 8
    assert everything.failed == 0
    assert found.requests.keys() <= {"sentence", "batch", "attention", "page", "nonsense"}
    assert everything.milliseconds == sorted(everything.milliseconds)


def test_visitors_of_a_server_that_does_not_come_up_are_none(there: Path, tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match="ended before it served"):
        serving.soak(0.1, 1, tmp_path, there / TEXT)


def test_memory_that_grows_is_told_from_memory_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "EVERY", 0.02)
    grows, stays = (
        f"import time; kept = [bytearray(1 << 20)]\nfor _ in range(60): time.sleep(0.02); {what}"
        for what in ("kept.append(bytearray(1 << 20))", "pass")
    )
    used = []
    for program in (grows, stays):
        with subprocess.Popen([sys.executable, "-c", program]) as process, Memory(process.pid) as watched:
            process.wait()
        used.append(watched.used())
    assert [one.is_flat for one in used] == [False, True]
    assert used[0].peak > used[1].peak + 20


def test_what_settles_at_first_is_no_growth() -> None:
    assert Used(100.0, 104.0, 110.0).is_flat
    assert not Used(100.0, 106.0, 106.0).is_flat
