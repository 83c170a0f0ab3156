"""Collapse: whether a network's layers make all words of a sentence alike (Dong et al. 2021, section 2)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entente.model.layers import EncoderLayer
from entente.model.masks import padding_mask
from entente.model.seq2seq import Seq2Seq
from entente.text.subwords import EOS, PAD, Subwords


def alike(x: Tensor) -> float:
    """Return the mean cosine similarity of any two of the words x (S, D): 1 where all point the same way."""
    unit = F.normalize(x.float(), dim=-1)  # (S, D)
    pairs = (unit @ unit.T).triu(1)
    return float(pairs.sum() / max(1, len(x) * (len(x) - 1) // 2))


def rank(x: Tensor) -> float:
    """Return the effective rank of the words x (S, D), from 1 to S: exp of the entropy of their singular values.

    Roy and Vetterli 2007, section 2.
    """
    values = torch.linalg.svdvals(x.float())  # (min(S, D),)
    shares = values / values.sum()
    return float(torch.special.entr(shares).sum().exp())


@torch.inference_mode()
def collapse(network: Seq2Seq, subwords: Subwords, sources: Sequence[str]) -> dict[str, float]:
    """Return cosine similarity and effective rank after each encoder layer and in the memory, means over sentences.

    Names: `encoder.1/cosine`, `encoder.1/rank_share` (of the number of words), `memory/cosine`, ...
    """
    device = next(network.parameters()).device
    found: dict[str, list[float]] = {}
    for ids in subwords.encode(sources):
        src = torch.tensor([[*ids, EOS]], device=device)  # (1, S)
        with _outputs(network) as outputs:
            memory = network.encode(src, padding_mask(src, PAD))
        for place, x in [*outputs.items(), ("memory", memory)]:
            found.setdefault(f"{place}/cosine", []).append(alike(x[0]))
            found.setdefault(f"{place}/rank_share", []).append(rank(x[0]) / src.shape[1])
    return {name: fmean(values) for name, values in found.items()}


@contextmanager
def _outputs(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Hand out a dictionary that fills, as the network runs, with what its encoder layers put out, by layer from 1."""
    seen: dict[str, Tensor] = {}
    layers = [module for module in network.modules() if isinstance(module, EncoderLayer)]

    def see(name: str) -> Any:
        return lambda layer, inputs, output: seen.__setitem__(name, output)

    handles = [layer.register_forward_hook(see(f"encoder.{number}")) for number, layer in enumerate(layers, start=1)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
