"""What Hydra is asked for, and files of parameters that are none."""

from pathlib import Path

import pytest

from entente.errors import EntenteError
from pipelines import compose, learn_subwords
from tests.rubbish.configurations import ROOT
from tests.rubbish.table import refused, table


@table(
    ("a misspelt group", "modle=tiny", "Could not override 'modle'"),
    ("an unknown option", "model=hug", "Could not find 'model/hug' Available options in 'model': base big mini"),
    ("a misspelt key", "model.widht=3", "Could not override 'model.widht'"),
    ("a list for an option", "model=[1]", "does not compose"),
    ("a value without a key", "=3", "does not compose"),
    ("a link that leads nowhere", "model.width=${nowhere}", "Interpolation key 'nowhere' not found"),
    ("a link that leads to itself", "model.width=${model.width}", "Recursive interpolation"),
    ("a value left open", "model.width=???", r"model\.width is '\?\?\?'; it should be a valid integer"),
    ("quotes that do not end", "seed='1", "does not compose"),
    ("a sum for a number", "seed=1+1", "seed is '1\\+1'; it should be a valid integer"),
    (
        "an ingredient of another network",
        "model=rnn +model.encoder_positions.kind=rotary",
        "has no option encoder_posi",
    ),
    (
        "muon that never forgets",
        "training/optimizer=muon training.optimizer.momentum=1",
        "momentum is 1; it should be less",
    ),
    (
        "agreement at a price below 0",
        "training/loss=r_drop training.loss.weight=-1",
        "weight is -1; it should be at least 0",
    ),
)
def test_an_override(put_in: str, said: str) -> None:
    with pytest.raises(EntenteError, match=said):
        compose.check(compose.compose(put_in.split(), ROOT / "conf"))


@table(
    ("YAML that does not end", b"model: {width: 3", "params.yaml cannot be read .*`dvc repro compose` writes it anew"),
    ("a key twice", b"seed: 1\nseed: 2\n", "cannot be read .*duplicate key seed"),
    ("a list", b"- 1\n- 2\n", "params.yaml holds no groups of options"),
    ("a word", b"hello", "params.yaml has no entry `subwords`"),
    ("nothing at all", b"", "params.yaml has no entry `subwords`: `dvc repro compose`"),
    ("bytes of another encoding", "subwords: é".encode("latin-1"), "params.yaml cannot be read .*`dvc repro compose`"),
    (
        "a Python object",
        b"subwords: !!python/object/apply:os.getcwd []",
        "cannot be read .*could not determine a constr",
    ),
    ("a link to itself", b"subwords: ${subwords}", "params.yaml cannot be read .*ecursive interpolation"),
    ("a billion laughs", b"a: &a [x, x]\nb: &b [*a, *a]\nsubwords: *b", r"subwords is \[\[.*; it should be a group"),
)
def test_a_file_of_parameters(put_in: bytes, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes(put_in)
    with refused(said):
        learn_subwords.main()
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_folder_of_parameters_is_told_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").mkdir()
    with refused(r"params\.yaml cannot be read .*Is a directory"):
        learn_subwords.main()
