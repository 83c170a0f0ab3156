"""`python -m pipelines.screenshots`: what a person sees, photographed from this repository's own runs and model.

Needs a trained model, its runs in the tracking store, Chromium with its driver, and `pip install -e '.[test]'`.
"""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from entente.errors import EntenteError, for_people
from entente.model.weights import read_config
from entente.tracking.store import root, tracking_uri
from pipelines.register import NAME
from pipelines.tracked_run import open_runs

MODEL, PAGE, FILM = Path("artifacts/model"), Path("artifacts/attention.html"), Path("artifacts/film.html")
SHOTS = Path("docs/screenshots")
SENTENCE = "The cat, which is fluffy, sleeps."
PATIENCE = 120.0  # seconds for a server to start, or for something to appear
SETTLED = 1.5  # seconds in which what was asked for has drawn itself
CHARTS = 6.0  # and the charts of MLflow
# A picture for others does not say where on this machine the repository lies.
FORGET = """const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      if (node.data.includes(arguments[0])) node.data = node.data.replaceAll(arguments[0], "…");
    }"""


@for_people
def main() -> None:
    """Photograph the pages and the MLflow UI into docs/screenshots."""
    with _browser() as browser:
        _pages(Camera(browser))
        with _mlflow_ui() as url:
            _runs(Camera(browser), url)
    print(*sorted(SHOTS.glob("*.png")), sep="\n")


class Camera:
    """A browser that waits for what is to be seen, and photographs it."""

    def __init__(self, browser: Chrome) -> None:
        self.browser = browser

    def open(self, url: str, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """Open a page in a window of that size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.browser.get(url)

    def find(self, selector: str, text: str = "") -> WebElement:
        """Wait for the first element of a selector in which a text stands. Raises EntenteError where none comes."""

        def look(browser: Chrome) -> WebElement | None:
            found = browser.find_elements(By.CSS_SELECTOR, selector)
            return next((one for one in found if one.is_displayed() and text in one.text), None)

        try:
            drawn_anew = (StaleElementReferenceException,)  # while it was looked at
            seen = WebDriverWait(self.browser, PATIENCE, ignored_exceptions=drawn_anew).until(look)
        except Exception as error:
            raise EntenteError(f"{self.browser.current_url} shows no {selector} with {text!r}") from error
        assert isinstance(seen, WebElement)
        return seen

    def shoot(self, name: str, settled: float = SETTLED) -> None:
        """Photograph the window as docs/screenshots/NAME.png, after so many seconds."""
        time.sleep(settled)
        self.browser.execute_script(FORGET, str(root()))
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.browser.save_screenshot(SHOTS / f"{name}.png")


def _pages(camera: Camera) -> None:
    camera.open(PAGE.resolve().as_uri(), height=860)
    field = camera.find("#sentence")
    field.clear()
    field.send_keys(SENTENCE, Keys.ENTER)
    camera.find("input[value=encoder_self_attention]").click()
    camera.browser.execute_script("arguments[0].focus()", camera.find(".looking button", "fluffy"))
    camera.shoot("attention")
    camera.open(PAGE.resolve().as_uri(), 400, 860, dark=True)
    camera.find("input[value=heat]").click()
    camera.shoot("attention_phone")
    camera.open(PAGE.resolve().as_uri(), height=1180)
    camera.find("#models summary", "The search").click()
    camera.browser.execute_script("arguments[0].scrollIntoView()", camera.find(".tree"))
    camera.shoot("search")
    camera.open(FILM.resolve().as_uri(), height=1100)
    camera.find(".learnt thead button")
    moments = camera.browser.find_elements(By.CSS_SELECTOR, ".learnt thead button")
    moments[len(moments) // 2].click()
    camera.shoot("film")


def _runs(camera: Camera, url: str) -> None:
    found = open_runs().find(read_config(MODEL)["fingerprint"])
    if found is None:
        raise EntenteError("the tracking store has no run of the model in artifacts/model: `dvc repro` makes one")
    experiment, run = found.info.experiment_id, found.info.run_id
    its = f"experiments/{experiment}/runs/{run}"
    places = {
        "mlflow_runs": (f"experiments/{experiment}/runs", "a", found.info.run_name or run),
        "mlflow_curves": (f"{its}/model-metrics", "input[placeholder='Search metric charts']", ""),
        "mlflow_attention": (f"{its}/artifacts/attention/attention.html", "iframe", ""),
        "mlflow_model": (f"models/{NAME}", "a", "Version"),
    }
    for name, (place, selector, text) in places.items():
        camera.open(f"{url}/#/{place}?workflowType=machine_learning", 1400, 860)
        seen = camera.find(selector, text)
        if name == "mlflow_curves":
            seen.send_keys("val/|train/")
        camera.shoot(name, CHARTS)


@contextmanager
def _browser() -> Iterator[Chrome]:
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        raise EntenteError("there is no chromium with chromedriver: `apt-get install chromium chromium-driver`")
    options = ChromeOptions()
    options.binary_location = program
    for argument in ("headless", "no-sandbox", "disable-gpu", "hide-scrollbars", "no-first-run"):
        options.add_argument(f"--{argument}")
    browser = Chrome(options, ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


@contextmanager
def _mlflow_ui() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--backend-store-uri", tracking_uri()]
    with subprocess.Popen(
        [*command, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=root()
    ) as server:
        try:
            until = time.monotonic() + PATIENCE
            while not _answers(f"http://127.0.0.1:{port}/health"):
                if server.poll() is not None or time.monotonic() > until:
                    raise EntenteError(f"`mlflow ui` did not start: {' '.join(command)} says why")
                time.sleep(0.3)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


if __name__ == "__main__":
    main()
