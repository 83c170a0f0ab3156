"""Masks, by one convention everywhere: True = may attend. They broadcast to (B, H, Q, S), queries by keys."""

import torch
from torch import Tensor


class Causal:
    """Word t may attend to words up to and including t (Vaswani et al. 2017, section 3.2.3).

    A rule, which fused kernels know: laid out, it is as large as the square of a sentence's length.
    """

    def laid_out(self, queries: int, keys: int, device: torch.device | None = None) -> Tensor:
        """Return the mask as a table (1, 1, Q, S)."""
        return torch.ones(queries, keys, dtype=torch.bool, device=device).tril()[None, None]


Mask = Tensor | Causal  # a tensor is bool, or holds scores to add

CAUSAL = Causal()


def padding_mask(ids: Tensor, pad: int) -> Tensor:
    """Let every query attend to every word but padding: ids (B, S) -> (B, 1, 1, S)."""
    return (ids != pad)[:, None, None, :]


def laid_out(mask: Mask | None, q: Tensor, k: Tensor) -> Tensor | None:
    """Return a mask as a tensor, for q (B, H, Q, K) and k (B, H, S, K)."""
    return mask.laid_out(q.shape[2], k.shape[2], q.device) if isinstance(mask, Causal) else mask
