"""Training speed: real target pieces a second, of whole updates on real batches."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from entente.memory import keep_memory
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build
from entente.text.batches import Batch, collate
from entente.text.subwords import PAD
from entente.tracking.store import root
from entente.training.loss import LabelSmoothedCrossEntropy
from entente.training.parallel_data import ParallelData
from pipelines.benchmarks.case import DTYPES, SIZES, Case, Timing, matrix_rate, operations, peak_memory, serve, windows
from pipelines.benchmarks.yardstick import Tutorial
from pipelines.compose import CONF, compose, plain

BATCHES, ROUNDS = 8, 5  # the same batches in every window, so that windows differ by the machine alone
SENTENCES = 128  # in a batch of the yardstick, drawn at random as tutorials do


def measure(case: Case) -> Timing:
    """Time updates by the case's system."""
    torch.manual_seed(1)
    settings = plain(compose([f"recipe={case.recipe}", *SIZES[case.size]], root() / CONF))
    ids = case.folder / "data/encoded"
    data = ParallelData(ids, tokens=case.tokens, accumulate=1, workers=0, seed=1, languages=("en", "fr"))
    smoothing = float(settings["training"]["smoothing"])
    network: nn.Module
    if case.system == "entente":
        network = build(settings["model"], settings["subwords"]["vocabulary"])
        losses, rows = _ours(network, smoothing), data.batches.epoch(0)[:BATCHES]
        keep_memory()
    else:
        network = tutorial(settings["model"], settings["subwords"]["vocabulary"])
        losses, rows = partial(network.loss, smoothing=smoothing), at_random(len(data.train))
    network.to(case.device).train()
    update = _update(network, losses, case)
    batches = [collate([data.train[row] for row in batch]).to(case.device) for batch in rows]

    def work() -> float:
        return sum(update(batch) for batch in batches)

    found = windows(work, rounds=ROUNDS, device=case.device)
    return Timing(
        found,
        operations(work),
        real_share(batches),
        matrix_rate(case.device, case.precision),
        peak_memory(case.device),
    )


def at_random(pairs: int) -> list[list[int]]:
    """Return batches of any sentences, as tutorials make them."""
    drawn = np.random.default_rng(1).permutation(pairs)[: BATCHES * SENTENCES]
    return [drawn[start : start + SENTENCES].tolist() for start in range(0, len(drawn), SENTENCES)]


def _ours(network: Seq2Seq, smoothing: float) -> Callable[[Batch], Tensor]:
    loss = LabelSmoothedCrossEntropy(smoothing=smoothing, ignored=PAD)

    def of(batch: Batch) -> Tensor:
        x = network.read(batch.tgt_in, network.encode(batch.src, batch.src_mask), batch.src_mask)
        found: Tensor = loss(x, network.embedding.weight, batch.tgt_out)
        return found

    return of


def _update(network: nn.Module, losses: Callable[[Batch], Tensor], case: Case) -> Callable[[Batch], float]:
    adam = torch.optim.Adam(network.parameters(), 1e-4, fused=case.system == "entente")

    def update(batch: Batch) -> float:
        adam.zero_grad()
        with torch.autocast(case.device, DTYPES[case.precision], enabled=case.precision != "fp32"):
            loss = losses(batch)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        return float((batch.tgt_out != PAD).sum())

    return update


def tutorial(model: dict[str, Any], vocabulary: int) -> Tutorial:
    """Build the yardstick in the shape of one of our configurations."""
    layers = model["encoder_layers"], model["decoder_layers"]
    shape = {name: model[name] for name in ("width", "hidden", "heads", "dropout")}
    return Tutorial(vocabulary=vocabulary, layers=layers, **shape)


def real_share(batches: Sequence[Batch]) -> float:
    """Return which share of the positions of batches, sources and targets, is no padding."""
    sides = [side for batch in batches for side in (batch.src, batch.tgt_out)]
    return float(sum(int((side != PAD).sum()) for side in sides)) / sum(side.numel() for side in sides)


if __name__ == "__main__":
    serve(measure)
