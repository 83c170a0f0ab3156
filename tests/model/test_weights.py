import resource
from pathlib import Path

import pytest
import torch

from entente.errors import EntenteError
from entente.model import weights
from tests.model.networks import VOCABULARY, options, prefixes, sentences, transformer


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    weights.save(transformer(), {"network": options(), "vocabulary": VOCABULARY}, tmp_path)
    return tmp_path


def test_what_is_loaded_computes_what_was_saved(saved: Path) -> None:
    src, src_mask = sentences([4, 6])
    loaded = weights.load(saved)
    assert not loaded.training
    assert torch.equal(loaded(src, src_mask, prefixes(2, 3)), transformer()(src, src_mask, prefixes(2, 3)))


def test_the_same_weights_are_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    weights.save(transformer(), {"network": options(), "vocabulary": VOCABULARY}, tmp_path / "again")
    for name in ("weights.safetensors", "config.json"):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_loading_leaves_random_numbers_alone(saved: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    weights.load(saved)
    assert torch.equal(torch.rand(1), expected)


def test_no_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match="dvc repro"):
        weights.load(tmp_path / "nowhere")


def test_missing_weights_are_named(saved: Path) -> None:
    (saved / "weights.safetensors").unlink()
    with pytest.raises(EntenteError, match=r"weights\.safetensors is missing"):
        weights.load(saved)


def test_truncated_weights_are_an_error(saved: Path) -> None:
    file = saved / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(EntenteError, match="damaged"):
        weights.load(saved)


def test_weights_of_another_network_are_an_error(saved: Path) -> None:
    config = (saved / "config.json").read_text()
    (saved / "config.json").write_text(config.replace('"encoder_layers": 2', '"encoder_layers": 3'))
    with pytest.raises(EntenteError, match="does not belong"):
        weights.load(saved)


@pytest.mark.parametrize("broken", ["{", '{"network": {}}', "[]", '{"network": 3, "vocabulary": 31}', "[" * 100_000])
def test_a_broken_configuration_is_an_error(saved: Path, broken: str) -> None:
    (saved / "config.json").write_text(broken)
    with pytest.raises(EntenteError, match=r"config\.json"):
        weights.load(saved)


def test_weights_that_do_not_fit_the_disk_are_an_error_of_the_system(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as end:
            weights.save_snapshot(transformer(), tmp_path / "moment.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(tmp_path / "moment.safetensors") in end.value.filename
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("key", "value"), [("width", -16), ("heads", 0), ("max_length", 2**62)])
def test_a_network_that_cannot_be_is_an_error(key: str, value: int) -> None:
    with pytest.raises(EntenteError):
        weights.build(options(**{key: value}), VOCABULARY)
