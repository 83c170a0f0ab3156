"""A peer: the Marian Transformer of Hugging Face's library, of the same shape, as its users would run it."""

from typing import Any

from torch import Tensor, nn
from transformers import MarianConfig, MarianMTModel
from transformers.utils import logging

from entente.text.batches import Batch
from entente.text.subwords import BOS, EOS, PAD
from pipelines.benchmarks.yardstick import plain_loss

logging.set_verbosity_error()


class Marian(nn.Module):
    """A MarianMTModel with one table of embeddings and sinusoids."""

    def __init__(
        self, *, vocabulary: int, width: int, hidden: int, heads: int, layers: tuple[int, int], dropout: float
    ) -> None:
        super().__init__()
        sides = {"encoder": layers[0], "decoder": layers[1]}
        shape: dict[str, Any] = {f"{side}_layers": number for side, number in sides.items()}
        shape |= {f"{side}_ffn_dim": hidden for side in sides}
        shape |= {f"{side}_attention_heads": heads for side in sides}
        special: dict[str, Any] = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}
        config = MarianConfig(
            vocab_size=vocabulary,
            d_model=width,
            dropout=dropout,
            activation_function="relu",
            scale_embedding=True,
            max_position_embeddings=512,
            decoder_start_token_id=BOS,
            forced_eos_token_id=None,
            **shape,
            **special,
        )
        self.network = MarianMTModel(config)

    def loss(self, batch: Batch, smoothing: float) -> Tensor:
        """Return the smoothed cross-entropy of a batch."""
        out = self.network(
            input_ids=batch.src,
            attention_mask=batch.src_mask[:, 0, 0].long(),
            decoder_input_ids=batch.tgt_in,
            use_cache=False,
        )
        return plain_loss(out.logits, batch, smoothing)

    def write(self, src: Tensor, beam: int, length: int) -> Tensor:
        """Write `length` pieces for each of src (B, S) -> (B, length)."""
        ids: Tensor = self.network.generate(
            input_ids=src,
            attention_mask=(src != PAD).long(),
            num_beams=beam,
            do_sample=False,
            min_new_tokens=length,
            max_new_tokens=length,
        )
        return ids[:, 1:]
