"""Endurance: `python -m pipelines.soak kills`, `sentences`, `serving`, `lines` or `pairs`.

`kills` runs the pipeline on a thimble of data and kills it, group of processes and all, at moments drawn by a seed; the
same command then makes what an undisturbed pipeline makes, byte for byte. `sentences` translates a test set alone, in
batches of several sizes and shuffled: it makes no difference. `serving` lets many ask `entente serve` at once, `lines`
sends many lines through `entente translate`, `pairs` takes millions of pairs to the start of a training: memory does
not grow. Each prints a table, writes what --out names, and fails where something is not as it is to be.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from entente.decoding.translator import Translator
from entente.errors import EntenteError, for_people
from entente.evaluation.report import columns, write_json
from entente.text.corpus import read_lines
from entente.tracking.system import machine
from pipelines.soaks import kills, lines, pairs, sentences, serving
from pipelines.soaks.memory import Used

MODEL, PREPARED = Path("artifacts/model"), Path("data/prepared")


@for_people
def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.soak", description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    killed = tasks.add_parser("kills", help="kill the pipeline and run it again: the same bytes")
    killed.add_argument("--times", type=int, default=100, help="kills (%(default)s)")
    killed.add_argument("--driver", choices=("dvc", "stages"), default="dvc", help="`dvc repro`, or stages alone")
    compared = tasks.add_parser("sentences", help="translate alone, in batches and shuffled: the same translations")
    compared.add_argument("--count", type=int, default=1000, help="sentences at most (%(default)s)")
    served = tasks.add_parser("serving", help="many ask `entente serve` at once")
    served.add_argument("--minutes", type=float, default=60, help="(%(default)s)")
    served.add_argument("--connections", type=int, default=50, help="(%(default)s)")
    translated = tasks.add_parser("lines", help="many short lines through `entente translate`")
    translated.add_argument("--count", type=int, default=1_000_000, help="lines (%(default)s)")
    translated.add_argument("--beam", type=int, default=1, help="(%(default)s)")
    taken = tasks.add_parser("pairs", help="millions of pairs through the stages, to the start of a training")
    taken.add_argument("--count", type=int, default=10_000_000, help="pairs (%(default)s)")
    for task in (killed, compared):
        task.add_argument("--seed", type=int, default=1, help="of what is drawn (%(default)s)")
    for task in (compared, served, translated):
        task.add_argument("--model", type=Path, default=MODEL, help="folder, beside its corpus (%(default)s)")
    for task in (killed, compared, served, translated, taken):
        task.add_argument("--out", type=Path, help="file for what was found, as JSON")
    arguments = parser.parse_args()
    SOAKS[arguments.task](arguments)


def kill(arguments: argparse.Namespace) -> None:
    """Kill as often as asked. Raises EntenteError where something differs from an undisturbed pipeline."""
    with TemporaryDirectory(prefix="entente-soak-", ignore_cleanup_errors=True) as place:
        rounds = kills.soak(Path(place), arguments.times, arguments.seed, dvc=arguments.driver == "dvc")
    tell(arguments, kills.rows(rounds), [asdict(one) for one in rounds])
    if different := [what for one in rounds for what in one.different]:
        raise EntenteError("not as in an undisturbed pipeline: " + "; ".join(different))


def compare(arguments: argparse.Namespace) -> None:
    """Compare translations in float32 on the CPU. Raises EntenteError where more of them differ than may."""
    texts = [text for text in sorted(corpus(arguments.model).glob("*.en")) if text.stem != "train"]
    own = [line for text in texts for line in read_lines(text)][: arguments.count]
    if not own:
        raise EntenteError(f"there is no test set in {corpus(arguments.model)}: `dvc repro` prepares some")
    found = sentences.compare(Translator.load(arguments.model, "cpu"), own, arguments.seed)
    header = ["batches", "sentences", "as alone", "scores apart by at most"]
    rows = [[one.way, str(one.sentences), str(one.identical), f"{one.apart:.1e}"] for one in found]
    tell(arguments, [header, *rows], [asdict(one) for one in found])
    if not all(one.holds() for one in found):
        raise EntenteError("translations depend on their batch")


def serve(arguments: argparse.Namespace) -> None:
    """Serve many at once. Raises EntenteError where a request failed, or the server's memory grew."""
    found = serving.soak(arguments.minutes, arguments.connections, arguments.model, corpus(arguments.model) / "test.en")
    header = ["requests", "number", "failed", *(f"{percentile}%, ms" for percentile in serving.PERCENTILES)]
    rows = [
        [kind, f"{one.number:,}", str(one.failed), *(f"{value:,.0f}" for value in one.milliseconds)]
        for kind, one in found.requests.items()
    ]
    tell(arguments, [header, *rows], asdict(found))
    judge(found.memory)
    if failed := found.requests[serving.ALL].failed:
        raise EntenteError(f"{failed} requests were not answered as they are to be")


def translate(arguments: argparse.Namespace) -> None:
    """Translate many lines. Raises EntenteError where lines are lost or differ, or memory grew."""
    found = lines.soak(arguments.count, arguments.beam, arguments.model, corpus(arguments.model) / "test.en")
    row = [f"{found.lines:,}", f"{found.otherwise:,}", f"{found.seconds:,.0f}"]
    tell(arguments, [["lines", "translated otherwise than before", "seconds"], row], asdict(found))
    judge(found.memory)
    if found.otherwise > found.lines * lines.OTHERWISE:
        raise EntenteError(f"{found.otherwise:,} of {found.lines:,} lines were translated otherwise than before")


def take(arguments: argparse.Namespace) -> None:
    """Take many pairs through the stages. Raises EntenteError where one needs more memory than it may."""
    found = pairs.soak(arguments.count)
    rows = [[one.stage, f"{one.seconds:,.0f}", f"{one.peak:,.0f}"] for one in found]
    tell(arguments, [["stage", "seconds", "MiB at most"], *rows], [asdict(one) for one in found])
    if large := [one.stage for one in found if one.peak > pairs.MOST]:
        raise EntenteError(f"more than {pairs.MOST:,} MiB: {', '.join(large)}")


SOAKS = {"kills": kill, "sentences": compare, "serving": serve, "lines": translate, "pairs": take}


def corpus(model: Path) -> Path:
    """Return the folder of the prepared corpus that belongs to a model."""
    return model.resolve().parents[1] / PREPARED


def tell(arguments: argparse.Namespace, table: Sequence[Sequence[str]], found: Any) -> None:
    """Print a table, and write what was found where --out says."""
    print("\n".join(columns(table)))
    if arguments.out:
        asked = {name: str(value) for name, value in vars(arguments).items() if name != "out"}
        write_json(arguments.out, {**asked, "machine": machine(), "found": found})


def judge(memory: Used) -> None:
    """Print what a process used. Raises EntenteError where that grew."""
    print(f"memory: {memory}")
    if not memory.is_flat:
        raise EntenteError("memory grew")


if __name__ == "__main__":
    main()
