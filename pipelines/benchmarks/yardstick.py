"""The yardstick: `torch.nn.Transformer` as tutorials use it. What it is measured for is to be plain."""

import math
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entente.model.positions import sinusoids
from entente.text.batches import Batch
from entente.text.subwords import BOS, PAD


def plain_loss(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    """Return the smoothed cross-entropy of logits (B, T, V), as PyTorch has it."""
    return F.cross_entropy(logits.flatten(0, 1), batch.tgt_out.flatten(), ignore_index=PAD, label_smoothing=smoothing)


class Tutorial(nn.Module):
    """An nn.Transformer of the same shape, with one table of embeddings and sinusoids."""

    positions: Tensor

    def __init__(
        self, *, vocabulary: int, width: int, hidden: int, heads: int, layers: tuple[int, int], dropout: float
    ) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.register_buffer("positions", sinusoids(512, width))
        self.dropout = nn.Dropout(dropout)
        self.transformer = nn.Transformer(width, heads, *layers, hidden, dropout, batch_first=True)

    def forward(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        """src (B, S), tgt_in (B, T) int64 -> logits (B, T, V)."""
        padding = src == PAD
        out = self.transformer(
            self._embed(src),
            self._embed(tgt_in),
            tgt_mask=nn.Transformer.generate_square_subsequent_mask(tgt_in.shape[1], device=src.device),
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
            tgt_is_causal=True,
        )
        return F.linear(out, self.embedding.weight)

    def loss(self, batch: Batch, smoothing: float) -> Tensor:
        """Return the smoothed cross-entropy of a batch."""
        return plain_loss(self(batch.src, batch.tgt_in), batch, smoothing)

    @torch.inference_mode()
    def write(self, src: Tensor, beam: int, length: int) -> Tensor:
        """Write `length` pieces for each of src (B, S), reading everything anew for every piece -> (B, length).

        Greedily, whatever the beam: tutorials go no further.
        """
        warnings.filterwarnings("ignore", message="The PyTorch API of nested tensors")  # its encoder's quick path
        ids = torch.full((len(src), 1), BOS, device=src.device)
        for _ in range(length):
            ids = torch.cat((ids, self(src, ids)[:, -1].argmax(1, keepdim=True)), 1)
        return ids[:, 1:]

    def _embed(self, ids: Tensor) -> Tensor:
        return self.dropout(self.embedding(ids) * math.sqrt(self.width) + self.positions[: ids.shape[1]])
