"""`entente serve`: the attention page with a text field for any model, and translations for programs."""

import argparse
from contextlib import suppress
from textwrap import dedent

from entente.commands.model import MODEL, add_models, load_shown

PORT = 8080
SENTENCES = ("The cat, which is fluffy, sleeps.", "I love you.", "She is not happy.")  # to begin with


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of `entente`."""
    command = commands.add_parser(
        "serve",
        help="serve a model to a browser and to programs, on this machine",
        description=dedent("""\
            Serve the page in which one types English, sees French and where the model looked, and
            POST /translate for programs, which /openapi.json describes. Only this machine is
            answered unless --host says otherwise, and then anybody who reaches it: there is no
            password."""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=dedent("""\
            examples:
              entente serve
              entente serve --model a --model b     # side by side on the page; the first translates
              curl --json '{"sentences": ["I love you."]}' http://127.0.0.1:8080/translate
            """),
    )
    command.set_defaults(run=serve)
    command.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen at (%(default)s)")
    command.add_argument("--port", type=int, default=PORT, metavar="N", help="0 is any that is free (%(default)s)")
    add_models(command, "several stand on the page side by side")


def serve(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    from entente.service import app

    models = load_shown(arguments.model or [MODEL], arguments.device)
    with suppress(KeyboardInterrupt):  # which is how a service ends
        app.serve(models, SENTENCES, arguments.host, arguments.port)
