"""The film of a training, in a real browser: a slider over its moments."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from entente.pages.film import Frame, write
from tests.model.networks import options
from tests.pages.conftest import Make

pytestmark = pytest.mark.services
SENTENCES = ["The cat, which is fluffy, sleeps.", "I love you."]
UPDATES = [15, 990, 1800]


@pytest.fixture
def frames(make: Make) -> list[Frame]:
    """Three networks that have learnt nothing, as if they were moments of one that learns."""
    seen = [list(make(options(), seed=seed).translator.attend(SENTENCES)) for seed in UPDATES]
    right = [{"negation": 0.0, "agreement_far": percent} for percent in (0.0, 40.0, 97.5)]
    return [Frame(*frame) for frame in zip(UPDATES, seen, right, strict=True)]


@pytest.fixture
def film(browser: Chrome, frames: list[Frame], page: Path) -> Iterator[Chrome]:
    write(frames, page)
    browser.get(page.as_uri())
    yield browser
    log = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert [entry for entry in log if entry["level"] == "SEVERE"] == []


def told(film: Chrome) -> tuple[str, str]:
    label = film.find_element(By.CSS_SELECTOR, "label[for=moment]").text
    return label, film.find_element(By.CSS_SELECTOR, ".translation").text


def test_it_begins_at_the_end_and_the_slider_goes_back(film: Chrome, frames: list[Frame]) -> None:
    moments = [(f"after {frame.updates:,} updates", " ".join(frame.seen[0].translation.split())) for frame in frames]
    assert told(film) == moments[2]
    weights = film.execute_script("return models[0].look().seen.maps.cross_attention[0].weights[0]")
    slider = film.find_element(By.ID, "moment")
    for moment in moments[1::-1]:
        slider.send_keys(Keys.ARROW_LEFT)
        assert told(film) == moment
    assert slider.get_attribute("aria-valuetext") == "after 15 updates"
    first = film.execute_script("return models[0].look().seen.maps.cross_attention[0].weights[0]")
    assert first == pytest.approx(float(frames[0].seen[0].maps[2].weights[0, 0, 0, 0]), abs=1e-4)
    assert first != weights


def test_what_was_learnt_is_a_table_whose_columns_are_moments(film: Chrome, frames: list[Frame]) -> None:
    rows = [row.text.split() for row in film.find_elements(By.CSS_SELECTOR, ".learnt tr")]
    assert rows == [
        ["updates", "15", "990", "1,800"],
        ["negation", "0", "0", "0"],
        ["agreement", "far", "0", "40", "98"],
    ]
    film.find_elements(By.CSS_SELECTOR, ".learnt button")[1].click()
    assert told(film)[0] == "after 990 updates"
    assert [cell.text for cell in film.find_elements(By.CSS_SELECTOR, ".learnt .now")] == ["990", "0", "40"]


def test_it_runs_from_the_beginning_to_the_end(film: Chrome) -> None:
    film.find_element(By.CSS_SELECTOR, ".moments button").click()
    assert told(film)[0] == "after 15 updates"
    WebDriverWait(film, 20).until(lambda page: told(page)[0] == "after 1,800 updates")
    WebDriverWait(film, 20).until(lambda page: page.find_element(By.CSS_SELECTOR, ".moments button").text == "Run")


def test_other_sentences_of_it_can_be_chosen_and_none_else(film: Chrome, frames: list[Frame]) -> None:
    field = film.find_element(By.ID, "sentence")
    for sentence, expected in ((SENTENCES[1], frames[2].seen[1].translation), ("Who are you?", None)):
        field.clear()
        field.send_keys(sentence, Keys.ENTER)
        if expected is not None:
            assert told(film)[1] == " ".join(expected.split())
    assert "only recorded sentences can be seen" in film.find_element(By.CSS_SELECTOR, ".model p").text
    assert not film.find_element(By.ID, "switches").is_displayed()


def test_the_same_frames_are_the_same_bytes(frames: list[Frame], tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(frames, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
