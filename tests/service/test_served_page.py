"""The page as it is served, in a real browser: what does not run in it, the server is asked for."""

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from entente.pages.attention import Shown

pytestmark = pytest.mark.services


def panels(browser: Chrome) -> list[str]:
    # In one go: between two the page may draw them anew.
    return list(browser.execute_script("return [...document.querySelectorAll('.model')].map((one) => one.innerText)"))


def typed(browser: Chrome, sentence: str) -> None:
    field = browser.find_element(By.ID, "sentence")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(sentence, Keys.ENTER)


def test_any_sentence_is_translated_also_by_what_does_not_run_in_the_page(
    browser: Chrome, url: str, shown: list[Shown]
) -> None:
    browser.get(url)
    transformer, rnn = panels(browser)
    typed(browser, "Do you see the cat?")
    [expected] = shown[1].translator.translate(["Do you see the cat?"])
    WebDriverWait(browser, 20).until(lambda page: "layer 1" in panels(page)[1] and panels(page)[1] != rnn)
    assert expected.strip() in panels(browser)[1].splitlines()
    assert panels(browser)[0] != transformer
    log = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert [entry for entry in log if entry["level"] == "SEVERE"] == []


def test_the_last_sentence_asked_is_the_one_that_is_shown(browser: Chrome, url: str, shown: list[Shown]) -> None:
    browser.get(url)
    browser.execute_script(  # the first answer comes last, and says that it failed
        """const whole = fetched;
        fetched = async (look) => {
          if (look.sentence === "The cat slept.") {
            await new Promise((done) => (window.later = done));
            return look.models.map(() => ({ error: "too late" }));
          }
          return whole(look);
        };"""
    )
    typed(browser, "The cat slept.")
    typed(browser, "I love the cat.")
    WebDriverWait(browser, 20).until(lambda page: "layer 1" in panels(page)[1])
    browser.execute_script("later()")
    [expected] = shown[1].translator.translate(["I love the cat."])
    assert expected.strip() in panels(browser)[1].splitlines()


def test_what_the_server_cannot_read_is_said(browser: Chrome, url: str) -> None:
    browser.get(url)
    typed(browser, "catcat" * 60)
    WebDriverWait(browser, 20).until(lambda page: "reads at most 200" in panels(page)[1])
