"""Translation speed: sentences a second, from text to text, every translation forced to one length."""

from typing import Any

import torch
from torch import Tensor

from entente.decoding.translator import Decoding, Translator
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build
from entente.options import construct
from entente.text.batches import pad
from entente.text.corpus import read_lines
from entente.text.subwords import EOS, PAD, Subwords
from entente.tracking.store import root
from pipelines.benchmarks.case import SIZES, Case, Timing, matrix_rate, operations, peak_memory, serve, windows
from pipelines.benchmarks.training import tutorial
from pipelines.compose import CONF, compose, plain

SENTENCES, BATCH, LENGTH, ROUNDS = 1000, 64, 20, 5  # of the validation set; a batch; pieces of a translation


def measure(case: Case) -> Timing:
    """Time translations by the case's system, with random weights."""
    torch.manual_seed(1)
    settings = plain(compose([f"recipe={case.recipe}", *SIZES[case.size]], root() / CONF))
    subwords = Subwords(case.folder / "artifacts/subwords/subwords.model")
    sentences = list(read_lines(case.folder / "data/prepared/val.en"))[:SENTENCES]
    real = 1.0
    if case.system == "entente":
        network = build(settings["model"], settings["subwords"]["vocabulary"])
        forced = {"beam": case.beam, "max_length_factor": 0.0, "max_length_offset": LENGTH}
        decoding = construct(Decoding, settings["decoding"] | forced, "decoding")
        translator = Translator(never_ending(network), subwords, decoding, torch.device(case.device))

        def work() -> float:
            return float(len(list(translator.translate(sentences))))

    else:
        yardstick = tutorial(settings["model"], settings["subwords"]["vocabulary"]).to(case.device).eval()
        batches = [
            pad([[*ids, EOS] for ids in subwords.encode(sentences[start : start + BATCH])]).to(case.device)
            for start in range(0, len(sentences), BATCH)
        ]
        real = sum(int((src != PAD).sum()) for src in batches) / sum(src.numel() for src in batches)

        def work() -> float:
            for src in batches:
                subwords.decode(yardstick.greedy(src, LENGTH).tolist())
            return float(len(sentences))

    found = windows(work, rounds=ROUNDS, device=case.device)
    return Timing(found, operations(work), real, matrix_rate(case.device, case.precision), peak_memory(case.device))


def never_ending(network: Seq2Seq) -> Seq2Seq:
    """Keep a network from ending a sentence of itself, so that all systems write as much."""
    step = network.step

    def unending(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        logits, state = step(tokens, state)
        return logits.index_fill(1, torch.tensor([EOS], device=logits.device), -1e4), state

    network.step = unending  # type: ignore[method-assign]
    return network


if __name__ == "__main__":
    serve(measure)
