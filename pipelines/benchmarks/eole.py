"""A peer: the Transformer of Eole, the successor of OpenNMT-py, of the same shape, as its users would run it."""

from typing import Any

import torch
import torch.nn.functional as F
from eole.config.models import build_model_config
from eole.config.run import PredictConfig
from eole.config.training import TrainingConfig
from eole.constants import DefaultTokens
from eole.inputters.inputter import dict_to_vocabs
from eole.models.model import get_model_class
from eole.predict import GNMTGlobalScorer, Translator
from eole.utils.logging import logger
from torch import Tensor, nn

from entente.text.batches import Batch
from entente.text.subwords import BOS, EOS, PAD, UNK
from pipelines.benchmarks.yardstick import plain_loss


class Eole(nn.Module):
    """An EncoderDecoderModel with one table of embeddings and sinusoids, and a Translator to write with it."""

    def __init__(
        self, *, vocabulary: int, width: int, hidden: int, heads: int, layers: tuple[int, int], dropout: float
    ) -> None:
        super().__init__()
        shape: dict[str, Any] = {
            "hidden_size": width,
            "transformer_ff": hidden,
            "heads": heads,
            "encoder": {"layers": layers[0]},
            "decoder": {"layers": layers[1]},
            "embeddings": {"word_vec_size": width},
        }
        shape |= dict.fromkeys(("share_embeddings", "share_decoder_embeddings"), True)
        shape |= dict.fromkeys(("add_qkvbias", "add_final_linear_bias", "add_ffnbias"), True)
        config = build_model_config({"architecture": "transformer", **shape})
        # Attention without dropout, as ours and Marian's.
        training = TrainingConfig(dropout=[dropout], attention_dropout=[0.0], param_init_method="xavier_uniform")
        vocabularies = _vocabularies(vocabulary)
        self.network = get_model_class(config).for_training(config, vocabularies, training, device_id=-1)
        # Named like a model of a hub, it is not looked for on the disk; lengths are ours to set, not a ratio's.
        self.predicting = PredictConfig(model_path="entente/eole", src="", max_length_ratio=0)
        self.translator = Translator(
            self.network,
            vocabularies,
            self.predicting,
            config,
            device_id=-1,
            global_scorer=GNMTGlobalScorer.from_config(self.predicting),
            report_score=False,
            logger=logger,
        )

    def loss(self, batch: Batch, smoothing: float) -> Tensor:
        """Return the smoothed cross-entropy of a batch."""
        tgt = F.pad(batch.tgt_in, (0, 1), value=PAD)  # the network leaves the last piece out by itself
        out = self.network(batch.src, tgt, None)  # lengths are for its RNNs
        return plain_loss(self.network.generator(out.dec_out), batch, smoothing)

    @torch.inference_mode()
    def write(self, src: Tensor, beam: int, length: int) -> Tensor:
        """Write `length` pieces for each of src (B, S) -> (B, length). There is no dropout any more then."""
        self.network._prepare_for_inference(self.predicting)  # eval() would leave dropout in its fused attention
        # One beam is a beam search to it as well; the best one of all is its greedy search.
        self.translator.update_settings(beam_size=beam, top_k=int(beam == 1), min_length=length, max_length=length)
        found = self.translator.predict_batch({"src": src, "srclen": (src != PAD).sum(1)}, attn_debug=False)
        return torch.stack([best[0] for best in found["predictions"]])


def _vocabularies(size: int) -> Any:
    """Return its vocabularies, numbered as ours; what it calls the pieces is all one."""
    names = {PAD: DefaultTokens.PAD, UNK: DefaultTokens.UNK, BOS: DefaultTokens.BOS, EOS: DefaultTokens.EOS}
    pieces = [names.get(number, str(number)) for number in range(size)]
    kinds = {"pad": PAD, "unk": UNK, "bos": BOS, "eos": EOS}
    special = {f"{kind}_token": names[number] for kind, number in kinds.items()}
    return dict_to_vocabs({"src": pieces, "tgt": pieces, "specials": special, "decoder_start_token": DefaultTokens.BOS})
