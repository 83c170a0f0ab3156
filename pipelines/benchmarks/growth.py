"""How time and memory grow with the work: pairs prepared and encoded, pieces trained on, sentences decoded and scored.

Each point is a process of its own, so that its peak memory is its own. Text is that of the embedded corpus over and
over, with a number at the end of each round, so that no sentence comes twice; networks have random weights.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tqdm import tqdm

from entente.decoding.settings import Decoding
from entente.decoding.translator import Translator
from entente.errors import EntenteError
from entente.evaluation import speed_figures as figures
from entente.evaluation.report import columns, write_table
from entente.evaluation.scores import score
from entente.memory import keep_memory
from entente.model.attention import ScaledDotProduct, SelfAttention
from entente.model.masks import CAUSAL
from entente.model.positions import NoPositions
from entente.model.weights import build
from entente.options import choose, construct
from entente.text.cleaning import Cleaning
from entente.text.corpus import read_lines
from entente.text.encoding import encode
from entente.text.preparation import Text, prepare
from entente.text.subwords import Subwords
from entente.tracking.store import root
from pipelines.benchmarks.case import apart
from pipelines.benchmarks.networks import update
from pipelines.benchmarks.translating import never_ending
from pipelines.compose import CONF, compose, plain
from pipelines.job import FOLDER, Job

Work = Callable[[int, Path], float]  # an amount, and the folder of a prepared corpus, to seconds

LENGTH, WIDTH = 20, 128


def measure(names: Sequence[str], most: int) -> tuple[dict[str, float], list[Path]]:
    """Measure the works named, each for amounts that grow; print, write and draw what was found.

    Returns seconds by work and amount, and the files written. Raises EntenteError for a work that there is not.
    """
    for name in names:
        if name not in WORKS:
            raise EntenteError(f"there is no work `{name}` to measure; choose among: {', '.join(WORKS)}")
    job = Job("", plain(compose([], root() / CONF)))
    job.prepare({})
    points = [(name, amount) for name in names for amount in amounts(name, most)]
    rows = []
    for name, amount in tqdm(points, "measuring", unit=" points"):
        seconds, memory = apart("growth", name, str(amount), str(job.shared), what=f"{amount:,} {name}")
        rows.append([name, amount, seconds, amount / seconds, memory])
    folder = root() / FOLDER / "benchmarks"
    header = ["work", "amount", "seconds", "a second", "peak MiB"]
    write_table(folder / "growth.csv", header, rows)
    told = [[row[0], f"{row[1]:,}", f"{row[2]:.2f}", f"{row[3]:,.0f}", f"{row[4]:,.0f}"] for row in rows]
    print("\n".join(columns([header, *told])))
    files = [folder / "growth.csv"]
    for column, title, unit in ((2, "Time", "seconds"), (4, "Memory", "MiB at the peak")):
        lines = {name: [(row[1], row[column]) for row in rows if row[0] == name] for name in names}
        files.append(folder / f"growth_{title.lower()}.png")
        figures.growth(lines, f"{title} by the amount of work", unit, files[-1])
    return {f"{row[0]}/{row[1]} seconds": row[2] for row in rows}, files


def amounts(work: str, most: int) -> Iterator[int]:
    """Yield how much of a work to do: from its least, by its factor each time, to its most."""
    least, limit, factor = WORKS[work][1:]
    while least <= min(limit, most):
        yield least
        least *= factor


def repeated(file: Path) -> Iterator[str]:
    """Yield the lines of a file again and again, from the second round on with its number."""
    lines = list(read_lines(file))
    yield from lines
    number = 1
    while True:
        number += 1
        yield from (f"{line} {number}" for line in lines)


def preparing(pairs: int, folder: Path) -> float:
    """Clean so many pairs, remove duplicates and what tests hold, and write them."""
    with TemporaryDirectory(dir=root() / FOLDER) as place:
        raw = Path(place, "raw")
        raw.mkdir()
        texts = []
        for split in ("train", "val", "test"):
            for language in ("en", "fr"):
                name = f"{split}.{language}"
                lines = repeated(folder / "data/prepared" / name)
                with (raw / name).open("w", encoding="utf-8") as file:
                    file.writelines(f"{line}\n" for line in islice(lines, pairs if split == "train" else 1000))
                text = {"file": name, "member": None, "columns": [language], "split": split}
                texts.append(choose({"text": Text}, {"kind": "text", **text}, "texts")())
        limits = plain(compose([], root() / CONF))["corpus"]["cleaning"]
        cleaning = choose({"limits": Cleaning}, {"kind": "limits", **limits}, "cleaning")()
        started = time.perf_counter()
        prepare(raw, Path(place, "out"), texts=texts, tests=["test"], probes=None, cleaning=cleaning, split=None)
        return time.perf_counter() - started


def encoding(sentences: int, folder: Path) -> float:
    """Cut so many sentences into pieces and write their ids, in one process."""
    with TemporaryDirectory(dir=root() / FOLDER) as place:
        with Path(place, "text").open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in islice(repeated(folder / "data/prepared/train.en"), sentences))
        started = time.perf_counter()
        encode(folder / "artifacts/subwords/subwords.model", Path(place, "text"), Path(place, "ids"), processes=1)
        return time.perf_counter() - started


def training(pieces: int, folder: Path) -> float:
    """Update the default network on so many target pieces."""
    settings = plain(compose([], root() / CONF))
    again = update(build(settings["model"], settings["subwords"]["vocabulary"]), LENGTH)
    again()
    started, done = time.perf_counter(), 0
    while done < pieces:
        done += again()
    return (time.perf_counter() - started) * pieces / done


def attending(length: int, folder: Path) -> float:
    """Attend within one sentence of this length, forth and back."""
    attention = SelfAttention(width=WIDTH, heads=4, core=ScaledDotProduct(heads=4, width=WIDTH // 4))
    positions = NoPositions(width=WIDTH, heads=4, max_length=length, causal=True)
    x = torch.randn(1, length, WIDTH, requires_grad=True)
    started = time.perf_counter()
    attention(x, CAUSAL, positions).sum().backward()
    return time.perf_counter() - started


def decoding(sentences: int, folder: Path) -> float:
    """Translate so many sentences by the default beam, 20 pieces each."""
    settings = plain(compose([], root() / CONF))
    network = never_ending(build(settings["model"], settings["subwords"]["vocabulary"]))
    forced = settings["decoding"] | {"max_length_factor": 0.0, "max_length_offset": LENGTH}
    subwords = Subwords(folder / "artifacts/subwords/subwords.model")
    translator = Translator(network, subwords, construct(Decoding, forced, "decoding"), torch.device("cpu"))
    lines = islice(repeated(folder / "data/prepared/train.en"), sentences)
    started = time.perf_counter()
    for _ in translator.translate(lines):
        pass
    return time.perf_counter() - started


def scoring(sentences: int, folder: Path) -> float:
    """Score so many sentences, right but for the last word of each, by BLEU, chrF and TER."""
    references = list(islice(repeated(folder / "data/prepared/train.fr"), sentences))
    hypotheses = [reference.rpartition(" ")[0] for reference in references]
    started = time.perf_counter()
    score(hypotheses, [[reference] for reference in references])
    return time.perf_counter() - started


WORKS: Mapping[str, tuple[Work, int, int, int]] = {  # by what is counted: the work, its least and most, and the factor
    "pairs prepared": (preparing, 10_000, 10_000_000, 10),
    "sentences encoded": (encoding, 10_000, 10_000_000, 10),
    "pieces trained on": (training, 10_000, 1_000_000, 10),
    "length attended over": (attending, 256, 16_384, 4),
    "sentences decoded": (decoding, 1_000, 100_000, 10),
    "sentences scored": (scoring, 1_000, 1_000_000, 10),
}


if __name__ == "__main__":
    keep_memory()
    seconds = WORKS[sys.argv[1]][0](int(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10]))
