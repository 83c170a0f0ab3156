"""Training speed: real target pieces a second, of whole updates on real batches."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entente.memory import keep_memory
from entente.model import maps
from entente.model.attention import AttentionCore
from entente.model.dropout import Dropout
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build
from entente.text.batches import Batch, collate
from entente.text.subwords import PAD
from entente.tracking.store import root
from entente.training.loss import LabelSmoothedCrossEntropy
from entente.training.parallel_data import ParallelData
from pipelines.benchmarks.case import DTYPES, SIZES, Case, Timing, matrix_rate, operations, peak_memory, serve, windows
from pipelines.benchmarks.yardstick import Tutorial, plain_loss
from pipelines.compose import CONF, compose, plain

UPDATES, ROUNDS = 5, 3  # the same updates in every window, so that windows differ by the machine alone
SENTENCES = 128  # in a batch of the yardstick, drawn at random as tutorials do


def measure(case: Case) -> Timing:
    """Time updates by the case's system."""
    torch.manual_seed(1)
    settings = plain(compose([f"recipe={case.recipe}", *SIZES[case.size]], root() / CONF))
    ids = case.folder / "data/encoded"
    shape = {"tokens": case.tokens, "accumulate": case.accumulate}
    data = ParallelData(ids, **shape, workers=0, seed=1, languages=("en", "fr"))
    smoothing = float(settings["training"]["smoothing"])
    network = other(case.system, settings["model"], settings["subwords"]["vocabulary"])
    rows = data.batches.epoch(0)[: case.accumulate * UPDATES]
    losses: Callable[[Batch], Tensor]
    if network is None:
        network = build(settings["model"], settings["subwords"]["vocabulary"])
        losses = (_by_logits if case.without == "loss" else _ours)(network, smoothing)
        _slow_down(network, case.without)
    else:
        losses = partial(network.loss, smoothing=smoothing)
    if case.system == "torch" or case.without == "sorting":
        rows = at_random(len(data.train))
    if case.system in ("entente", "marian_kept") and case.without != "memory":
        keep_memory()
    network.to(case.device).train()
    update = _update(network, losses, case)
    batches = [collate([data.train[row] for row in batch]).to(case.device) for batch in rows]
    updates = [batches[start : start + case.accumulate] for start in range(0, len(batches), case.accumulate)]

    def work() -> float:
        return sum(update(own) for own in updates)

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
    drawn = np.random.default_rng(1).permutation(pairs)[: UPDATES * SENTENCES]
    return [drawn[start : start + SENTENCES].tolist() for start in range(0, len(drawn), SENTENCES)]


def _ours(network: Seq2Seq, smoothing: float) -> Callable[[Batch], Tensor]:
    loss = LabelSmoothedCrossEntropy(smoothing=smoothing, ignored=PAD)

    def of(batch: Batch) -> Tensor:
        x = network.read(batch.tgt_in, network.encode(batch.src, batch.src_mask), batch.src_mask)
        found: Tensor = loss(x, network.embedding.weight, batch.tgt_out)
        return found

    return of


def _by_logits(network: Seq2Seq, smoothing: float) -> Callable[[Batch], Tensor]:
    return lambda batch: plain_loss(network(batch.src, batch.src_mask, batch.tgt_in), batch, smoothing)


def _slow_down(network: nn.Module, without: str) -> None:
    """Take products by oneDNN, PyTorch's fused attention or our dropout from a network."""
    if without == "onednn":
        maps.onednn_is_faster = lambda: False  # type: ignore[assignment]
    for module in network.modules():
        if without == "attention" and isinstance(module, AttentionCore):
            module.forward = partial(AttentionCore.forward, module)  # type: ignore[method-assign]
        if without == "dropout" and isinstance(module, Dropout):
            module.forward = partial(F.dropout, p=module.rate)  # type: ignore[method-assign]


def _update(network: nn.Module, losses: Callable[[Batch], Tensor], case: Case) -> Callable[[Sequence[Batch]], float]:
    fused = case.system == "entente" and case.without != "fused_adam"
    adam = torch.optim.Adam(network.parameters(), 1e-4, fused=fused)

    def update(batches: Sequence[Batch]) -> float:
        adam.zero_grad()
        for batch in batches:
            with torch.autocast(case.device, DTYPES[case.precision], enabled=case.precision != "fp32"):
                loss = losses(batch) / len(batches)
            torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        return float(sum(batch.words for batch in batches))

    return update


def other(system: str, model: dict[str, Any], vocabulary: int) -> Any:
    """Build another system's network in the shape of one of our configurations; nothing for ours."""
    layers = model["encoder_layers"], model["decoder_layers"]
    shape = {name: model[name] for name in ("width", "hidden", "heads", "dropout")}
    if system == "torch":
        return Tutorial(vocabulary=vocabulary, layers=layers, **shape)
    if system.startswith("marian"):
        from pipelines.benchmarks.marian import Marian  # its library is no dependency of ours

        return Marian(vocabulary=vocabulary, layers=layers, **shape)
    if system == "eole":
        from pipelines.benchmarks.eole import Eole  # nor is this one's

        return Eole(vocabulary=vocabulary, layers=layers, **shape)
    return None


def real_share(batches: Sequence[Batch]) -> float:
    """Return which share of the positions of batches, sources and targets, is no padding."""
    sides = [side for batch in batches for side in (batch.src, batch.tgt_out)]
    return float(sum(int((side != PAD).sum()) for side in sides)) / sum(side.numel() for side in sides)


if __name__ == "__main__":
    serve(measure)
