"""What holds of a network exactly, whatever it has learnt: as a largest deviation, in float64."""

from pathlib import Path

import torch

from entente.model.attention import AttentionCore
from entente.model.masks import padding_mask
from entente.model.weights import load


def permuted_difference(model: Path) -> float:
    """Return how far the memory of a permuted source is from the permuted memory, at most, in float64."""
    network = load(model).double()
    random = torch.Generator().manual_seed(1)
    src = torch.randint(4, network.vocabulary, (64, 12), generator=random)
    order = torch.randperm(12, generator=random)
    mask = padding_mask(src, 0)
    with torch.inference_mode():
        return float((network.encode(src[:, order], mask) - network.encode(src, mask)[:, order]).abs().max())


def nonlinearity(model: Path) -> float:
    """Return how far attention, its queries and keys held fixed, is from linear in the values, at most, in float64."""
    network = load(model).double()
    random = torch.Generator().manual_seed(1)
    furthest = 0.0
    for core in (module for module in network.modules() if isinstance(module, AttentionCore)):
        q, k, v, w = (
            torch.randn(2, core.heads, 9, core.width, generator=random, dtype=torch.float64) for _ in range(4)
        )
        with torch.inference_mode():
            apart = core(q, k, 2 * v - 3 * w, None) - 2 * core(q, k, v, None) + 3 * core(q, k, w, None)
        furthest = max(furthest, float(apart.abs().max()))
    return furthest
