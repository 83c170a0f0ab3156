"""An observer of attention: the cores of a network by kind, and the weights that they use as it runs.

The network runs on its fused kernels and knows nothing of it; the observer recomputes the weights from the
queries, keys and mask that each core was given.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from entente.model.attention import AttentionCore

_PLACES: Mapping[str, tuple[str, str]] = {  # kind -> where its cores stand among the network's modules
    "encoder_self_attention": ("encoder", "self_attention"),
    "decoder_self_attention": ("decoder", "self_attention"),
    "cross_attention": ("decoder", "cross_attention"),
}
KINDS = tuple(_PLACES)

Thing = TypeVar("Thing")


def cores(network: nn.Module) -> dict[str, list[AttentionCore]]:
    """Return the attention cores by kind, layer by layer; a kind that the network lacks is left out."""
    return _by_kind(dict(_cores(network)))


@contextmanager
def observe(network: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """Hand out a dictionary that fills, as the network runs, with its attention weights by module name.

    `encoder.0.self_attention.core` -> one (B, H, Q, S) for each time that it ran, rows sum to 1.
    """
    seen: dict[str, list[Tensor]] = {}
    handles = [core.register_forward_pre_hook(partial(_see, seen, name)) for name, core in _cores(network)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def stacked(seen: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    """Stack what was seen of one teacher-forced sentence or batch -> weights (L, B, H, Q, S) by kind.

    The core of an RNN runs once for each target word: its rows follow one another.
    """
    layers = _by_kind({name: torch.cat(list(runs), dim=2) for name, runs in seen.items()})  # (B, H, Q, S) each
    return {kind: torch.stack(weights) for kind, weights in layers.items()}


def _see(seen: dict[str, list[Tensor]], name: str, core: AttentionCore, inputs: tuple[Any, ...]) -> None:
    q, k, _, mask = inputs
    seen.setdefault(name, []).append(core.weights(q, k, mask).detach())


def _cores(network: nn.Module) -> list[tuple[str, AttentionCore]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, AttentionCore)]


def _by_kind(named: Mapping[str, Thing]) -> dict[str, list[Thing]]:
    kinds = {
        kind: [thing for name, thing in named.items() if name.startswith(f"{stack}.") and attention in name.split(".")]
        for kind, (stack, attention) in _PLACES.items()
    }
    return {kind: things for kind, things in kinds.items() if things}
