"""The `entente` command. Quick to start: what a command does not use is not imported."""

import argparse
import io
import sys

from entente.commands import attend, cut, export, serve, translate
from entente.errors import for_people


@for_people
def main() -> None:
    """Read the command line and run what it asks for."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.version:
        from importlib.metadata import version

        print(f"entente {version('entente')}")
    elif arguments.command:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        arguments.run(arguments)
    else:
        parser.print_help()
    sys.stdout.flush()  # here, where a reader that went away is dealt with, not at exit


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="entente",
        description="Translate English into French with a Transformer that you trained, and take it apart.",
        epilog="`entente COMMAND --help` has examples.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in (translate, attend, cut, serve, export):
        command.add(commands)
    return parser


if __name__ == "__main__":
    main()
