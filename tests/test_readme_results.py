"""The figures of README's results are those of the files that they come from."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COLUMNS = ("bleu", "chrf", "ter", "bleu_lower_tokenised")


def shown() -> dict[tuple[str, str], list[str]]:
    """Return the cells of README's table by recipe and test set."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Results")[2]
    rows = re.findall(r"^\| `([\w, ]+)`, ([^|]+?) \| (.+) \|$", text, flags=re.MULTILINE)
    return {(recipe, test): cells.split(" | ") for recipe, test, cells in rows}


def reached() -> dict[tuple[str, str], list[float]]:
    """Return the figures of the committed metrics, and of seed 1 in docs/results.md."""
    metrics = json.loads((ROOT / "artifacts/metrics/evaluate.json").read_text(encoding="utf-8"))
    found = {("default", test): [own[name] for name in COLUMNS] for test, own in metrics.items() if test != "probes"}
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    for recipe, test, cells in re.findall(
        r"^\| ([\w, ]+) \| baseline \| 1 \| ([\w/]+) \| (.+) \|$", page, flags=re.MULTILINE
    ):
        found.setdefault(
            (recipe, test.replace("/all_references", ", all references")),
            [float(cell) for cell in cells.split(" | ")[: len(COLUMNS)]],
        )
    return found


@pytest.mark.parametrize("row", sorted(shown()), ids="-".join)
def test_a_row_is_that_of_its_file(row: tuple[str, str]) -> None:
    figures = reached()[row]
    for cell, figure in zip(shown()[row], figures, strict=True):
        assert abs(float(cell) - figure) <= 0.0501


def compared() -> list[tuple[str, float, float]]:
    """Return the rows of README's table of networks on Multi30k that name an experiment: that and its two figures."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("**Multi30k**")[2].partition("**Tatoeba.**")[0]
    rows = re.findall(r"^\| [^|`]*\(`(\w+)`[^|]*\| ([\d.]+) \| ([\d.]+) \|", text, flags=re.MULTILINE)
    return [(experiment, float(bleu), float(tokenised)) for experiment, bleu, tokenised in rows]


def test_networks_on_multi30k_have_the_figures_of_the_page() -> None:
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    assert len(compared()) >= 5
    for experiment, *figures in compared():
        found = re.search(rf"^\| multi30k \| {experiment} \| 1 \| test2016 \| (.+) \|$", page, flags=re.MULTILINE)
        assert found, experiment
        cells = found[1].split(" | ")
        for figure, cell in zip(figures, (cells[0], cells[3]), strict=True):
            assert abs(figure - float(cell)) <= 0.0501, experiment


def test_what_may_help_on_few_sentences_has_the_figures_of_the_page() -> None:
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("sweep=few_sentences recipe=multi30k_brief")[2]
    told: dict[str, str] = {}
    for cell, figures in re.findall(
        r"^\| ([^|]*`[^|]*) \| ([\d., ]+) \|", text.partition("**Tatoeba.**")[0], re.MULTILINE
    ):
        told |= dict(zip(re.findall(r"`(\w+)`", cell), figures.split(", "), strict=True))
    runs = dict(re.findall(r"^\| multi30k_brief \| (\w+) \| 1 \| val \| ([\d.]+) \|", page, flags=re.MULTILINE))
    assert told.keys() == runs.keys() - {"baseline"}
    for experiment, figure in told.items():
        assert abs(float(figure) - float(runs[experiment])) <= 0.0501, experiment
