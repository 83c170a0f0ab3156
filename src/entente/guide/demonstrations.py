"""What the trained model itself shows of each ingredient: numbers to follow by hand, and what a part is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entente.decoding.translator import Translator
from entente.evaluation.attention_maps import readable
from entente.evaluation.observer import cores
from entente.model import weights
from entente.model.feed_forward import FeedForward
from entente.model.masks import padding_mask
from entente.model.positions import sinusoids
from entente.model.seq2seq import Seq2Seq
from entente.text.subwords import BOS, EOS, PAD
from entente.text.words import find, words

RELATIVE, VERB, NOUN = "The cat, which is fluffy, sleeps.", "sleeps", "cat"
CHASED, REVERSED = "The dog chased the cat.", "The cat chased the dog."


@dataclass(frozen=True)
class Look:
    """What one head makes of one query, K numbers wide, over S keys; layers and heads count from 1."""

    layer: int
    head: int
    pieces: Sequence[str]  # (S,)
    query: int  # whose piece looks
    key: int  # at whose piece it was asked to look
    q: Tensor  # (K,)
    k: Tensor  # (S, K)
    products: Tensor  # (S,) of q and each key
    weights: Tensor  # (S,)
    output: Tensor  # (K,) the mean of values by these weights
    apart: float  # from what the network computed on its fused kernel, at most
    every: Tensor  # (L, H, S, S) weights of all heads


@torch.inference_mode()
def look(translator: Translator, sentence: str, query: str, key: str) -> Look:
    """Follow the head of the encoder, and the piece of a word, that look most at another word, step by step."""
    src = _source(translator, sentence)
    pieces = translator.subwords.pieces(src[0].tolist())
    own, other = (find(words(pieces), name).positions for name in (query, key))
    given = [one[0] for one in _caught(translator.network, cores(translator.network)["encoder_self_attention"], src)]
    every = torch.stack([core.weights(q, k, mask)[0] for core, (q, k, _, mask), _ in given])  # (L, H, S, S)
    asked = every[:, :, list(own)][..., other[0]]  # (L, H, pieces of the query)
    layer, head, piece = (int(place) for place in torch.unravel_index(asked.argmax(), asked.shape))
    asks = own[piece]
    _, (q, k, v, _), out = given[layer]
    q, k, v = q[0, head, asks], k[0, head], v[0, head]  # (K,), (S, K), (S, K)
    products = k @ q  # (S,)
    shares = (products / q.shape[0] ** 0.5).softmax(0)  # (S,)
    output = shares @ v  # (K,)
    apart = float((output - out[0, head, asks]).abs().max())
    return Look(layer + 1, head + 1, readable(pieces), asks, other[0], q, k, products, shares, output, apart, every)


@torch.inference_mode()
def neighbours(translator: Translator, named: Sequence[str], count: int) -> dict[str, list[tuple[str, float]]]:
    """Return, of words that are one piece, the pieces whose embeddings point most nearly the same way: cosines."""
    unit = F.normalize(translator.network.embedding.weight, dim=-1)  # (V, D)
    found = {}
    for name, ids in zip(named, translator.subwords.encode(named), strict=True):
        if len(ids) == 1:
            cosines, order = (unit @ unit[ids[0]]).topk(count + 1)
            pieces = readable(translator.subwords.pieces(order.tolist()))
            found[name] = list(zip(pieces, cosines.tolist(), strict=True))[1:]  # the first is the word itself
    return found


@torch.inference_mode()
def kindred(translator: Translator, nouns: Mapping[str, bool]) -> tuple[int, float, float]:
    """Return how many of the English nouns are one piece, the share of them whose nearest neighbour has the same mark
    (feminine in French or not), and the share of all pairs of them that have.
    """
    encoded = zip(nouns.values(), translator.subwords.encode(list(nouns)), strict=True)
    marks, rows = zip(*((mark, ids[0]) for mark, ids in encoded if len(ids) == 1), strict=True)
    same = torch.tensor(marks)[:, None] == torch.tensor(marks)  # (n, n)
    unit = F.normalize(translator.network.embedding.weight[list(rows)], dim=-1)  # (n, D)
    nearest = (unit @ unit.T).fill_diagonal_(-torch.inf).argmax(1)  # (n,)
    count = len(marks)
    shared = same[torch.arange(count), nearest].double().mean()
    return count, float(shared), float((same.sum() - count) / (count * (count - 1)))


@dataclass(frozen=True)
class Reordered:
    """How far the memory of a sentence (rows) is from that of the same words in another order (columns)."""

    rows: Sequence[str]
    columns: Sequence[str]
    apart: Tensor  # (S, S) relative to the length of the vectors

    @property
    def nearest(self) -> float:
        """How far the word that differs most is from its own like in the other order."""
        return float(self.apart.min(1).values.max())


@torch.inference_mode()
def reordered(translator: Translator, network: Seq2Seq, sentence: str, other: str) -> Reordered:
    """Encode two orders of the same words, in float64."""
    network = network.double()
    sources = [_source(translator, text) for text in (sentence, other)]
    one, two = (network.encode(src, padding_mask(src, PAD))[0] for src in sources)  # (S, D) each
    rows, columns = (readable(translator.subwords.pieces(src[0].tolist())) for src in sources)
    # Plain differences: a matrix product would round more than the words differ.
    return Reordered(rows, columns, (one[:, None] - two[None]).norm(dim=-1) / one.norm(dim=-1).mean())


def altered(model: Path, options: Mapping[str, Any]) -> Seq2Seq:
    """Rebuild a trained network with other options that have no weights of their own."""
    config = weights.read_config(model)
    network = weights.build({**config["network"], **options}, config["vocabulary"])
    network.load_state_dict(weights.load(model).state_dict())
    return network.eval()


Line = list[tuple[float, float]]


@torch.inference_mode()
def along(translator: Translator, network: Seq2Seq, sentence: str, steps: int) -> dict[str, Line]:
    """Scale what sublayers of the encoder read by -2 to 2, in float64; follow their output along its direction at 1.

    Attention's queries and keys are held fixed; all are 0 where nothing is read, and 1 at 1.
    """
    src, network = _source(translator, sentence), network.double()
    scales = torch.linspace(-2, 2, steps, dtype=torch.float64)
    found = {}
    (core, (q, k, v, mask), _), *_ = (
        caught[0] for caught in _caught(network, cores(network)["encoder_self_attention"], src)
    )
    found["attention, in its values"] = _line(scales, [core(q, k, scale * v, mask) for scale in [0.0, 1.0, *scales]])
    for layer, caught in enumerate(_caught(network, _feed_forwards(network), src), start=1):
        feed_forward, (x,), _ = caught[0]
        found[f"feed-forward, layer {layer}"] = _line(scales, [feed_forward(s * x) for s in [0.0, 1.0, *scales]])
    return found


@torch.inference_mode()
def additivity(translator: Translator, network: Seq2Seq, sentence: str) -> dict[str, float]:
    """Return how far f(x + y) is from f(x) + f(y) - f(0), as a share of what f makes of x and y, in float64.

    x are the words of a sentence as a sublayer of the encoder reads them, y the same words, each one further.
    """
    src, network = _source(translator, sentence), network.double()
    found = {}
    for layer, caught in enumerate(_caught(network, cores(network)["encoder_self_attention"], src), start=1):
        core, (q, k, v, mask), _ = caught[0]
        parts = [core(q, k, values, mask) for values in (0 * v, v, v.roll(1, 2), v + v.roll(1, 2))]
        found[f"attention, layer {layer}"] = _bent(*parts)
    for layer, caught in enumerate(_caught(network, _feed_forwards(network), src), start=1):
        feed_forward, (x,), _ = caught[0]
        parts = [feed_forward(words) for words in (0 * x, x, x.roll(1, 1), x + x.roll(1, 1))]
        found[f"feed-forward, layer {layer}"] = _bent(*parts)
    return found


@torch.inference_mode()
def leak(translator: Translator, network: Seq2Seq, sentence: str, translation: str) -> float:
    """Return how much the scores of earlier words change, at most, when the last word of the target is another."""
    src = _source(translator, sentence)
    target = torch.tensor([[BOS, *translator.subwords.encode([translation])[0]]])  # (1, T)
    other = target.clone()
    other[0, -1] = EOS
    one, two = (network(src, padding_mask(src, PAD), ids)[0, :-1] for ids in (target, other))  # (T - 1, V)
    return float((one - two).abs().max())


@torch.inference_mode()
def decoder_weights(translator: Translator, sentence: str, translation: str) -> tuple[list[str], Tensor]:
    """Return the pieces read (T,) and the weights (T, T) of the last layer of the decoder, the mean of its heads."""
    src = _source(translator, sentence)
    target = torch.tensor([[BOS, *translator.subwords.encode([translation])[0]]])  # (1, T)
    core = cores(translator.network)["decoder_self_attention"][-1]
    [[(_, (q, k, _, mask), _)]] = _caught(translator.network, [core], src, target)
    return readable(translator.subwords.pieces(target[0].tolist())), core.weights(q, k, mask)[0].mean(0)


def likeness(width: int, centres: Sequence[int], reach: int) -> dict[str, Line]:
    """Return the dot products of the sinusoids at each centre with those up to `reach` before and after it."""
    table = sinusoids(max(centres) + reach + 1, width).double()
    return {
        f"from position {p}": [(float(d), float(table[p] @ table[p + d])) for d in range(-reach, reach + 1)]
        for p in centres
    }


def _source(translator: Translator, sentence: str) -> Tensor:
    return torch.tensor([[*translator.subwords.encode([sentence])[0], EOS]])  # (1, S)


def _feed_forwards(network: Seq2Seq) -> list[nn.Module]:
    """Return the feed-forward networks of the encoder, layer by layer."""
    named = network.named_modules()
    return [module for name, module in named if name.startswith("encoder.") and isinstance(module, FeedForward)]


Caught = tuple[Any, tuple[Any, ...], Tensor]  # a module, what it was given, what it made of it


def _caught(
    network: Seq2Seq, modules: Sequence[nn.Module], src: Tensor, target: Tensor | None = None
) -> list[list[Caught]]:
    """Run the network once and return, for each of its `modules`, what it was given and what it made of it."""
    seen: list[list[Caught]] = [[] for _ in modules]
    handles = [
        module.register_forward_hook(lambda module, given, out, own=own: own.append((module, given, out)))
        for module, own in zip(modules, seen, strict=True)
    ]
    try:
        network(src, padding_mask(src, PAD), torch.tensor([[BOS]]) if target is None else target)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _line(scales: Tensor, outputs: Sequence[Tensor]) -> Line:
    """Return how far each output goes along the way from the first, of nothing, to the second, of the input itself."""
    nothing, itself, *others = outputs
    way = itself - nothing
    return [
        (float(scale), float(((out - nothing) * way).sum() / way.square().sum()))
        for scale, out in zip(scales, others, strict=True)
    ]


def _bent(nothing: Tensor, one: Tensor, other: Tensor, both: Tensor) -> float:
    straight = one + other - nothing
    return float((both - straight).norm() / (straight - nothing).norm())
