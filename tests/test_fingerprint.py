from pathlib import Path

import pytest

from entente.fingerprint import fingerprint


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/a.txt").write_text("a")
    Path("b.txt").write_text("b")
    return tmp_path


def now(**parameters: object) -> str:
    return fingerprint({"seed": 1, "model": {"width": 8}} | parameters, [Path("data"), Path("b.txt")])


def test_equal_inputs_have_one_fingerprint_in_any_order(tree: Path) -> None:
    assert now() == fingerprint({"model": {"width": 8}, "seed": 1}, [Path("b.txt"), Path("data")])


@pytest.mark.usefixtures("tree")
def test_every_input_counts() -> None:
    marks = {now(), now(seed=2), now(model={"width": 9})}
    Path("data/a.txt").write_text("A")
    marks.add(now())
    Path("data/a.txt").rename("data/c.txt")
    marks.add(now())
    Path("b.txt").write_text("B")
    marks.add(now())
    assert len(marks) == 6


@pytest.mark.usefixtures("tree")
def test_what_python_leaves_behind_does_not_count() -> None:
    before = now()
    Path("data/__pycache__").mkdir()
    Path("data/__pycache__/a.pyc").write_text("x")
    assert now() == before
