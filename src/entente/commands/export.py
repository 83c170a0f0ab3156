"""`entente export`: a trained model for another program."""

import argparse
from pathlib import Path
from textwrap import dedent

from entente.commands.model import add_folder, load
from entente.errors import EntenteError

# As CTranslate2 names them, which a test holds equal: help must not wait for it.
QUANTIZATIONS = (
    "float32",
    "float16",
    "bfloat16",
    "int16",
    "int8",
    "int8_float32",
    "int8_float16",
    "int8_bfloat16",
)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of `entente`."""
    command = commands.add_parser(
        "export",
        help="write a model for CTranslate2, which translates faster and without PyTorch",
        description=dedent("""\
            Write a trained Transformer as a folder that CTranslate2 reads, its subword model
            beside it. Needs `pip install 'entente[ctranslate2]'`; using the folder needs the
            packages ctranslate2 and sentencepiece alone."""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=dedent("""\
            examples:
              entente export --to ctranslate2 exported
              entente export --to ctranslate2 exported --quantization int8 --force

            to translate with it, in Python:
              import ctranslate2, sentencepiece
              pieces = sentencepiece.SentencePieceProcessor(model_file="exported/subwords.model")
              translator = ctranslate2.Translator("exported")
              source = pieces.encode(["I love you."], out_type=str)
              for result in translator.translate_batch(source, beam_size=5, length_penalty=0.6):
                  print(pieces.decode(result.hypotheses[0]))

            CTranslate2 neither normalises nor splits text: give it sentences in Unicode NFC that
            the model can read whole. In float32 its log-probabilities are those of `entente
            translate`, and so are its greedy translations (beam_size=1). A wider beam may now
            and then choose differently: its length penalty divides by length ** A, and it ends
            hypotheses by rules of its own.
            """),
    )
    command.set_defaults(run=export)
    command.add_argument("folder", type=Path, metavar="OUTDIR", help="folder to write")
    command.add_argument("--to", required=True, choices=["ctranslate2"], help="the program to write for")
    command.add_argument(
        "--quantization",
        default="float32",
        choices=QUANTIZATIONS,
        metavar="TYPE",
        help=f"how weights are kept: {', '.join(QUANTIZATIONS)} (%(default)s)",
    )
    command.add_argument("--force", action="store_true", help="replace OUTDIR and all that is in it")
    add_folder(command)


def export(arguments: argparse.Namespace) -> None:
    """Write the model that the options name, or say why it cannot be."""
    from entente.export import ctranslate2
    from entente.model.weights import read_config

    folder = arguments.folder.resolve()
    _refuse_to_overwrite(folder, arguments.model.resolve(), force=arguments.force)
    network = load([arguments.model], "cpu").network
    options = read_config(arguments.model)["network"]
    subwords = arguments.model / "subwords.model"
    ctranslate2.write(network, options, subwords, folder, quantization=arguments.quantization)


def _refuse_to_overwrite(folder: Path, model: Path, *, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise EntenteError(f"{folder} is no folder: choose another OUTDIR")
    for kept, what in ((model, "the model to export"), (Path.cwd(), "the folder you are in")):
        if kept.is_relative_to(folder):
            raise EntenteError(f"OUTDIR {folder} would be replaced, but it is or holds {what}: choose another")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise EntenteError(f"{folder} is not empty: choose another OUTDIR, or replace all of it with --force")
