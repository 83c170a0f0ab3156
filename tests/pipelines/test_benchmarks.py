"""Benchmarks run, and tell what they timed; how fast it was is no matter of tests."""

import csv
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from entente.errors import EntenteError
from entente.model import maps
from entente.text.corpus import read_lines
from entente.tracking.records import Records
from pipelines import benchmark
from pipelines.benchmarks import case, edges, growth, networks, scaling, training, translating
from pipelines.compose import CONF, compose, plain
from pipelines.job import Job
from tests.pipelines.thimble import THIMBLE

SHAPE = tuple(option for option in THIMBLE if option.startswith(("model.", "subwords.", "corpus.")))


@pytest.fixture
def small(there: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The thimble as every recipe's corpus, and little of everything."""
    for module in (training, translating):
        monkeypatch.setattr(module, "SIZES", {"tiny": SHAPE})
        monkeypatch.setattr(module, "ROUNDS", 1)
    monkeypatch.setattr(case, "SQUARE", 64)
    monkeypatch.setattr(training, "UPDATES", 2)
    monkeypatch.setattr(translating, "SENTENCES", 8)
    monkeypatch.setattr(Job, "prepare", lambda self, environment: None)
    monkeypatch.setattr(Job, "shared", there)
    for module in (growth, edges):
        monkeypatch.setattr(module, "compose", lambda overrides, conf: compose([*THIMBLE, *overrides], conf))
    yield there
    torch.set_num_threads(1)


def test_operations_are_counted_in_the_thread_that_counts() -> None:
    torch.set_num_threads(2)

    def work() -> float:
        assert torch.get_num_threads() == 1  # or a translator would work where the counter does not see it
        torch.ones(3, 4) @ torch.ones(4, 5)
        return 2.0

    assert case.operations(work) == 3 * 4 * 5
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


@pytest.mark.skipif(not maps.has_onednn(), reason="no oneDNN")
def test_operations_of_our_maps_are_counted_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "onednn_is_faster", lambda: True)
    x, layer = torch.randn(40, 32, requires_grad=True), maps.Map(32, 24)

    def work() -> float:
        layer(x).sum().backward()
        return 1.0

    assert case.operations(work) == 3 * 2 * 40 * 32 * 24


SPEEDS = {
    "training": (
        "--tokens 256 --accumulate 2 --precisions fp32 bf16 --without loss sorting attention dropout",
        [
            "entente fp32",
            "entente bf16",
            "torch fp32",
            *(f"entente fp32 {name}" for name in ("loss", "sorting", "attention", "dropout")),
        ],
    ),
    "translating": (
        "--systems entente torch ctranslate2 ctranslate2_int8 --beams 1 2",
        ["entente fp32"] * 2 + ["torch fp32"] + ["ctranslate2 fp32"] * 2 + ["ctranslate2_int8 fp32"] * 2,
    ),
}


@pytest.mark.parametrize("task", SPEEDS)
def test_speed_is_told_beside_others(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], task: str
) -> None:
    measure = {"training": training.measure, "translating": translating.measure}[task]
    monkeypatch.setattr(case.Case, "time", measure)  # in this process, where coverage looks
    options, expected = SPEEDS[task]
    monkeypatch.setattr("sys.argv", f"benchmark {task} --sizes tiny --recipe default --turns 1 {options}".split())
    benchmark.main()
    table = capsys.readouterr().out
    assert "torch tiny fp32" in table
    folder = small / "ablations" / "benchmarks"
    assert (folder / f"{task}.png").read_bytes().startswith(b"\x89PNG")
    cases = json.loads((folder / f"{task}.json").read_text())["cases"]
    assert [f"{one['system']} {one['precision']} {one['without']}".strip() for one in cases] == expected
    for one in cases:
        (timing,) = one["timings"]
        assert (timing["flops"] > 0) == (not one["system"].startswith("ctranslate2"))
        assert (timing["real"] is None) == (task == "translating")
    if task == "training":
        assert all(0 < one["timings"][0]["real"] <= 1 for one in cases)
        real = {one["system"] + one["without"]: one["timings"][0]["real"] for one in cases}
        assert real["entente"] > max(real["torch"], real["ententesorting"])


def test_trained_weights_translate_to_natural_lengths_and_are_scored(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = []

    def score(*given: Any) -> float:
        scored.append(given)
        return 50.0

    monkeypatch.setattr(translating, "bleu", score)
    monkeypatch.setattr(case.Case, "time", translating.measure)
    command = "benchmark translating --recipe default --turns 1 --beams 1 --model artifacts/model --systems entente"
    monkeypatch.setattr("sys.argv", [*command.split(), "ctranslate2"])
    benchmark.main()
    ours, exported = (line.split() for line in capsys.readouterr().out.splitlines()[-2:])
    assert (ours[:2], exported[:2]) == (["entente", "trained"], ["ctranslate2", "trained"])
    (own, references), (theirs, _) = scored
    assert all(other.startswith(one) for one, other in zip(own, theirs, strict=True))  # it never ends by itself
    assert list(references) == [[line] for line in read_lines(small / "data/prepared/val.fr")][:8]
    for words, refused in (
        (["torch", "marian"], "marian and torch cannot"),
        (["--sizes", "tiny"], "leave --sizes or"),
        (["eole", "--device", "cuda"], "eole is timed on a CPU alone"),
    ):
        monkeypatch.setattr("sys.argv", [*command.split(), *words])
        with pytest.raises(SystemExit, match=refused):
            benchmark.main()
    cases = json.loads((small / "ablations/benchmarks/translating.json").read_text())["cases"]
    assert [one["timings"][0]["bleu"] for one in cases] == [50.0, 50.0]


def test_other_speeds_are_shares_of_ours_turn_by_turn() -> None:
    def timings(*turns: float) -> list[case.Timing]:
        return [case.Timing([speed, 9 * speed, speed / 9], 0.0, 1.0, 1.0, 1.0) for speed in turns]

    ours = case.Case("training", "entente", "tiny", "fp32", "cpu", "default", "", 1, 1, 1)
    other = replace(ours, system="torch")
    timed = {ours: timings(10.0, 100.0, 20.0), other: timings(5.0, 20.0, 20.0)}
    assert benchmark.of_ours(ours, timed) == 1.0
    assert benchmark.of_ours(other, timed) == 0.5
    assert benchmark.of_ours(other, {other: timings(5.0)}) == 1.0  # nothing of ours to compare with


@pytest.mark.parametrize("work", growth.WORKS)
def test_a_little_of_each_work_is_timed(small: Path, work: str) -> None:
    assert growth.WORKS[work][0](60, small) > 0


def test_growth_is_told_point_by_point(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(growth, "WORKS", {"length attended over": (growth.attending, 8, 40, 4)})
    monkeypatch.setattr("sys.argv", ["benchmark", "growth"])
    benchmark.main()
    assert "length attended over" in capsys.readouterr().out
    with (small / "ablations/benchmarks/growth.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["amount"] for row in rows] == ["8", "32"]
    assert all(float(row["peak MiB"]) > 0 for row in rows)
    for figure in ("time", "memory"):
        assert (small / f"ablations/benchmarks/growth_{figure}.png").exists()
    (run,) = (
        one for one in Records("entente").tagged("entente.kind", "benchmark") if one.parameters["task"] == "growth"
    )
    assert {"length attended over/8 seconds", "length attended over/32 seconds"} <= run.figures.keys()
    monkeypatch.setattr("sys.argv", ["benchmark", "growth", "dreams"])
    with pytest.raises(SystemExit, match="there is no work `dreams` to measure; choose among: length"):
        benchmark.main()


def test_edges_are_told_and_logged(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(edges, "commanded", lambda command: [1.0, 3.0, 2.0])
    monkeypatch.setattr(edges, "to_the_first_updates", lambda: 31.0)
    monkeypatch.setattr(edges, "in_a_process", lambda: {"between updates, %": [2.0]})
    monkeypatch.setattr("sys.argv", ["benchmark", "edges"])
    benchmark.main()
    assert "`entente --help`, s" in capsys.readouterr().out
    (run,) = (
        one for one in Records("entente").tagged("entente.kind", "benchmark") if one.parameters["task"] == "edges"
    )
    assert run.figures["entente --help s"] == 2.0


def test_updates_that_processes_share_are_foreseen_from_their_parts(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def timed(size: str, processes: int, accumulate: int) -> scaling.Parts:
        return scaling.Parts(processes, 4, batch=1.0, step=0.5, sum=0.25 * (processes - 1), update=4.5 / processes)

    monkeypatch.setattr(scaling, "_apart", timed)
    monkeypatch.setattr(
        "sys.argv", ["benchmark", "scaling", "--sizes", "tiny", "--processes", "1", "2", "--accumulate", "4"]
    )
    benchmark.main()
    one, two = (line.split() for line in capsys.readouterr().out.splitlines()[1:3])
    assert one == ["tiny", "1", "1,000.0", "500.0", "0.0", "4,500.0", "4,500.0", "100%", "100%"]
    assert two == ["tiny", "2", "1,000.0", "500.0", "250.0", "2,250.0", "2,750.0", "100%", "82%"]
    assert (small / "ablations" / "benchmarks" / "scaling.json").exists()


@pytest.mark.filterwarnings("ignore:.*broadcast_buffers. is deprecated:FutureWarning")
def test_a_process_times_its_parts(there: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scaling, "ROUNDS", 1)
    monkeypatch.setattr(scaling, "UPDATES", 1)
    monkeypatch.setattr(networks, "TOKENS", 40)
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        parts = scaling._parts("tiny", 2)
        monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
        with pytest.raises(EntenteError, match="cannot be divided"):
            scaling._parts("tiny", 3)
    finally:
        distributed.destroy_process_group()
    assert parts.gradients > 1_000_000
    assert 0 < parts.batch < parts.update


def test_text_for_growth_comes_never_twice(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a\nb\n", encoding="utf-8")
    lines = growth.repeated(tmp_path / "text")
    assert [next(lines) for _ in range(5)] == ["a", "b", "a 2", "b 2", "a 3"]


def test_what_stands_beside_an_update_is_a_share_of_it(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edges, "UPDATES", 6)
    monkeypatch.setattr(edges, "WINDOW", 2)
    started = time.perf_counter()
    windows = edges._trained(plain(compose(THIMBLE, CONF)), small).windows
    assert len(windows) == 2  # the first one warms up
    assert all(within > 0 and between > 0 and threads >= 0 for within, between, threads in windows)
    assert sum(within + between for within, between, _ in windows) < time.perf_counter() - started


def test_what_tracks_is_counted_by_its_threads() -> None:
    worked, seen = threading.Event(), threading.Event()

    def work() -> None:
        sum(range(10**7))
        worked.set()
        seen.wait()

    before = edges.tracking_seconds()
    thread = threading.Thread(target=work, name=edges.THREADS[0])
    thread.start()
    worked.wait()
    assert edges.tracking_seconds() > before
    seen.set()
    thread.join()


def test_what_cannot_be_timed_is_no_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # where there is no such module
    with pytest.raises(EntenteError, match="what stands beside an update could not be timed"):
        edges.in_a_process()
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_command_that_fails_is_no_speed() -> None:
    assert len(edges.commanded([sys.executable, "-c", ""])) == edges.ROUNDS
    with pytest.raises(EntenteError, match="ended with status 3: no"):
        edges.commanded([sys.executable, "-c", "import sys; print('no', file=sys.stderr); sys.exit(3)"])


def test_a_pipeline_without_updates_is_told(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path / "empty"], check=True)
    monkeypatch.setattr(edges, "root", lambda: tmp_path / "empty")
    with pytest.raises(EntenteError, match="made no update"):
        edges.to_the_first_updates()


def test_a_case_that_fails_is_named(there: Path) -> None:
    with pytest.raises(EntenteError, match="training by nobody tiny could not be timed"):
        case.Case("training", "nobody", "tiny", "fp32", "nowhere", "default", str(there), 64, 1, 1).time()
