from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.image import imread

from entente.errors import EntenteError
from entente.evaluation.comparison import Row
from entente.evaluation.figures import bars, by_length, curves, heat_map
from entente.evaluation.speed_figures import growth, speeds

Draw = Callable[[Path], None]
LONG = "a_recurrent_network_with_additive_attention_over_a_single_vector"


def a_row(ablation: str, difference: float, p: float | None, seeds: int = 3) -> Row:
    mean = 90 + difference
    interval = None if seeds == 1 else (mean - 1, mean + 1)
    away = None if p is None else (difference - 1, difference + 1)
    return Row(ablation, seeds, mean, interval, difference, away, p, p, None, None, None)


ROWS = [a_row("baseline", 0, None), a_row("no_positions", -9, 0.001), a_row("$gelu$", 0.4, 0.6, seeds=1)]
LOSSES = {name: [(update, 900 / update + rank) for update in (300, 600, 900)] for rank, name in enumerate("ab$c$")}
LENGTHS = {"baseline": {"01-05": 90.0, "06-10": 80.0}, "no_positions": {"01-05": 70.0}}
TABLE = {"baseline": {"order": 100.0, "negation": 97.5}, "no_positions": {"order": 3.0}}
SPEEDS = {"ours": (900.0, 880.0, 950.0), "$theirs$": (300.0, 300.0, 300.0)}
GROWTH = {"$pairs$": [(10.0, 0.1), (100.0, 1.0)], "lengths": [(16.0, 0.2), (64.0, 0.9)]}
FIGURES: dict[str, Draw] = {
    "bars": lambda path: bars(ROWS, "A title with $mathematics$", "BLEU", path),
    "curves": lambda path: curves(LOSSES, "Loss", "nats", path),
    "by_length": lambda path: by_length(LENGTHS, "BLEU by length", path),
    "heat_map": lambda path: heat_map(TABLE, "Probes", "right answers, %", path),
    "speeds": lambda path: speeds(SPEEDS, "Speed", "pieces/s", path),
    "growth": lambda path: growth(GROWTH, "Time", "seconds", path),
}


def pixels(draw: Draw, path: Path) -> npt.NDArray[np.float32]:
    draw(path)
    return np.asarray(imread(path)[..., :3], np.float32)


def near(image: npt.NDArray[np.float32], colour: str) -> int:
    """Count the pixels of a colour."""
    return int((np.abs(image - matplotlib.colors.to_rgb(colour)).max(axis=-1) < 0.02).sum())


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_the_same_figure_is_the_same_file_whatever_the_style_in_force(draw: Draw, tmp_path: Path) -> None:
    draw(tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 20, "savefig.dpi": 30, "image.cmap": "gray", "lines.linewidth": 9}):
        draw(tmp_path / "two.png")
    one, two = ((tmp_path / name).read_bytes() for name in ("one.png", "two.png"))
    assert one == two
    assert b"Software" not in one
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: bars([a_row(f"{LONG}_{number}", -number, 0.5) for number in range(25)], "", "BLEU", path),
        lambda path: curves({f"{LONG}_{number}": [(1, 5.0), (2, 1.0)] for number in range(25)}, "", "nats", path),
        lambda path: by_length({f"{LONG}_{number}": {"01-05": 3.0} for number in range(25)}, "", path),
        lambda path: heat_map({f"{LONG}_{number}": {LONG: 3.0, "order": 2.0} for number in range(25)}, "", "", path),
        lambda path: bars([a_row("baseline", 0, None)], LONG * 3, "BLEU", path),
    ],
    ids=["bars", "curves", "by_length", "heat_map", "title"],
)
def test_nothing_is_cut_at_the_edges(draw: Draw, tmp_path: Path) -> None:
    image = pixels(draw, tmp_path / "figure.png")
    for edge in (image[:9], image[-9:], image[:, :9], image[:, -9:]):
        assert (edge == 1).all()
    assert max(image.shape) < 4000


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: bars([], "", "", path),
        lambda path: curves({"a": [(1, float("nan"))]}, "", "", path),
        lambda path: by_length({"a": {}}, "", path),
        lambda path: heat_map({"a": {}}, "", "", path),
    ],
    ids=["bars", "curves", "by_length", "heat_map"],
)
def test_nothing_to_draw_is_said(draw: Draw, tmp_path: Path) -> None:
    with pytest.raises(EntenteError, match=r"nothing to draw in .*figure\.png"):
        draw(tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())


def test_bars_rank_by_difference_whatever_the_order_given(tmp_path: Path) -> None:
    one, two = (
        pixels(lambda path, rows=rows: bars(rows, "", "BLEU", path), tmp_path / "bars.png")  # type: ignore[misc]
        for rows in (ROWS, ROWS[::-1])
    )
    assert (one == two).all()


def test_only_what_is_decided_is_filled_with_colour(tmp_path: Path) -> None:
    def coloured(difference: float, p: float) -> tuple[int, int]:
        rows = [a_row("baseline", 0, None), a_row("other", difference, p)]
        image = pixels(lambda path: bars(rows, "", "BLEU", path), tmp_path / "bars.png")
        return near(image, "#0072b2"), near(image, "#d55e00")

    assert coloured(-3, 0.2) == coloured(3, 0.2) == (0, 0)
    better, worse = coloured(3, 0.01), coloured(-3, 0.01)
    assert better[0] > 100
    assert worse[1] > 100
    assert better[1] == worse[0] == 0


def test_a_diverged_curve_ends_where_it_was_last_finite(tmp_path: Path) -> None:
    ended = {"a": LOSSES["a"], "b": [(300, 2.0), (600, 1.0)]}
    diverged = {"a": LOSSES["a"], "b": [*ended["b"], (900, float("nan")), (1200, float("inf"))]}
    one, two = (tmp_path / name for name in ("one.png", "two.png"))
    curves(ended, "", "nats", one)
    curves(diverged, "", "nats", two)
    assert one.read_bytes() == two.read_bytes()


def test_a_missing_cell_is_grey_and_a_0_is_not(tmp_path: Path) -> None:
    def greys(own: dict[str, float]) -> int:
        table = {"baseline": {"order": 50.0, "negation": 50.0}, "other": own}
        return near(pixels(lambda path: heat_map(table, "", "", path), tmp_path / "table.png"), "#f1f1f1")

    assert greys({"order": 50.0}) > 1000
    assert greys({"order": 50.0, "negation": float("nan")}) == greys({"order": 50.0})
    assert greys({"order": 50.0, "negation": 0.0}) < 200


def test_the_range_is_shaded_in_one_colour_or_from_a_middle(tmp_path: Path) -> None:
    def shade(value: float, lowest: float, highest: float, diverging: bool) -> npt.NDArray[np.float32]:
        image = pixels(
            lambda path: heat_map({"a": {"b": value}}, "", "", path, lowest, highest, diverging), tmp_path / "one.png"
        )
        inside = image[(image < 1).any(axis=-1)]
        colours, counts = np.unique(inside, axis=0, return_counts=True)
        return np.asarray(colours[counts.argmax()])

    assert shade(30, 0, 30, False).sum() < shade(0, 0, 30, False).sum()
    assert np.allclose(shade(30, 0, 30, False), shade(100, 0, 100, False))
    red, green, blue = shade(-2, -2, 2, True)
    assert red > max(green, blue)
    red, green, blue = shade(2, -2, 2, True)
    assert blue > max(red, green)
    assert np.ptp(shade(0, -2, 2, True)) < 0.05
