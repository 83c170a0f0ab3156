"""Masks, by one convention everywhere: True = may attend. They broadcast to (B, H, Q, S), queries by keys."""

import torch
from torch import Tensor


def padding_mask(ids: Tensor, pad: int) -> Tensor:
    """Let every query attend to every word but padding: ids (B, S) -> (B, 1, 1, S)."""
    return (ids != pad)[:, None, None, :]


def causal_mask(length: int, device: torch.device | None = None) -> Tensor:
    """Let word t attend to words up to and including t (Vaswani et al. 2017, section 3.2.3) -> (1, 1, T, T)."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]
