"""A trained network with a part of its attention taken away: heads put out, or edges between two words cut.

Hooks on the attention cores do it from outside; when the `with` ends the network is what it was.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from entente.errors import EntenteError
from entente.evaluation.observer import cores
from entente.model.attention import AttentionCore
from entente.model.masks import laid_out

Part = tuple[str, str, str]  # kind, layer, head; `all` of them where a part is more than one head


@dataclass(frozen=True, slots=True)
class Head:
    """One head of one layer of a kind of attention; layers and heads count from 1, as figures number them."""

    kind: str
    layer: int
    head: int


def heads(network: nn.Module) -> list[Head]:
    """Return all heads: encoder self-attention, decoder self-attention, cross-attention, layer by layer."""
    return [
        Head(kind, layer, head)
        for kind, layers in cores(network).items()
        for layer, core in enumerate(layers, start=1)
        for head in range(1, core.heads + 1)
    ]


def parts(network: nn.Module) -> dict[Part, list[Head]]:
    """Return what to put out in turn, with its heads: each head, each layer's attention, each kind of attention."""
    found: dict[Part, list[Head]] = {}
    for one in heads(network):
        for name in (
            (one.kind, str(one.layer), str(one.head)),
            (one.kind, str(one.layer), "all"),
            (one.kind, "all", "all"),
        ):
            found.setdefault(name, []).append(one)
    return dict(sorted(found.items(), key=lambda entry: len(entry[1])))


@contextmanager
def without(network: nn.Module, dead: Collection[Head]) -> Iterator[None]:
    """Put out the heads `dead`: their outputs (B, H, Q, K) are 0 (Michel et al. 2019, section 2.3).

    All heads of a layer leave its attention nothing but the bias of its output map. Raises EntenteError for a head
    that the network lacks.
    """
    known = heads(network)
    for one in dead:
        if one not in known:
            there = "; ".join(f"{kind}: {len(layers)} x {layers[0].heads}" for kind, layers in cores(network).items())
            raise EntenteError(
                f"the network has no head {one.head} in layer {one.layer} of {one.kind}; "
                f"it has layers x heads: {there or 'none'}"
            )
    with ExitStack() as hooks:
        for kind, layers in cores(network).items():
            for layer, core in enumerate(layers, start=1):
                numbers = [one.head - 1 for one in dead if (one.kind, one.layer) == (kind, layer)]
                if numbers:
                    hooks.enter_context(core.register_forward_hook(partial(_put_out, numbers)))
        yield


@contextmanager
def cut(network: nn.Module, edges: Collection[tuple[int, int]], kind: str) -> Iterator[None]:
    """Hide key j from query i for each edge (i, j), in every layer and head of a kind of attention.

    Positions count pieces from 0, in every row of the batch. What each core's mask hides stays hidden. Raises
    EntenteError for a kind that the network lacks, and as it runs where an edge lies outside of the sentence or
    leaves a query no key.
    """
    found = cores(network)
    if kind not in found:
        raise EntenteError(f"this network has no {kind.replace('_', ' ')} to cut; it has {', '.join(found) or 'none'}")
    with ExitStack() as hooks:
        if edges:
            for core in found[kind]:
                hooks.enter_context(core.register_forward_pre_hook(partial(_hide, list(edges))))
        yield


def mass(weights: Tensor, queries: Sequence[int], keys: Sequence[int]) -> Tensor:
    """Return how much attention goes from a word to a word, each made of pieces: (L, H, Q, S) -> (L, H).

    The mean over its query pieces of the sum over the other's key pieces.
    """
    return weights[:, :, list(queries)][..., list(keys)].sum(-1).mean(-1)


def _put_out(numbers: list[int], core: AttentionCore, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    return output.index_fill(1, torch.tensor(numbers, device=output.device), 0.0)  # (B, H, Q, K)


def _hide(edges: list[tuple[int, int]], core: AttentionCore, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    q, k, v, rule = inputs
    mask = laid_out(rule, q, k)
    shape = q.shape[2], k.shape[2]
    outside = [edge for edge in edges if edge[0] >= shape[0] or edge[1] >= shape[1]]
    if outside:
        raise EntenteError(f"there is no edge {outside[0]} to cut among {shape[0]} queries and {shape[1]} keys")
    queries, keys = map(list, zip(*edges, strict=True))
    visible = torch.ones(shape, dtype=torch.bool, device=q.device)[None, None]  # (1, 1, Q, S)
    visible[:, :, queries, keys] = False
    if mask is None:
        mask = visible
    elif mask.dtype == torch.bool:
        mask = mask & visible
    else:
        mask = mask.masked_fill(~visible, -torch.inf)
    left = mask if mask.dtype == torch.bool else mask > -torch.inf  # (B|1, H|1, Q, S)
    if not left.any(-1)[..., queries].all():
        raise EntenteError("a word whose every edge is cut has nothing to look at: leave it at least one")
    return q, k, v, mask
