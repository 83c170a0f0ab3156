"""Greedy search: the best next piece at every step, and no scores. Quick enough to validate by."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from entente.decoding.largest import largest
from entente.errors import EntenteError
from entente.model.masks import padding_mask
from entente.model.seq2seq import Seq2Seq
from entente.text.subwords import BOS, EOS, PAD, Subwords

_ROWS = 128  # sentences in a batch: a step costs about the same for a few as for many


@torch.no_grad()
def greedy(
    network: Seq2Seq,
    src: Tensor,
    src_mask: Tensor,
    *,
    bos: int,
    eos: int,
    forbidden: Sequence[int],
    max_lengths: Tensor,
) -> list[list[int] | None]:
    """Translate src (B, S), src_mask (B, 1, 1, S) -> ids of each sentence, without BOS and EOS.

    max_lengths (B,) int64 >= 1 counts EOS. The pieces `forbidden` (padding, BOS) are never chosen. What beam search
    finds with a beam of 1, but for ties, and None for a sentence whose logits are no numbers.
    """
    state = network.start(network.encode(src, src_mask), src_mask)
    longest = int(max_lengths.max()) if len(max_lengths) else 0
    ids = src.new_full((len(src), longest), eos)  # (B, T)
    never = torch.tensor(list(forbidden), dtype=torch.int64, device=src.device)
    rows = torch.arange(len(src), device=src.device)  # (A,) the sentences still in the batch
    tokens = torch.full_like(rows, bos)
    sound = torch.ones_like(rows, dtype=torch.bool)  # (B,)
    alive = max_lengths > 1
    for position in range(longest - 1):
        living = int(alive.sum())
        if not living:
            break
        if 5 * living <= 4 * len(rows):  # moving the caches pays once a fifth of the batch is done
            kept = alive.nonzero().flatten()
            rows, tokens, alive, state = rows[kept], tokens[kept], alive[kept], state.select(kept)
        logits, state = network.step(tokens, state)  # (A, V)
        chosen = largest(logits.index_fill_(1, never, -torch.inf), 1)  # (A, 1)
        sound[rows] &= ~alive | logits.gather(1, chosen).isfinite()[:, 0]
        tokens = chosen[:, 0].masked_fill(~alive, eos)
        ids[rows, position] = tokens
        alive = alive & (tokens != eos) & (max_lengths[rows] > position + 2)
    return [row[: row.index(eos)] if good else None for row, good in zip(ids.tolist(), sound.tolist(), strict=True)]


def translate(
    network: Seq2Seq,
    subwords: Subwords,
    sentences: Sequence[str],
    device: torch.device,
    *,
    max_length_factor: float,
    max_length_offset: int,
) -> list[str]:
    """Translate sentences greedily, in batches of like lengths; order is kept, the network's mode is restored.

    A translation has at most max_length_factor x source + max_length_offset pieces, EOS counted on both sides. It is
    empty where logits are no numbers.
    """
    encoded = [[*ids, EOS] for ids in subwords.encode(sentences)]
    longest_source = max(map(len, encoded), default=0)
    if longest_source > network.max_length:
        raise EntenteError(
            f"a sentence to translate has {longest_source} pieces, this network reads at most {network.max_length}: "
            "clean such sentences out (corpus.cleaning), or train with a larger model.max_length"
        )
    order = sorted(range(len(encoded)), key=lambda number: len(encoded[number]))
    found: dict[int, list[int]] = {}
    training = network.training
    network.eval()
    for start in range(0, len(order), _ROWS):
        numbers = order[start : start + _ROWS]
        rows = [torch.tensor(encoded[number]) for number in numbers]
        src = pad_sequence(rows, batch_first=True, padding_value=PAD).to(device)  # (B, S)
        src_mask = padding_mask(src, PAD)
        longest = (src_mask.flatten(1).sum(1) * max_length_factor).long() + max_length_offset  # (B,)
        ids = greedy(
            network,
            src,
            src_mask,
            bos=BOS,
            eos=EOS,
            forbidden=(PAD, BOS),
            max_lengths=longest.clamp(max=network.max_length),
        )
        found.update(zip(numbers, (own or [] for own in ids), strict=True))
    network.train(training)
    return subwords.decode([found[number] for number in range(len(sentences))])
