"""`entente translate`: sentences in, sentences out."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from queue import Empty, Queue
from textwrap import dedent
from threading import Thread
from time import monotonic

from entente.commands.model import MODEL, add_models, load
from entente.decoding.settings import DEFAULT, Decoding
from entente.errors import EntenteError

PAUSE = 0.05  # seconds to wait for more input before answering


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of `entente`."""
    command = commands.add_parser(
        "translate",
        help="translate sentences, or standard input line by line",
        description=dedent("""\
            Translate the sentences given, or standard input line by line: as many lines come
            out, in order. A blank line stays blank. A sentence longer than the model reads is
            split at punctuation."""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=dedent("""\
            examples:
              entente translate "I love you." "The cat sleeps."
              entente translate < english.txt > french.txt
              entente translate --beam 8 --n-best 3 "I love you."
              entente translate --model a --model b "I love you."    (an ensemble)
              entente translate                      (type a sentence, read its translation; Ctrl-D ends)
            """),
    )
    command.set_defaults(run=translate)
    command.add_argument("sentences", nargs="*", metavar="SENTENCE", help="English (default: standard input)")
    command.add_argument(
        "--beam",
        type=int,
        default=DEFAULT.beam,
        metavar="N",
        help="hypotheses kept at each step; 1 is greedy (%(default)s)",
    )
    command.add_argument(
        "--n-best",
        type=int,
        metavar="N",
        help="print up to N translations of each sentence, best first, a line each: rank, score "
        "(log-probability normalised by length), text, separated by tabs; N is at most the beam",
    )
    command.add_argument(
        "--length-penalty",
        type=float,
        default=DEFAULT.length_penalty,
        metavar="A",
        help="scores are log-probability / ((5 + length) / 6) ** A; a larger A prefers longer sentences (%(default)s)",
    )
    add_models(command, "several, of one vocabulary, translate together")


def translate(arguments: argparse.Namespace) -> None:
    """Translate the sentences of the command line, or standard input line by line, to standard output."""
    from entente.decoding.translator import WINDOW

    decoding = Decoding(beam=arguments.beam, length_penalty=arguments.length_penalty)
    translator = load(arguments.model or [MODEL], arguments.device, decoding)
    for window in [arguments.sentences] if arguments.sentences else windows(_standard_input(), WINDOW, PAUSE):
        if arguments.n_best is not None:
            for translations in translator.hypotheses(window, arguments.n_best):
                for rank, translation in enumerate(translations, start=1):
                    print(rank, f"{translation.score:.4f}", translation.text, sep="\t")
        else:
            for sentence in translator.translate(window):
                print(sentence)
        sys.stdout.flush()


def windows(lines: Iterable[bytes], size: int, pause: float) -> Iterator[list[str]]:
    """Gather lines as they arrive into lists of at most `size`, waiting `pause` seconds at most for more.

    Someone who types has an answer at once; a file comes in full windows. Raises EntenteError for a line that
    is not UTF-8, after the lines before it.
    """
    arrived: Queue[str | Exception | None] = Queue(maxsize=2 * size)
    Thread(target=_read, args=(lines, arrived), daemon=True).start()
    while True:
        window: list[str] = []
        item = arrived.get()
        deadline = monotonic() + pause
        while isinstance(item, str):
            window.append(item)
            if len(window) == size:
                break
            try:
                item = arrived.get(timeout=max(0.0, deadline - monotonic()))
            except Empty:
                break
        if window:
            yield window
        if isinstance(item, Exception):
            raise item
        if item is None:
            return


def _read(lines: Iterable[bytes], arrived: "Queue[str | Exception | None]") -> None:
    """Queue the lines, then None or what went wrong. Runs in its own thread: reading waits for people."""
    number = 0
    try:
        for line in lines:
            number += 1
            arrived.put(line.decode("utf-8"))
        arrived.put(None)
    except UnicodeDecodeError as error:
        arrived.put(
            EntenteError(
                f"standard input, line {number}: byte {error.start + 1} (0x{error.object[error.start]:02x}) "
                "is not UTF-8: convert it (`iconv -t utf-8`) or mend the line; those before it are translated"
            )
        )
    except Exception as error:  # whatever it is, the reader of the queue must hear of it
        arrived.put(error)


def _standard_input() -> Iterable[bytes]:
    if sys.stdin.isatty():
        print("Type English, one sentence a line; Ctrl-D ends.", file=sys.stderr)
    # Not sys.stdin: at exit Python wants its lock, which a thread that waits for a line would hold.
    return open(sys.stdin.fileno(), "rb", closefd=False)
