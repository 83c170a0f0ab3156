"""The speed of networks side by side: the baseline and the RNNs, or what other experiments make.

Each network has the size that its experiment gives it, random weights and random sentences. Training: real target
tokens a second of whole updates, by the length of the sentences. Decoding: sentences a second at batches of 1 and 64,
every one forced to 20 pieces. The networks take turns, so that whatever else the machine does meets all alike; the
median of the rounds counts. The table goes to MLflow and to ablations/benchmarks/networks.csv.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
from torch import nn
from tqdm import tqdm

from entente.evaluation.report import columns, write_table
from entente.memory import keep_memory
from entente.model.masks import padding_mask
from entente.model.seq2seq import Seq2Seq
from entente.model.weights import build
from entente.text.subwords import BOS, EOS, PAD
from entente.tracking.runs import KIND
from entente.tracking.store import root
from entente.training.loss import LabelSmoothedCrossEntropy
from pipelines.compose import CONF, compose, plain
from pipelines.job import FOLDER
from pipelines.tracked_run import open_runs

NETWORKS = ("baseline", "gru", "gru_additive", "gru_dot", "gru_general", "lstm", "lstm_additive", "lstm_general")
LENGTHS, TOKENS = (5, 10, 20, 40, 80, 160), 2048
BATCHES, FORCED = (1, 64), 20
ROUNDS, AT_LEAST = 5, 0.3  # of each figure so many rounds, of at least so many seconds

Measure = Callable[[], float]


def measure(names: Sequence[str]) -> None:
    """Measure the networks of these experiments, and print, write and log the table."""
    keep_memory()
    torch.manual_seed(1)
    measures: dict[tuple[str, str], Measure] = {}
    for name in names:
        composed = plain(compose([f"experiment={name}"], root() / CONF))
        network = build(composed["model"], composed["subwords"]["vocabulary"])
        for length in LENGTHS:
            measures[name, f"training length {length} tokens per second"] = training(network, length)
        for batch in BATCHES:
            measures[name, f"decoding batch {batch} sentences per second"] = decoding(network, batch)
    found: dict[tuple[str, str], list[float]] = {key: [] for key in measures}
    for _ in tqdm(range(ROUNDS), "measuring", unit=" rounds"):
        for key, measure in measures.items():
            found[key].append(measure())
    figures = list(dict.fromkeys(figure for _, figure in measures))
    rows = [[name, *(median(found[name, figure]) for figure in figures)] for name in names]
    table = root() / FOLDER / "benchmarks" / "networks.csv"
    write_table(table, ["network", *figures], rows)
    print(
        "\n".join(columns([["network", *figures], *([str(row[0]), *(f"{x:,.0f}" for x in row[1:])] for row in rows)]))
    )
    _log(table, found)


def _log(table: Path, found: dict[tuple[str, str], list[float]]) -> None:
    runs = open_runs(compose([], root() / CONF).tracking)
    settings = {"threads": torch.get_num_threads(), "rounds": ROUNDS, "tokens": TOKENS, "forced": FORCED}
    with runs.train("benchmark", "benchmark", settings, {KIND: "benchmark"}, resume=False) as run:
        for number in range(ROUNDS):
            run.metrics({f"{name}/{figure}": values[number] for (name, figure), values in found.items()}, step=number)
        run.artifact(table)


class Lesson(nn.Module):
    """A network and one batch of random sentences of `length` pieces; called, it gives the loss ()."""

    def __init__(self, network: Seq2Seq, length: int) -> None:
        super().__init__()
        self.network = network
        self._loss = LabelSmoothedCrossEntropy(smoothing=0.1, ignored=PAD)
        self._batch = _sentences(network.vocabulary, max(1, TOKENS // length), length)
        self.tokens = self._batch[-1].numel()

    def forward(self) -> torch.Tensor:
        """Return the loss of the batch."""
        src, src_mask, tgt_in, tgt_out = self._batch
        x = self.network.read(tgt_in, self.network.encode(src, src_mask), src_mask)
        found: torch.Tensor = self._loss(x, self.network.embedding.weight, tgt_out)
        return found


def training(network: Seq2Seq, length: int) -> Measure:
    """Return what measures the target tokens a second of updates on sentences of this length (pieces)."""
    again = update(network, length)
    return lambda: _rate(again)


def update(network: Seq2Seq, length: int) -> Callable[[], int]:
    """Return what updates a network on one batch of such sentences, and says how many target tokens that were."""
    adam = torch.optim.Adam(network.parameters(), fused=True)
    lesson = Lesson(network, length)

    def once() -> int:
        lesson.train()
        adam.zero_grad()
        lesson().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        return lesson.tokens

    return once


def decoding(network: Seq2Seq, batch: int) -> Measure:
    """Return what measures how many sentences a second are written, `batch` at a time, of 20 pieces each."""
    src, src_mask, _, _ = _sentences(network.vocabulary, batch, FORCED)

    @torch.inference_mode()
    def write() -> int:
        network.eval()
        state = network.start(network.encode(src, src_mask), src_mask)
        tokens = torch.full((batch,), BOS)
        for _ in range(FORCED):
            logits, state = network.step(tokens, state)
            tokens = logits.argmax(1)
        return batch

    return lambda: _rate(write)


def _sentences(vocabulary: int, rows: int, length: int) -> Sequence[torch.Tensor]:
    src = torch.randint(EOS + 1, vocabulary, (rows, length))
    tgt_out = torch.randint(EOS + 1, vocabulary, (rows, length))
    tgt_in = torch.cat((torch.full((rows, 1), BOS), tgt_out[:, :-1]), 1)
    return src, padding_mask(src, PAD), tgt_in, tgt_out


def _rate(work: Callable[[], int]) -> float:
    """Return how much `work` does a second: once to warm up, then for `AT_LEAST` seconds."""
    work()
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < AT_LEAST:
        done += work()
    return done / elapsed
