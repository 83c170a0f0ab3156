"""Requests to the service: whatever comes is answered in words, and the service goes on."""

import http.client
import json
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests

from tests.rubbish.table import table

JSON: Mapping[str, str] = {"Content-Type": "application/json"}


class Request(NamedTuple):
    body: bytes | str | None = None
    method: str = "POST"
    path: str = "/translate"
    headers: Mapping[str, str] = JSON


def asked(**question: Any) -> Request:
    return Request(json.dumps(question))


def one(**more: Any) -> Request:
    return asked(sentences=["I love you."], **more)


def looked(**question: Any) -> Request:
    return Request(json.dumps(question), path="/attend")


CHUNKED = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
HUGE = "9" * 5000
NESTED = "[" * 100_000


@pytest.fixture
def served(url: str) -> Iterator[str]:
    """Where the service answers; afterwards it still does."""
    yield url
    reply = requests.post(f"{url}/translate", json={"sentences": ["I love you."]}, timeout=60)
    assert reply.status_code == 200


@table(
    ("nothing", Request(), "422 .*Field required"),
    ("no JSON", Request("I love you."), r"422 .*the request is no JSON \("),
    ("JSON cut short", Request('{"sentences": ["a'), r"422 .*the request is no JSON \(Unterminated string"),
    ("a comma too many", Request('{"sentences": ["a"],}'), "422 .*the request is no JSON"),
    ("JSON with more behind", Request('{"sentences": ["a"]} {}'), r"422 .*the request is no JSON \(Extra data"),
    ("a word", Request('"I love you."'), "422 .*Input should be a valid dictionary"),
    ("a number", Request("3"), "422 .*Input should be a valid dictionary"),
    ("null", Request("null"), "422 .*(Field required|valid dictionary)"),
    ("no sentences", asked(), "422 .*sentences: Field required"),
    ("an empty list", asked(sentences=[]), "422 .*sentences: List should have at least 1 item"),
    ("sentences of null", asked(sentences=None), "422 .*sentences: Input should be a valid list"),
    ("a sentence of null", asked(sentences=[None]), r"422 .*sentences\.0: Input should be a valid string"),
    ("a sentence without a list", asked(sentences="I love you."), "422 .*sentences: Input should be a valid list"),
    ("sentences by name", asked(sentences={"0": "a"}), "422 .*sentences: Input should be a valid list"),
    ("a list of lists", asked(sentences=[["a"]]), r"422 .*sentences\.0: Input should be a valid string"),
    ("half of a surrogate pair", asked(sentences=["\ud800"]), r"422 .*sentences\.0: Input should be a valid string"),
    ("a key that none has", one(bean=3), "422 .*bean: Extra inputs are not permitted"),
    ("a sentence too long", asked(sentences=["a" * 2001]), "422 .*at most 2000 characters"),
    ("sentences too many", asked(sentences=["a"] * 257), "422 .*at most 256 items"),
    ("a word longer than is read", asked(sentences=["catcat" * 60]), "400 .*this model reads at most 200: split it"),
    ("a beam in words", one(beam="wide"), "422 .*beam: Input should be a valid integer"),
    ("half a beam", one(beam=2.5), "422 .*beam: Input should be a valid integer"),
    ("a beam below 0", one(beam=-1), "422 .*beam: Input should be greater than or equal to 1"),
    ("a beam of everything", one(beam=10**30), "422 .*beam: Input should be less than or equal to 32"),
    (
        "a number of 5,000 digits",
        Request(f'{{"sentences": ["a"], "beam": {HUGE}}}'),
        "400 .*There was an error parsing the body",
    ),
    ("a penalty that is no number", Request('{"sentences": ["a"], "length_penalty": NaN}'), "422 .*length_penalty"),
    (
        "a penalty without end",
        Request('{"sentences": ["a"], "length_penalty": 1e999}'),
        "422 .*length_penalty: Input should",
    ),
    ("more than the beam has", one(n_best=9), "422 .*n_best is 9, and the beam 5: ask for fewer, or widen the beam"),
    ("perhaps", one(attention="perhaps"), "422 .*attention: Input should be a valid boolean"),
    (
        "work for an hour",
        asked(sentences=["cat " * 100] * 80, beam=32),
        "422 .*a beam of 32: ask for at most 4687 at once",
    ),
    ("lists without a bottom", Request(NESTED), "400 .*There was an error parsing the body"),
    ("objects without a bottom", Request('{"sentences":' * 50_000), "400 .*There was an error parsing the body"),
    ("bytes that are no UTF-8", Request(b'{"sentences": ["\xff"]}'), "400 .*There was an error parsing the body"),
    (
        "a body of another kind",
        Request("sentences=a", headers={"Content-Type": "application/x-www-form-urlencoded"}),
        "422 ",
    ),
    ("a form in parts", Request("--x--", headers={"Content-Type": "multipart/form-data; boundary=x"}), "422 "),
    ("XML", Request("<a/>", headers={"Content-Type": "application/xml"}), "422 .*Input should be a valid dictionary"),
    (
        "a packed body",
        Request(b"\x1f\x8b\x08\x00", headers={**JSON, "Content-Encoding": "gzip"}),
        "400 .*There was an error parsing the body",
    ),
    ("a body of 4 MB", Request(b" " * 4_000_000), "413 .*a request has at most 3,000,000 bytes: ask in several"),
    ("a question without a body", Request(method="GET"), "405 .*Method Not Allowed"),
    ("a deletion", Request(method="DELETE"), "405 .*Method Not Allowed"),
    ("a method of its own", Request(method="BREW"), "405 .*Method Not Allowed"),
    ("another page", Request(method="GET", path="/nowhere"), "404 .*Not Found"),
    ("a page that climbs out", Request(method="GET", path="/../../etc/passwd"), "404 .*Not Found"),
    ("a page that climbs out unseen", Request(method="GET", path="/%2e%2e/%2e%2e/etc/passwd"), "404 .*Not Found"),
    ("another host", Request(method="GET", path="/", headers={"Host": "evil.example"}), "400 Invalid host header"),
    ("no host", Request(method="GET", path="/", headers={"Host": ""}), "400 Invalid host header"),
    ("a model that is not there", looked(sentence="a", models=[5]), "400 .*there are models 0 to 1: name each"),
    ("a model below 0", looked(sentence="a", models=[-1]), "400 .*there are models 0 to 1"),
    (
        "a model a thousand times",
        looked(sentence="a", models=[0] * 1000),
        "400 .*there are models 0 to 1: name each .* once",
    ),
    ("models in words", looked(sentence="a", models="all"), "422 .*models: Input should be a valid list"),
    ("a look at nothing", looked(models=[0]), "422 .*sentence: Field required"),
    ("a look that is too long", looked(sentence="a" * 3000, models=[0]), "422 .*at most 2000 characters"),
)
def test_a_request(served: str, put_in: Request, said: str) -> None:
    host, port = urlsplit(served).hostname, urlsplit(served).port
    assert host
    connection = http.client.HTTPConnection(host, port, timeout=60)
    body = put_in.body.encode() if isinstance(put_in.body, str) else put_in.body
    connection.request(put_in.method, put_in.path, body, dict(put_in.headers))
    reply = connection.getresponse()
    answer = f"{reply.status} {reply.read().decode()}"
    connection.close()
    assert re.match(said, answer), answer
    assert "Traceback" not in answer


@table(
    ("bytes that are no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400 Bad Request"),
    ("a chunk of no length", CHUNKED + b"wide\r\n", "400 Bad Request"),
    (
        "a length below 0",
        b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        "400 Bad Request",
    ),
    (
        "a length in words",
        b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        "400 Bad Request",
    ),
    (
        "two lengths",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "400 Bad Req",
    ),
    ("a header of 200 kB", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", "4\\d\\d "),
)
def test_bytes(served: str, put_in: bytes, said: str) -> None:
    parts = urlsplit(served)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(put_in)
        answer = connection.recv(1000).decode()
    assert re.match(f"HTTP/1.1 ({said})", answer), answer
