"""Moments of a training: when they are, and what is kept of them."""

from pathlib import Path

import pytest
import torch

from entente.errors import EntenteError
from entente.model.weights import load_snapshot, save, save_snapshot
from entente.training.snapshots import moments
from tests.model.networks import VOCABULARY, options, transformer


@pytest.mark.parametrize(("updates", "count"), [(1800, 8), (1800, 0), (3, 5), (1, 4), (100_000, 12)])
def test_moments_crowd_where_most_is_learnt_and_leave_out_the_end(updates: int, count: int) -> None:
    found = moments(updates, count)
    assert len(found) <= count
    assert found == sorted(set(found))
    assert all(1 <= update < updates for update in found)
    gaps = [later - earlier for earlier, later in zip([0, *found], [*found, updates], strict=True)]
    if updates > 1000:
        assert len(found) == count
        assert gaps[1:] == sorted(gaps[1:])


def test_a_snapshot_is_the_network_but_for_what_16_bits_lose(tmp_path: Path) -> None:
    network = transformer()
    save(network, {"network": options(), "vocabulary": network.vocabulary}, tmp_path)
    with torch.no_grad():
        network.embedding.weight.mul_(2)
    save_snapshot(network, tmp_path / "kept" / "0000015.safetensors")
    again = load_snapshot(tmp_path, tmp_path / "kept" / "0000015.safetensors").state_dict()
    for name, weight in network.state_dict().items():
        assert torch.equal(again[name], weight.half().float())
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["0000015.safetensors"]


def test_a_damaged_snapshot_is_named(tmp_path: Path) -> None:
    save(transformer(), {"network": options(), "vocabulary": VOCABULARY}, tmp_path)
    (tmp_path / "1.safetensors").write_bytes(b"torn")
    with pytest.raises(EntenteError, match=r"^1\.safetensors is damaged"):
        load_snapshot(tmp_path, tmp_path / "1.safetensors")
