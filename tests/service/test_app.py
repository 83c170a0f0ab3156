"""A real server on the loopback: what it answers, to many at once, and what it refuses."""

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from entente.pages.attention import TITLE, Shown
from entente.service.answers import MOST_CHARACTERS, MOST_SENTENCES, MOST_WORK
from entente.service.app import MOST_BYTES, names
from entente.translator import Translator
from tests.conftest import SENTENCES

MANY = 40  # more than can be answered while the server ends
ENTENTE = [sys.executable, "-m", "entente.cli"]


def ask(url: str, **question: Any) -> Any:
    reply = requests.post(f"{url}/translate", json=question, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()["translations"]


def test_it_translates_as_the_model_does(url: str, shown: list[Shown]) -> None:
    expected = list(shown[0].translator.translate(SENTENCES))
    assert ask(url, sentences=SENTENCES) == [{"translation": text} for text in expected]


def test_the_n_best_and_the_attention_come_when_they_are_asked_for(url: str, shown: list[Shown]) -> None:
    [answer] = ask(url, sentences=["I love you."], n_best=3, attention=True)
    [best] = shown[0].translator.hypotheses(["I love you."], 3)
    assert [one["text"] for one in answer["hypotheses"]] == [one.text for one in best]
    assert [one["score"] for one in answer["hypotheses"]] == pytest.approx([one.score for one in best])
    seen = answer["attention"]
    for kind, (rows, columns) in {
        "encoder_self_attention": ("source", "source"),
        "decoder_self_attention": ("heard", "heard"),
        "cross_attention": ("written", "source"),
    }.items():
        for sheet in (sheet for layer in seen["weights"][kind] for sheet in layer):
            assert (len(sheet), len(sheet[0])) == (len(seen[rows]), len(seen[columns]))
            for row in sheet:
                assert sum(row) == pytest.approx(1, abs=1e-3)


def test_a_search_is_as_wide_as_it_is_asked_to_be(url: str, shown: list[Shown]) -> None:
    translator = shown[0].translator
    for beam in (1, 9):
        decoding = replace(translator.decoding, beam=beam)
        asked = Translator(translator.network, translator.subwords, decoding, translator.device)
        [answer] = ask(url, sentences=["I love you."], beam=beam)
        assert [answer["translation"]] == list(asked.translate(["I love you."]))


def test_many_who_ask_at_once_have_the_answers_of_one_alone(url: str) -> None:
    alone = [ask(url, sentences=[sentence], beam=beam) for sentence in SENTENCES for beam in (1, 4)]
    with ThreadPoolExecutor(16) as pool:
        asked = [(sentence, beam) for sentence in SENTENCES for beam in (1, 4)] * 3
        together = list(pool.map(lambda one: ask(url, sentences=[one[0]], beam=one[1]), asked))
    assert together == alone * 3


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ({}, "sentences: Field required"),
        ({"sentences": "I love you."}, "sentences: Input should be a valid list"),
        ({"sentences": []}, "at least 1"),
        ({"sentences": [3]}, "sentences.0: Input should be a valid string"),
        ({"sentences": ["\ud800"]}, "sentences.0: Input should be a valid string, unable to parse"),
        ({"sentences": ["a" * (MOST_CHARACTERS + 1)]}, f"at most {MOST_CHARACTERS} characters"),
        ({"sentences": ["a"] * (MOST_SENTENCES + 1)}, f"at most {MOST_SENTENCES} items"),
        ({"sentences": ["a"], "beam": 0}, "beam: Input should be greater than or equal to 1"),
        ({"sentences": ["a"], "beam": 1000}, "beam: Input should be less than or equal to"),
        ({"sentences": ["a"], "beam": 2, "n_best": 3}, "n_best is 3, and the beam 2: ask for fewer"),
        ({"sentences": ["a"], "length_penalty": "much"}, "length_penalty: Input should be a valid number"),
        ({"sentences": ["cat " * 100] * 80, "beam": 32}, f"a beam of 32: ask for at most {MOST_WORK // 32} at once"),
        ({"sentences": ["a"], "bean": 3}, "bean: Extra inputs are not permitted"),
        ([], "Input should be a valid dictionary"),
    ],
)
def test_what_cannot_be_answered_is_told_in_words(url: str, question: Any, problem: str) -> None:
    reply = requests.post(f"{url}/translate", json=question, timeout=60)
    assert reply.status_code == 422
    assert problem in reply.json()["error"]


def test_a_sentence_that_the_network_cannot_read_is_told_too(url: str) -> None:
    reply = requests.post(f"{url}/translate", json={"sentences": ["catcat" * 60]}, timeout=60)
    assert reply.status_code == 400
    assert "this model reads at most 200" in reply.json()["error"]


def test_attention_that_fills_the_memory_is_refused(url: str) -> None:
    question = {"sentences": ["cat dog " * 12] * 60, "attention": True}
    reply = requests.post(f"{url}/translate", json=question, timeout=60)
    assert reply.status_code == 400
    assert reply.json()["error"] == "the attention is more than 1,000,000 numbers: ask for fewer sentences at once"


@pytest.mark.parametrize(
    ("host", "called", "not_called"),
    [
        ("127.0.0.1", "localhost", "*"),
        ("::1", "[::1]", "*"),
        ("127.0.0.2", "127.0.0.2", "*"),
        ("0.0.0.0", "*", "[::1]"),
    ],
)
def test_on_the_loopback_it_has_the_names_of_the_loopback_alone(host: str, called: str, not_called: str) -> None:
    assert called in names(host)
    assert not_called not in names(host)


def test_what_is_no_json_or_too_long_or_not_there_is_refused(url: str) -> None:
    kind = {"Content-Type": "application/json"}
    reply = requests.post(f"{url}/translate", data="nonsense", headers=kind, timeout=60)
    assert reply.status_code == 422
    assert reply.json()["error"].startswith("the request is no JSON")
    parts = (b" " * 10_000 for _ in range(MOST_BYTES // 10_000 + 1))  # no length told beforehand
    reply = requests.post(f"{url}/translate", data=parts, headers=kind, timeout=60)
    assert (reply.status_code, reply.json()["error"]) == (413, "a request has at most 3,000,000 bytes: ask in several")
    assert requests.get(f"{url}/nowhere", timeout=60).json() == {"error": "Not Found"}
    assert requests.get(url, headers={"Host": "evil.example"}, timeout=60).status_code == 400


def test_the_command_serves_until_ctrl_c_and_says_where(model_folder: Path) -> None:
    command = [*ENTENTE, "serve", "--model", str(model_folder), "--device", "cpu", "--port"]
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"(http://127\.0\.0\.1:(\d+)/) ", line)
        assert found, line
        assert f"<title>{TITLE}</title>" in requests.get(found[1], timeout=60).text
        taken = subprocess.run([*command, found[2]], capture_output=True, text=True, check=False)
        assert taken.returncode == 1
        assert re.search(rf"error: cannot serve at 127.0.0.1, port {found[2]} .*--port", taken.stderr)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 0


def test_who_still_waits_when_it_is_asked_to_end_is_told(model_folder: Path) -> None:
    command = [*ENTENTE, "serve", "--model", str(model_folder), "--device", "cpu", "--port", "0"]
    long = {"sentences": ["cat dog " * 12] * 60}
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        ThreadPoolExecutor(MANY) as askers,
    ):
        assert process.stdout is not None
        url = process.stdout.readline().split(" ")[0]
        replies = [askers.submit(requests.post, f"{url}translate", json=long, timeout=60) for _ in range(MANY)]
        next(as_completed(replies)).result()  # the others wait
        os.kill(process.pid, signal.SIGINT)
        wait(replies)
        _, err = process.communicate(timeout=60)
    # Whose call was not yet taken has no answer.
    answers = [reply.result() for reply in replies if not isinstance(reply.exception(), requests.ConnectionError)]
    assert process.returncode == 0
    assert {answer.status_code for answer in answers} == {200, 503}
    told = {answer.json()["error"] for answer in answers if answer.status_code == 503}
    assert told == {"the server was asked to end: ask again later"}
    assert "Traceback" not in err
