"""The attention page in a real browser: its network computes what PyTorch does, and a person can look around."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from entente.decoding.translator import Translator
from entente.evaluation import dissection
from entente.evaluation.attention_maps import attention_maps
from entente.pages.attention import ALIVE, write
from entente.text.cleaning import normalise
from entente.text.words import words
from tests.model.networks import options, recurrent_options
from tests.pages.conftest import Make

pytestmark = pytest.mark.services
SENTENCE = "The cat, which is fluffy, sleeps."
TYPED = ["I love you.", "  Où est-ce 😀 ﬁn?\tnaïve", "cat", "The cat's \u00a0fluffy.", "¿日本?"]
CLOSE = 1e-5  # attention; the network's own weights have 16 bits on both sides
SAME = 1e-6  # relative, of log-probabilities
NETWORKS: dict[str, dict[str, Any]] = {
    f"{place}={kind}": {place: {"kind": kind}}
    for place, kinds in ALIVE.items()
    for kind in kinds
    if options()[place]["kind"] != kind
} | {"separate-embeddings": {"shared_embeddings": False}}


@pytest.fixture
def opened(browser: Chrome, make: Make, page: Path) -> Iterator[Chrome]:
    """The page of a baseline and of the same network without positions."""
    without = options(encoder_positions={"kind": "none"}, decoder_positions={"kind": "none"})
    write([make(options(), "unigram"), make(without, "unigram")], [SENTENCE, "I love you."], page)
    browser.get(page.as_uri())
    yield browser
    log = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert [entry for entry in log if entry["level"] == "SEVERE"] == []


def all_of(browser: Chrome, selector: str) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, selector)


def said(browser: Chrome) -> str:
    return str(browser.find_element(By.ID, "said").text)


@pytest.mark.parametrize("name", ["bpe", "unigram", *NETWORKS])
def test_the_network_of_the_page_is_that_of_pytorch(browser: Chrome, make: Make, page: Path, name: str) -> None:
    shown = make(options(**NETWORKS.get(name, {})), name if name in ("bpe", "unigram") else "unigram")
    translator, subwords = shown.translator, shown.translator.subwords
    write([shown], [SENTENCE], page)
    browser.get(page.as_uri())
    texts = [SENTENCE, *TYPED]
    found = browser.execute_script(
        """return arguments[0].map((text) => {
          const { translation, logProbability, source, maps } = look(
            models[0].network, models[0].subwords, text, data.decoding, untouched());
          const plain = Object.entries(maps).map(([kind, layers]) => [kind, layers.map((one) => [...one.weights])]);
          return { translation, logProbability, source, words: words(source), maps: Object.fromEntries(plain) };
        })""",
        texts,
    )
    clean = [normalise(text) for text in texts]
    best = [hypotheses[0] for hypotheses in translator.hypotheses(texts, 1)]
    for text, expected, got in zip(clean, best, found, strict=True):
        ids = subwords.encode([text])[0]
        pieces = subwords.pieces([*ids, 3])
        assert got["source"] == pieces
        assert [(one["text"], tuple(one["positions"])) for one in got["words"]] == [
            (one.text, one.positions) for one in words(pieces)
        ]
        assert got["translation"] == expected.text
        assert got["logProbability"] == pytest.approx(expected.log_probability, rel=SAME)
    forced = subwords.encode([SENTENCE, "Le chat dort."])
    seen = browser.execute_script(
        """const seen = watch(models[0].network, ...arguments[0], untouched());
        return Object.fromEntries(Object.entries(seen).map(([kind, layers]) =>
          [kind, layers.map(({ weights }) => [...weights])]));""",
        forced,
    )
    for one in attention_maps(translator.network, subwords, *forced):
        np.testing.assert_allclose(np.array(seen[one.kind]).reshape(one.weights.shape), one.weights, atol=CLOSE)


def test_what_is_taken_away_in_the_page_is_what_dissection_takes_away(browser: Chrome, make: Make, page: Path) -> None:
    shown = make(options(), "unigram")
    network = shown.translator.network
    write([shown], [SENTENCE], page)
    browser.get(page.as_uri())

    def agree(translator: Translator, how: str) -> None:
        [[expected]] = translator.hypotheses([SENTENCE], 1)
        found = browser.execute_script(
            "return look(models[0].network, models[0].subwords, arguments[0], data.decoding,"
            f" {{...untouched(), {how}}})",
            SENTENCE,
        )
        assert found["translation"] == expected.text
        assert found["logProbability"] == pytest.approx(expected.log_probability, rel=SAME)

    with dissection.without(network, [dissection.Head("cross_attention", 2, 3)]):
        agree(shown.translator, "off: new Set(['cross_attention.1.2'])")
    with dissection.cut(network, [(1, 0), (2, 0), (2, 1)], "encoder_self_attention"):
        agree(shown.translator, "edges: [[1, 0], [2, 0], [2, 1]]")
    others: dict[str, dict[str, Any]] = {
        "mask": {"kind": "unmasked_transformer"},
        "positions": {"encoder_positions": {"kind": "none"}, "decoder_positions": {"kind": "none"}},
    }
    for part, changes in others.items():
        other = make(options(**changes), "unigram")
        other.translator.network.load_state_dict(network.state_dict())
        agree(other.translator, f"{part}: false")


def test_pointing_at_a_word_lights_what_it_looks_at(opened: Chrome) -> None:
    opened.find_element(By.CSS_SELECTOR, "input[value=encoder_self_attention]").click()
    looking = all_of(opened, ".looking button")
    assert not all_of(opened, ".seen")
    ActionChains(opened).move_to_element(looking[0]).perform()
    assert all_of(opened, ".seen")
    assert len(all_of(opened, "[aria-current=true]")) == 2  # in both models
    assert f"“{looking[0].text}” looks at " in said(opened)
    shares = [int(share.text.rstrip("%")) for share in all_of(opened, ".model:first-child .share")]
    assert 50 < sum(shares) <= 101


def test_arrow_keys_walk_from_word_to_word(opened: Chrome) -> None:
    first, second = all_of(opened, ".looking button")[:2]
    opened.execute_script("arguments[0].focus()", first)
    before = said(opened)
    first.send_keys(Keys.ARROW_DOWN)
    assert opened.switch_to.active_element == second
    assert said(opened) not in ("", before)


def test_another_head_has_another_map(opened: Chrome) -> None:
    def drawn() -> list[str]:
        return [path.get_attribute("style") or "" for path in all_of(opened, ".model:first-child .arcs path")]

    before = drawn()
    head = all_of(opened, "[data-head='layer 1, head 2']")[0]
    assert head.get_attribute("aria-pressed") == "false"
    head.click()
    assert all_of(opened, "[data-head='layer 1, head 2']")[0].get_attribute("aria-pressed") == "true"
    assert drawn() != before


def translations(browser: Chrome) -> list[str]:
    return [one.text for one in all_of(browser, ".translation")]


def ask(browser: Chrome, sentence: str) -> None:
    field = browser.find_element(By.ID, "sentence")
    field.clear()
    field.send_keys(sentence, Keys.ENTER)


def test_a_sentence_is_typed_and_a_part_taken_away(opened: Chrome) -> None:
    ask(opened, "The fluffy cat  sleeps.")
    typed = translations(opened)
    assert len(typed) == 2
    assert said(opened).endswith(typed[1])
    opened.find_element(By.CSS_SELECTOR, "#switches summary").click()
    mask, positions = all_of(opened, "#switches input[type=checkbox]")
    head = opened.find_element(By.CSS_SELECTOR, "#switches select")
    edge = opened.find_element(By.ID, "edge")
    positions.click()
    assert translations(opened)[0] != typed[0]
    assert translations(opened)[1] == typed[1]  # which has none
    positions.click()
    assert translations(opened) == typed
    for change in (mask.click, lambda: Select(head).select_by_index(1)):
        before = scores(opened)
        change()
        assert scores(opened) != before
    mask.click()
    Select(head).select_by_index(0)
    before = scores(opened)
    edge.send_keys("cat>fluffy", Keys.TAB)
    assert scores(opened) != before
    for wrong in ("dog>cat", "cat>cat#2", "cat"):
        edge.clear()
        edge.send_keys(wrong, Keys.TAB)
        assert "fluffy" in str(edge.get_property("validationMessage"))
        assert scores(opened) == before
    edge.clear()
    edge.send_keys("cat>fluffy", Keys.TAB)
    ask(opened, "I love you.")  # which has no such words
    assert "love" in str(edge.get_property("validationMessage"))


def scores(browser: Chrome) -> list[float]:
    return list(browser.execute_script("return models.map((model) => model.look().seen.logProbability)"))


def test_what_is_typed_counts_when_it_is_asked(opened: Chrome) -> None:
    before = translations(opened)
    opened.find_element(By.ID, "sentence").send_keys(" And dogs")
    opened.find_element(By.CSS_SELECTOR, "input[value=heat]").click()
    assert translations(opened) == before


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [("", "There is no sentence."), ("cat " * 300, "fragments; this network reads at most 200.")],
    ids=["nothing", "too much"],
)
def test_a_sentence_that_cannot_be_read_is_told(opened: Chrome, sentence: str, problem: str) -> None:
    opened.execute_script("document.getElementById('sentence').value = arguments[0]", sentence)
    opened.find_element(By.CSS_SELECTOR, "#ask button").click()
    assert all(problem in one.text for one in all_of(opened, ".model p"))
    ask(opened, "valueOf")
    assert len(translations(opened)) == 2


def test_a_word_that_the_other_translation_lacks_is_lit_in_its_own_alone(opened: Chrome) -> None:
    rows = [[one.text for one in all_of(opened, f".model:nth-child({n}) .looking button")] for n in (1, 2)]
    for place, word in enumerate(rows[0]):
        button = all_of(opened, ".model:first-child .looking button")[place]
        opened.execute_script("arguments[0].focus()", button)
        lit = [one.text for one in all_of(opened, "[aria-current=true]")]
        assert lit == [word] * (1 + (rows[1].count(word) >= rows[0][: place + 1].count(word)))
    assert not opened.execute_script(
        "return [...document.querySelectorAll('.seen')].some(e => e.style.cssText.includes('NaN'))"
    )


def test_the_mask_is_seen_and_fragments_can_be(opened: Chrome) -> None:
    def choose(value: str) -> list[str]:
        opened.find_element(By.CSS_SELECTOR, f"input[value={value}]").click()
        return [button.text for button in all_of(opened, ".model:first-child .looking button")]

    choose("heat")
    assert not all_of(opened, ".key")
    assert choose("decoder_self_attention")[0] == "⟨start⟩"
    assert "hidden by the mask" in all_of(opened, ".key")[0].text
    whole = choose("encoder_self_attention")
    assert "fluffy" in whole
    fragments = choose("pieces")
    assert len(fragments) > len(whole)
    assert any(fragment.startswith("·") for fragment in fragments)


def test_the_search_is_a_tree_and_stays_open(opened: Chrome) -> None:
    def search() -> list[WebElement]:
        return all_of(opened, ".model:first-child details")

    search()[0].find_element(By.CSS_SELECTOR, "summary").click()
    WebDriverWait(opened, 20).until(lambda page: all_of(page, ".tree text.best"))  # what opens is drawn a moment later
    best = [node.text for node in all_of(opened, ".tree text.best")]
    assert best[-1] == "⟨end⟩"
    assert len(all_of(opened, ".tree path.best")) == len(best) - 1
    translation = all_of(opened, ".translation")[0].text
    assert all_of(opened, ".model:first-child ol li")[0].text.startswith(f"{translation} (score ")
    opened.find_element(By.CSS_SELECTOR, "input[value=heat]").click()
    assert search()[0].get_attribute("open")
    search()[1].find_element(By.CSS_SELECTOR, "summary").click()
    WebDriverWait(opened, 20).until(lambda page: len(all_of(page, ".model:first-child figure canvas")) == 2)
    assert len(all_of(opened, ".model:last-child details")) == 1  # it has no positions


def test_models_of_other_kinds_and_vocabularies_stand_side_by_side(browser: Chrome, make: Make, page: Path) -> None:
    small = make(options(heads=2, decoder_layers=1), "bpe")
    write([make(options(), "unigram"), small, make(recurrent_options())], [SENTENCE], page)
    browser.get(page.as_uri())
    shown = translations(browser)
    assert len(shown) == 3
    browser.find_element(By.CSS_SELECTOR, "#switches summary").click()
    browser.find_element(By.ID, "edge").send_keys("fluffy>cat", Keys.TAB)
    assert "Nothing is taken away here" in browser.find_element(By.ID, "models").text
    assert translations(browser)[2] == shown[2]
    counts = browser.execute_script("return models.slice(0, 2).map((model) => model.how().edges.length)")
    assert all(counts)
    assert counts[0] != counts[1]  # each cuts its own fragments
    last = all_of(browser, ".model:nth-child(2) [data-head='layer 1, head 2']")[0]
    last.click()
    assert browser.switch_to.active_element == all_of(browser, ".model:nth-child(2) [data-head='layer 1, head 2']")[0]
    assert [len(all_of(browser, f".model:nth-child({n}) [aria-pressed=true]")) for n in (1, 2, 3)] == [1, 1, 1]


def test_a_recorded_network_says_that_it_does_not_run(browser: Chrome, make: Make, page: Path) -> None:
    write([make(recurrent_options())], [SENTENCE], page)
    browser.get(page.as_uri())
    assert not browser.find_element(By.ID, "switches").is_displayed()
    assert all_of(browser, ".arcs path")
    ask(browser, "Another one.")
    assert "does not run in the page" in all_of(browser, ".model p")[0].text
    ask(browser, SENTENCE.replace(" ", "  "))
    assert all_of(browser, ".arcs path")


def test_a_network_without_a_mask_is_not_said_to_have_one(browser: Chrome, make: Make, page: Path) -> None:
    write([make(options(kind="unmasked_transformer"))], [SENTENCE], page)
    browser.get(page.as_uri())
    for value in ("decoder_self_attention", "heat"):
        browser.find_element(By.CSS_SELECTOR, f"input[value={value}]").click()
    assert all_of(browser, ".heat canvas")
    assert not all_of(browser, ".key")


def test_sixty_words_are_drawn_once_and_pointing_at_one_draws_nothing_anew(
    browser: Chrome, make: Make, page: Path
) -> None:
    """What makes a page scroll smoothly, without a clock: few elements, and none made anew as one moves over it."""
    write([make(options(), "unigram")], [" ".join(["I love you."] * 16)], page)
    browser.get(page.as_uri())
    browser.find_element(By.CSS_SELECTOR, "input[value=encoder_self_attention]").click()
    looking = all_of(browser, ".looking button")
    assert len(looking) > 60
    assert len(all_of(browser, "*")) < 6000
    browser.execute_script(
        """window.made = 0;
        new MutationObserver((all) => all.forEach(({ addedNodes }) => addedNodes.forEach((node) =>
          (made += node.nodeType === 1 && !node.classList.contains("share"))))).observe(document.body,
          { childList: true, subtree: true });"""
    )
    for word in looking[3:40:12]:
        ActionChains(browser).scroll_to_element(word).move_to_element(word).perform()
        assert word.get_attribute("aria-current") == "true"
    assert browser.execute_script("return made") == 0
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
