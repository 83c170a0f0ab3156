"""`entente attend`: where a model looks as it translates."""

import argparse
import shutil
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from textwrap import dedent
from typing import TYPE_CHECKING

from entente.commands.model import MODEL, add_models, load_shown
from entente.errors import EntenteError

if TYPE_CHECKING:
    from entente.evaluation.attention_maps import AttentionMap

_KINDS = {
    "encoder": "encoder_self_attention",
    "decoder": "decoder_self_attention",
    "cross": "cross_attention",
}
_SHADES = " ░▒▓█"
_NARROWEST = 3  # characters of a column


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of `entente`."""
    command = commands.add_parser(
        "attend",
        help="show where a model looks: a map in the terminal, or a page to look around in",
        description=dedent("""\
            Translate, and show from which words (columns) each word (row) gathers: in the
            terminal as shades, or as a page in which every layer and head can be looked at and,
            but for rarer kinds of networks, other sentences be typed and parts taken away. The
            page is one file: it needs no network, and can be kept and sent."""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=dedent("""\
            examples:
              entente attend "The cat, which is fluffy, sleeps."
              entente attend "The cat, which is fluffy, sleeps." --kind encoder --layer 2 --head 3
              entente attend "The cat, which is fluffy, sleeps." --open
              entente attend "The dog chased the cat." --page page.html --model a --model b
            """),
    )
    command.set_defaults(run=attend)
    command.add_argument("sentences", nargs="+", metavar="SENTENCE", help="English")
    command.add_argument("--open", action="store_true", help="open the page in a browser")
    command.add_argument("--page", type=Path, metavar="FILE", help="write the page, with the models side by side")
    command.add_argument(
        "--kind", choices=_KINDS, default="cross", help="attention of the terminal's map (%(default)s)"
    )
    command.add_argument("--layer", type=int, metavar="N", help="its layer, from 1 (the last)")
    command.add_argument("--head", type=int, metavar="N", help="its head, from 1 (their mean)")
    add_models(command, "several are shown one after another, on a page side by side")


def attend(arguments: argparse.Namespace) -> None:
    """Print maps, or write the page."""
    folders = arguments.model or [MODEL]
    if arguments.open or arguments.page:
        _write(folders, arguments)
        return
    for number, folder in enumerate(folders):
        if len(folders) > 1:
            print("\n" * bool(number) + str(folder))
        _print(folder, arguments)


def _write(folders: Sequence[Path], arguments: argparse.Namespace) -> None:
    from entente.pages.attention import write

    page = arguments.page or Path(mkdtemp(prefix="entente-")) / "attention.html"
    write(load_shown(folders, arguments.device), arguments.sentences, page)
    print(page)
    if arguments.open and not webbrowser.open(page.resolve().as_uri()):
        raise EntenteError(f"no browser could be opened: open {page.resolve()} yourself")


def _print(folder: Path, arguments: argparse.Namespace) -> None:
    from entente.translator import Translator

    for seen in Translator.load(folder, arguments.device).attend(arguments.sentences):
        found = next((one for one in seen.maps if one.kind == _KINDS[arguments.kind]), None)
        if found is None:
            kinds = {one.kind for one in seen.maps}
            there = ", ".join(name for name, kind in _KINDS.items() if kind in kinds) or "none"
            raise EntenteError(f"{folder} has no attention of kind {arguments.kind}; it has {there}")
        print(f"\n{seen.sentence}  →  {seen.translation}\n", *_shaded(found, arguments.layer, arguments.head), sep="\n")


def _shaded(found: "AttentionMap", layer: int | None, head: int | None) -> list[str]:
    """Lay a map out for a terminal, word by word."""
    import torch

    from entente.evaluation.dissection import mass
    from entente.text.words import words

    layers, heads, _, _ = found.weights.shape
    for name, number, most in (("layer", layer, layers), ("head", head, heads)):
        if number is not None and not 1 <= number <= most:
            raise EntenteError(f"there is no {name} {number}: this attention has {name}s 1 to {most}")
    rows, columns = words(found.rows), words(found.columns)
    weights = torch.from_numpy(found.weights)
    widths = [max(_NARROWEST, len(column.text)) for column in columns]
    margin = max(len(row.text) for row in rows)
    which = f"layer {layer or layers}, {f'head {head}' if head else 'mean of heads'}"
    lines = [
        " " * margin + "  " + " ".join(map(str.center, (column.text for column in columns), widths)) + f"   {which}"
    ]
    for row in rows:
        cells = []
        for column, width in zip(columns, widths, strict=True):
            own = mass(weights, row.positions, column.positions)[(layer or layers) - 1]  # (H,)
            weight = float(own[head - 1] if head else own.mean())
            cells.append(_SHADES[min(len(_SHADES) - 1, round(weight * (len(_SHADES) - 1)))] * width)
        lines.append(f"{row.text:>{margin}}  {' '.join(cells)}".rstrip())
    if max(map(len, lines)) > shutil.get_terminal_size((10_000, 24)).columns:
        lines.append("(wider than this terminal: --open draws it on a page)")
    return lines
