"""`entente cut`: what a translation becomes when one word may not look at another."""

import argparse
from collections.abc import Sequence
from textwrap import dedent
from typing import TYPE_CHECKING

from entente.commands.model import add_model, load
from entente.errors import EntenteError

if TYPE_CHECKING:
    from torch import Tensor

    from entente.decoding.translator import Translator
    from entente.text.words import Word

Edge = tuple["Word", "Word"]  # who looks, at whom

_KIND = "encoder_self_attention"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of `entente`."""
    command = commands.add_parser(
        "cut",
        help="cut the attention from one word of a sentence to another, and see what its translation loses",
        description=dedent("""\
            Show how much one word of the source looks at each other word in the encoder, then cut
            that edge in every layer and head, and translate again. What a word knows can still
            reach another through a third one: cut several edges to close such a way too."""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=dedent("""\
            examples:
              entente cut "The cat, which is fluffy, sleeps." --edge "fluffy>cat"
              entente cut "The cat, which is fluffy, sleeps." --edge "fluffy>cat" \\
                  --foil "Le chat, qui est duveteuse, dort."
              entente cut "The cat sees the dog." --edge "sees>the#2" --edge "sees>dog"

            The log-probabilities, in nats, are those of the translation made before the cut, and
            of the foil, a wrong one that you give: their difference is the margin by which the
            model prefers the right one.
            """),
    )
    command.set_defaults(run=cut)
    command.add_argument("sentence", metavar="SENTENCE", help="English")
    command.add_argument(
        "--edge",
        action="append",
        required=True,
        metavar="WORD>WORD",
        help="who may not look at whom; may be given again. word#2 is the second of that word",
    )
    command.add_argument("--foil", metavar="FRENCH", help="a wrong translation to compare the right one with")
    add_model(command)


def cut(arguments: argparse.Namespace) -> None:
    """Print attention, translations and log-probabilities, before and after the edges are cut."""
    from entente.evaluation import dissection
    from entente.text.cleaning import normalise
    from entente.text.subwords import EOS
    from entente.text.words import words

    translator = load([arguments.model], arguments.device)
    sentence = normalise(arguments.sentence)
    ids = [*translator.subwords.encode([sentence])[0], EOS]
    source = words(translator.subwords.pieces(ids))
    edges = [_edge(text, source) for text in arguments.edge]
    pairs = [(i, j) for query, key in edges for i in query.positions for j in key.positions]
    [before] = translator.translate([sentence])
    targets = [before] if arguments.foil is None else [before, arguments.foil]
    sources = [sentence] * len(targets)
    whole = translator.log_probabilities(sources, targets)
    with dissection.cut(translator.network, pairs, _KIND):
        [after] = translator.translate([sentence])
        less = translator.log_probabilities(sources, targets)
    weights = _attention(translator, ids)  # (L, H, S, S)
    print(sentence)
    for query in dict.fromkeys(query for query, _ in edges):
        print("", *_looks(query, [key for other, key in edges if other == query], source, weights), sep="\n")
    print("", *_cost(arguments.edge, (before, after), whole, less), sep="\n")


def _edge(text: str, source: "Sequence[Word]") -> Edge:
    from entente.text.words import find

    query, arrow, key = (part.strip() for part in text.partition(">"))
    if not (query and arrow and key):
        raise EntenteError(f"--edge {text!r}: write who looks, >, at whom, such as --edge 'fluffy>cat'")
    return find(source, query), find(source, key)


def _attention(translator: "Translator", ids: Sequence[int]) -> "Tensor":
    """Return the weights (L, H, S, S) of the encoder's self-attention as it reads a sentence."""
    import torch

    from entente.evaluation.observer import observe, stacked
    from entente.model.masks import padding_mask
    from entente.text.subwords import PAD

    src = torch.tensor([ids], device=translator.device)  # (1, S)
    with torch.inference_mode(), observe(translator.network) as seen:
        translator.network.encode(src, padding_mask(src, PAD))
    return stacked(seen)[_KIND][:, 0]


def _looks(query: "Word", cut_off: "Sequence[Word]", source: "Sequence[Word]", weights: "Tensor") -> list[str]:
    """Lay out how much a word looks at each word: by layer, over all, and in the one head that does so most."""
    from entente.evaluation.dissection import mass
    from entente.text.words import labels

    layers, heads, _, _ = weights.shape
    table = [["", *(f"layer {layer}" for layer in range(1, layers + 1)), "mean", "most in one head"]]
    for word, label in zip(source, labels(source), strict=True):
        own = mass(weights, query.positions, word.positions)  # (L, H)
        layer, head = divmod(int(own.argmax()), heads)
        figures = [*own.mean(1).tolist(), float(own.mean())]
        most = f"{float(own.max()):.2f}  layer {layer + 1}, head {head + 1}"
        table.append([label, *(f"{figure:.2f}" for figure in figures), most + "  <- cut" * (word in cut_off)])
    return [
        f'Where "{query.text}" looks in the encoder: mean of the heads; a column of means sums to 1',
        *_aligned(table),
    ]


def _cost(edges: Sequence[str], texts: tuple[str, str], whole: list[float], less: list[float]) -> list[str]:
    """Lay out the translation and the log-probabilities before and after."""
    table = [["", "before", "after", "change"]]
    names = ["log p(translation before)", "log p(foil)"]
    rows = list(zip(names, whole, less, strict=False))
    if len(rows) == 2:
        rows.append(("log p(translation before) - log p(foil)", whole[0] - whole[1], less[0] - less[1]))
    table += [[name, f"{one:.3f}", f"{other:.3f}", f"{other - one:+z.3f}"] for name, one, other in rows]
    return [
        f"Without {', '.join(edges)} in every layer and head",
        f"  before  {texts[0]}",
        f"  after   {texts[1]}",
        "",
        *_aligned(table),
    ]


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows in columns: names to the left, figures under one another, the last column as it comes."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  "
        + "   ".join(
            [row[0].ljust(widths[0]), *map(str.rjust, row[1:-1], widths[1:-1]), row[-1].ljust(widths[-1])]
        ).rstrip()
        for row in table
    ]
