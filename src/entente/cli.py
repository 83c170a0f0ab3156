"""The `entente` command. Quick to start: what a command does not use is not imported."""

import argparse
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Empty, Queue
from textwrap import dedent
from threading import Thread
from time import monotonic

from entente.errors import EntenteError, for_people

# What a person gets who asks for nothing else: what conf/decoding/beam.yaml says, which a test holds equal. An
# installed command has no conf/ to read, and in the model's folder an edit of it would train anew.
BEAM = 5
LENGTH_PENALTY = 0.6
MAX_LENGTH_FACTOR = 2.0
MAX_LENGTH_OFFSET = 20
BATCH_TOKENS = 2048

MODEL = Path("artifacts/model")
PAUSE = 0.05  # seconds to wait for more input before answering


@for_people
def main() -> None:
    """Read the command line and run what it asks for."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.version:
        from importlib.metadata import version

        print(f"entente {version('entente')}")
    elif arguments.command == "translate":
        translate(arguments)
    else:
        parser.print_help()
    sys.stdout.flush()  # here, where a reader that went away is dealt with, not at exit


def translate(arguments: argparse.Namespace) -> None:
    """Translate the sentences of the command line, or standard input line by line, to standard output."""
    from entente.decoding.translator import WINDOW, Decoding, Translator

    translator = Translator.load(
        arguments.model,
        arguments.device,
        Decoding(
            beam=arguments.beam,
            length_penalty=arguments.length_penalty,
            max_length_factor=MAX_LENGTH_FACTOR,
            max_length_offset=MAX_LENGTH_OFFSET,
            batch_tokens=BATCH_TOKENS,
        ),
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="entente",
        description="Translate English into French with a Transformer that you trained.",
        epilog="`entente translate --help` has examples.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
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
              entente translate                      (type a sentence, read its translation; Ctrl-D ends)
            """),
    )
    command.add_argument("sentences", nargs="*", metavar="SENTENCE", help="English (default: standard input)")
    _add_options(command)
    return parser


def _add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--beam",
        type=int,
        default=BEAM,
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
        default=LENGTH_PENALTY,
        metavar="A",
        help="scores are log-probability / ((5 + length) / 6) ** A; a larger A prefers longer sentences (%(default)s)",
    )
    command.add_argument(
        "--model", type=Path, default=MODEL, metavar="DIR", help="folder of a trained model (%(default)s)"
    )
    command.add_argument(
        "--device",
        default="auto",
        metavar="auto|cpu|cuda",
        help="where to run (auto: the GPU where there is one)",
    )


if __name__ == "__main__":
    main()
