from pathlib import Path

import pytest

from entente.errors import EntenteError
from pipelines.parameters import read
from pipelines.tracked_run import data_hash


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("content", ["model: {", "word", "a: ${b}", "a: ${b", "day: 2001-99-99", "model: \0", "- 1"])
def test_parameters_that_cannot_be_read_are_named(root: Path, content: str) -> None:
    (root / "params.yaml").write_text(content)
    with pytest.raises(EntenteError, match=r"(?s)^params\.yaml .*dvc repro compose"):
        read("model.width")


@pytest.mark.parametrize("content", ["stages: {", "", "[]", "stages: []", "stages: {train: {outs: [1]}}", "a: \0"])
def test_a_lock_that_cannot_be_read_is_named(root: Path, content: str) -> None:
    (root / "dvc.lock").write_text(content)
    with pytest.raises(EntenteError, match=r"^dvc\.lock is not readable"):
        data_hash(Path("data/prepared"))


def test_the_hash_of_what_dvc_made_is_found(root: Path) -> None:
    assert data_hash(Path("data/prepared")) == "not in dvc.lock"
    (root / "dvc.lock").write_text("stages: {prepare: {outs: [{path: data/prepared, md5: abc.dir}]}}")
    assert data_hash(Path("data/prepared")) == "abc.dir"
    assert data_hash(Path("data/raw")) == "not in dvc.lock"
