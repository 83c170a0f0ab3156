"""Speed: `python -m pipelines.benchmark training`, `translating`, `networks`, `growth`, `scaling` or `edges`.

`training` and `translating` time published sizes against a plain `torch.nn.Transformer`, the yardstick, and against
what else is installed and asked for; `networks` the baseline against the RNNs, by length of the sentences; `growth`
how time and memory grow with the work; `scaling` updates that several processes share; `edges` what one waits for
before and beside the work. All print a table, write it to ablations/benchmarks/ and log it. Cases take turns, forwards
and backwards, so that whatever else the machine does meets all alike; medians count.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch
from tqdm import tqdm

from entente.errors import EntenteError, for_people
from entente.evaluation import speed_figures as figures
from entente.evaluation.report import columns, write_json
from entente.model import weights
from entente.tracking.runs import KIND
from entente.tracking.store import root
from entente.tracking.system import machine
from pipelines.benchmarks import edges, growth, networks, scaling
from pipelines.benchmarks.case import DTYPES, SIZES, Case, Timing
from pipelines.compose import CONF, compose, plain
from pipelines.job import FOLDER, Job
from pipelines.tracked_run import open_runs

SYSTEMS = {
    "training": ("entente", "torch", "marian", "eole", "marian_kept"),
    "translating": ("entente", "torch", "marian", "eole", "ctranslate2", "ctranslate2_int8"),
}
WITHOUT = ("onednn", "loss", "memory", "sorting", "attention", "dropout", "fused_adam")
UNITS = {"training": "target pieces/s", "translating": "sentences/s"}


@for_people
def main() -> None:
    """Time what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.benchmark", description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    for name, unit in UNITS.items():
        task = tasks.add_parser(name, help=f"{unit} of published sizes, against other systems")
        task.add_argument("--systems", nargs="+", default=["entente", "torch"], choices=SYSTEMS[name])
        task.add_argument("--sizes", nargs="+", choices=SIZES, help="(tiny small)")
        task.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
        task.add_argument("--recipe", default="multi30k", help="whose corpus and vocabulary (%(default)s)")
        task.add_argument("--turns", type=int, default=2, help="of every case (%(default)s)")
        if name == "training":
            task.add_argument("--tokens", type=int, default=1024, help="of a batch (%(default)s)")
            task.add_argument("--accumulate", type=int, default=4, help="batches of an update (%(default)s)")
            task.add_argument("--precisions", nargs="+", default=["fp32"], choices=DTYPES)
            task.add_argument("--without", nargs="+", default=[], choices=WITHOUT, help="ours again, without these")
        else:
            task.add_argument("--beams", nargs="+", type=int, default=[1, 5])
            task.add_argument(
                "--model", type=Path, help="folder of trained weights: translations as long as they come, and scored"
            )
    compared = tasks.add_parser("networks", help="the baseline against the RNNs, or other experiments")
    compared.add_argument("experiments", nargs="*", default=list(networks.NETWORKS))
    grown = tasks.add_parser("growth", help="time and memory by the amount of work")
    grown.add_argument("works", nargs="*", default=list(growth.WORKS), help=f"some of {', '.join(growth.WORKS)}")
    grown.add_argument("--most", type=int, default=1_000_000, help="of any work at most (%(default)s)")
    scaled = tasks.add_parser("scaling", help="updates that several processes share, and what is foreseen of them")
    scaled.add_argument("--sizes", nargs="+", default=["tiny", "small", "base"], choices=SIZES)
    scaled.add_argument("--processes", nargs="+", type=int, default=[1, 2], help="with a core each (1 2)")
    scaled.add_argument("--accumulate", type=int, default=2, help="batches of an update (%(default)s)")
    tasks.add_parser("edges", help="what one waits for before and beside the work")
    arguments = parser.parse_args()
    if arguments.task == "networks":
        networks.measure(arguments.experiments)
    elif arguments.task == "growth":
        log("growth", *growth.measure(arguments.works, arguments.most))
    elif arguments.task == "scaling":
        log("scaling", *scaling.report(arguments.sizes, arguments.processes, arguments.accumulate))
    elif arguments.task == "edges":
        log("edges", *edges.measure())
    else:
        report(arguments.task, timed(cases(arguments), arguments.turns))


def cases(arguments: argparse.Namespace) -> list[Case]:
    """Return what to time, system by system: others train in float32, and the yardstick writes greedily."""
    given = {"tokens": 1024, "accumulate": 1, "precisions": ["fp32"], "beams": [1], "without": [], "model": None}
    asked: dict[str, Any] = given | vars(arguments)
    model, sizes = "", asked["sizes"] or ["tiny", "small"]
    if "eole" in asked["systems"] and asked["device"] != "cpu":
        raise EntenteError("eole is timed on a CPU alone: leave it out of --systems, or --device")
    if asked["model"]:
        if asked["sizes"]:
            raise EntenteError("trained weights have the size that they have: leave --sizes or --model out")
        if unable := sorted({"torch", "marian", "eole"} & set(asked["systems"])):
            raise EntenteError(f"{' and '.join(unable)} cannot read our weights: leave --model or these --systems out")
        weights.read_config(asked["model"])
        model, sizes = str(asked["model"].resolve()), ["trained"]
    job = Job("", plain(compose([f"recipe={arguments.recipe}"], root() / CONF)))
    job.prepare({})
    found = []
    for system, size, precision, beam in product(asked["systems"], sizes, asked["precisions"], asked["beams"]):
        if (system == "entente" or precision == "fp32") and not (system == "torch" and beam > 1):
            shape = {"task": asked["task"], "system": system, "size": size, "precision": precision, "beam": beam}
            where = {name: asked[name] for name in ("device", "recipe", "tokens", "accumulate")}
            found.append(Case(**shape, **where, prepared=str(job.shared), model=model))
    ours = [case for case in found if case.system == "entente" and case.precision == "fp32"]
    return found + [replace(case, without=what) for case in ours for what in asked["without"]]


def timed(found: Sequence[Case], turns: int) -> dict[Case, list[Timing]]:
    """Time every case `turns` times, every other turn in reverse order."""
    timings: dict[Case, list[Timing]] = {case: [] for case in found}
    order = [case for turn in range(turns) for case in (found if turn % 2 == 0 else reversed(found))]
    for case in tqdm(order, "timing", unit=" cases"):
        timings[case].append(case.time())
    return timings


def report(task: str, timings: Mapping[Case, Sequence[Timing]]) -> None:
    """Print the table, write it with every window as JSON, draw it, and log the medians."""
    rows, logged, drawn = [], {}, {}
    for case, found in timings.items():
        speeds = sorted(speed for timing in found for speed in timing.per_second)
        middle = median(speeds)
        share = median(median(timing.per_second) * timing.flops / timing.matrix_rate for timing in found)
        name = f"{case.system} {case.size} {case.precision}" + (f" beam {case.beam}" if task == "translating" else "")
        name += f" without {case.without}" if case.without else ""
        logged[f"{name}/{UNITS[task]}".replace("/s", " per second")] = middle
        drawn[name] = (middle, speeds[0], speeds[-1])
        rows.append(
            [
                name,
                f"{middle:,.0f}",
                f"{speeds[0]:,.0f} to {speeds[-1]:,.0f}",
                f"{of_ours(case, timings):.2f}",
                "" if found[0].real is None else f"{100 * found[0].real:.1f}%",
                f"{100 * share:.0f}%" if share else "",
                f"{max(timing.memory for timing in found):,.0f}",
                "" if found[0].bleu is None else f"{found[0].bleu:.1f}",
            ]
        )
    header = [
        task,
        UNITS[task],
        "from - to",
        "of ours in fp32",
        "no padding",
        "of the product rate",
        "peak MiB",
        "BLEU",
    ]
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    print("\n".join(columns([header, *rows])))
    folder = root() / FOLDER / "benchmarks"
    written = [asdict(case) | {"timings": [asdict(timing) for timing in found]} for case, found in timings.items()]
    table = {"machine": machine(), "threads": torch.get_num_threads(), "cases": written}
    write_json(folder / f"{task}.json", table)
    figures.speeds(drawn, f"{task.capitalize()}, {machine()}", UNITS[task], folder / f"{task}.png")
    log(task, logged, [folder / f"{task}.json", folder / f"{task}.png"])


def of_ours(case: Case, timings: Mapping[Case, Sequence[Timing]]) -> float:
    """Return the speed of a case as a share of ours in float32: the median over turns, each side by side."""
    ours = replace(case, system="entente", precision="fp32", without="")
    turns = zip(timings[case], timings.get(ours, timings[case]), strict=True)
    return median(median(one.per_second) / median(other.per_second) for one, other in turns)


def log(task: str, logged: Mapping[str, float], files: Sequence[Path]) -> None:
    """Keep figures and files in a run of their own."""
    runs = open_runs(compose([], root() / CONF).tracking)
    tags = {KIND: "benchmark"}
    with runs.train(f"benchmark {task}", "benchmark", {"task": task}, tags, resume=False) as run:
        run.metrics({re.sub(r"[^\w. /-]", "", name): value for name, value in logged.items()}, step=0)
        for file in files:
            run.artifact(file)


if __name__ == "__main__":
    main()
