import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from entente.errors import EntenteError, for_people


def fail(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return for_people(main)


def test_a_persons_error_is_one_line_and_a_failure() -> None:
    with pytest.raises(SystemExit) as end:
        fail(EntenteError("the corpus is empty; add lines"))()
    assert end.value.code == "error: the corpus is empty; add lines"  # a text exits with status 1


def test_ctrl_c_exits_130_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        fail(KeyboardInterrupt())()
    assert end.value.code == 130
    assert "what was finished is kept" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_as_such() -> None:
    @for_people
    def main() -> None:
        with open("/dev/full", "w") as file:
            file.write("x")

    with pytest.raises(SystemExit, match="No space left on device"):
        main()


def test_a_file_that_may_grow_no_further_is_told_as_such() -> None:
    with pytest.raises(SystemExit, match=r"cannot write \(out\): File too large"):
        fail(OSError(errno.EFBIG, os.strerror(errno.EFBIG), "out"))()


def test_a_scheduler_that_asks_to_stop_lets_the_program_tidy_up(tmp_path: Path) -> None:
    @for_people
    def main() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            (tmp_path / "tidied up").touch()

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 143
    assert (tmp_path / "tidied up").exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_library_makes_of_being_interrupted_is_no_error() -> None:
    @for_people
    def main() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise KeyError("half of it is missing")

    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 143


def test_a_programmers_error_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())()
    with pytest.raises(FileNotFoundError):
        fail(FileNotFoundError(2, "absent"))()


def test_what_goes_well_is_left_alone() -> None:
    for_people(lambda: None)()
