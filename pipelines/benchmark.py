"""Speed: `python -m pipelines.benchmark training`, `... translating` or `... networks`.

`training` and `translating` time published sizes against a plain `torch.nn.Transformer`, the yardstick; `networks` the
baseline against the RNNs, by length of the sentences. All print a table, write it to ablations/benchmarks/ and log it.
Cases take turns, forwards and backwards, so that whatever else the machine does meets all alike; medians count.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from statistics import median

import torch
from tqdm import tqdm

from entente.errors import for_people
from entente.evaluation.report import columns, write_json
from entente.tracking.store import root
from entente.tracking.system import machine
from pipelines.benchmarks import networks
from pipelines.benchmarks.case import DTYPES, SIZES, Case, Timing
from pipelines.compose import CONF, compose, plain
from pipelines.job import FOLDER, Job
from pipelines.tracked_run import open_runs

SYSTEMS = ("entente", "torch")
UNITS = {"training": "target pieces/s", "translating": "sentences/s"}


@for_people
def main() -> None:
    """Time what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.benchmark", description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    for name, unit in UNITS.items():
        task = tasks.add_parser(name, help=f"{unit} of published sizes, against torch.nn.Transformer")
        task.add_argument("--sizes", nargs="+", default=["tiny", "small"], choices=SIZES)
        task.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
        task.add_argument("--recipe", default="multi30k", help="whose corpus and vocabulary (%(default)s)")
        task.add_argument("--tokens", type=int, default=4096, help="of a batch when training (%(default)s)")
        task.add_argument("--turns", type=int, default=2, help="of every case (%(default)s)")
        if name == "training":
            task.add_argument("--precisions", nargs="+", default=["fp32"], choices=DTYPES)
        else:
            task.add_argument("--beams", nargs="+", type=int, default=[1, 5])
    compared = tasks.add_parser("networks", help="the baseline against the RNNs, or other experiments")
    compared.add_argument("experiments", nargs="*", default=list(networks.NETWORKS))
    arguments = parser.parse_args()
    if arguments.task == "networks":
        networks.measure(arguments.experiments)
    else:
        report(arguments.task, timed(cases(arguments), arguments.turns))


def cases(arguments: argparse.Namespace) -> list[Case]:
    """Return what to time, ours before the yardstick, which knows float32 and greedy search."""
    job = Job("", plain(compose([f"recipe={arguments.recipe}"], root() / CONF)))
    job.prepare({})
    found = []
    for system, size, precision, beam in product(
        SYSTEMS, arguments.sizes, vars(arguments).get("precisions", ["fp32"]), vars(arguments).get("beams", [1])
    ):
        if system == "entente" or (precision == "fp32" and beam == 1):
            shape = {"task": arguments.task, "system": system, "size": size, "precision": precision, "beam": beam}
            where = {"device": arguments.device, "recipe": arguments.recipe, "tokens": arguments.tokens}
            found.append(Case(**shape, **where, prepared=str(job.shared)))
    return found


def timed(found: Sequence[Case], turns: int) -> dict[Case, list[Timing]]:
    """Time every case `turns` times, every other turn in reverse order."""
    timings: dict[Case, list[Timing]] = {case: [] for case in found}
    order = [case for turn in range(turns) for case in (found if turn % 2 == 0 else reversed(found))]
    for case in tqdm(order, "timing", unit=" cases"):
        timings[case].append(case.time())
    return timings


def report(task: str, timings: dict[Case, list[Timing]]) -> None:
    """Print the table, write it with every window as JSON, and log the medians."""
    rows, figures = [], {}
    for case, found in timings.items():
        speeds = sorted(speed for timing in found for speed in timing.per_second)
        middle = median(speeds)
        share = median(median(timing.per_second) * timing.flops / timing.matrix_rate for timing in found)
        name = f"{case.system} {case.size} {case.precision}" + (f" beam {case.beam}" if task == "translating" else "")
        figures[f"{name}/{UNITS[task]}".replace("/s", " per second")] = middle
        rows.append(
            [
                name,
                f"{middle:,.0f}",
                f"{speeds[0]:,.0f} to {speeds[-1]:,.0f}",
                f"{100 * found[0].real:.1f}%",
                f"{100 * share:.0f}%",
                f"{max(timing.memory for timing in found):,.0f}",
            ]
        )
    header = [task, UNITS[task], "from - to", "no padding", "of the product rate", "peak MiB"]
    print("\n".join(columns([header, *rows])))
    file = root() / FOLDER / "benchmarks" / f"{task}.json"
    written = [asdict(case) | {"timings": [asdict(timing) for timing in found]} for case, found in timings.items()]
    write_json(file, {"machine": machine(), "threads": torch.get_num_threads(), "cases": written})
    runs = open_runs(compose([], root() / CONF).tracking)
    tags = {"entente.kind": "benchmark"}
    with runs.train(f"benchmark {task}", "benchmark", {"task": task}, tags, resume=False) as run:
        run.metrics(figures, step=0)
        run.artifact(file)


if __name__ == "__main__":
    main()
