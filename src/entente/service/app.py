"""The service over HTTP: the attention page, translations as JSON, and what page and programs ask for."""

import socket
from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_address
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entente.errors import EntenteError
from entente.pages.attention import Shown, page, recorded
from entente.service.answers import Answer, Question, Sentence, Service, problems

MOST_BYTES = 3_000_000  # of a request: what is answered, with each character as the twelve bytes of two \\uXXXX
ENDING = 3  # seconds that who is being answered has when the server is asked to end


class Look(BaseModel):
    """A sentence that the page has no record of."""

    model_config = ConfigDict(extra="forbid")

    sentence: Sentence
    models: list[int]


class Answers(BaseModel):
    """The translations, in the order of the sentences."""

    translations: list[Answer]


class Problem(BaseModel):
    """What is wrong with a question, in words."""

    error: str


REFUSED: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (400, 413, 422)}


def serve(models: Sequence[Shown], sentences: Sequence[str], host: str, port: int) -> None:
    """Serve until Ctrl-C: the page of all models, translations by the first. Raises EntenteError where it cannot.

    Port 0 is any that is free.
    """
    with _listening(host, port) as listening:
        served = app(models, sentences, hosts=names(host))
        server = uvicorn.Server(uvicorn.Config(served, log_level="warning", timeout_graceful_shutdown=ENDING))
        url = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/"
        print(f"{url} (the page; POST /translate for programs, see /openapi.json; Ctrl-C ends)", flush=True)
        server.run(sockets=[listening])


def names(host: str) -> tuple[str, ...]:
    """Return what a server that listens at `host` may be called: on the loopback nothing else, elsewhere anything.

    A foreign page whose name is made to lead to this machine is so refused.
    """
    try:
        own = ip_address("127.0.0.1" if host == "localhost" else host).is_loopback
    except ValueError:
        own = False
    return ("localhost", "127.0.0.1", "[::1]", host) if own else ("*",)


def app(models: Sequence[Shown], sentences: Sequence[str], hosts: Sequence[str]) -> FastAPI:
    """Return the application, which answers who calls it by one of the `hosts`."""
    worker = ThreadPoolExecutor(1, "search")
    services = [Service(model.translator, worker) for model in models]
    shown = page(models, sentences, served=True)
    # FastAPI's own pages of documentation come from the network.
    made = FastAPI(
        title="Entente", description="English to French.", docs_url=None, redoc_url=None, lifespan=_ending(worker)
    )
    made.add_middleware(_Bounded)
    made.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    made.add_middleware(_Ended)
    for kind in (EntenteError, RequestValidationError, HTTPException):
        made.add_exception_handler(kind, _told)

    @made.get("/", response_class=HTMLResponse)
    async def attention_page() -> str:
        """Return the page to look around in."""
        return shown

    @made.post("/translate", response_model_exclude_none=True, responses=REFUSED)
    def translate(question: Question) -> Answers:
        """Translate, with the first model."""
        return Answers(translations=services[0].answer(question))

    @made.post("/attend", include_in_schema=False)
    def attend(look: Look) -> JSONResponse:
        """Return what the page records of a sentence, or why it cannot, of each of the models that it names."""
        if sorted(set(look.models) & set(range(len(services)))) != sorted(look.models):
            raise EntenteError(f"there are models 0 to {len(services) - 1}: name each that is to look, once")
        return JSONResponse([_looked(services[number], look.sentence) for number in look.models])

    return made


def _ending(worker: Executor) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        worker.shutdown(wait=False, cancel_futures=True)  # nobody waits any more for what was not begun

    return lifespan


def _looked(service: Service, sentence: str) -> dict[str, Any]:
    try:
        return recorded(service.attend(sentence))
    except EntenteError as error:
        return {"error": str(error)}


async def _told(request: Request, error: Exception) -> JSONResponse:
    """Answer an error in words, all in one shape."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    if isinstance(error, RequestValidationError):
        return JSONResponse({"error": problems(error.errors())}, 422)
    return JSONResponse({"error": str(error)}, 400)


class _Bounded:
    """Refuses a body that is too long as soon as it is, and not when memory is full."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = 0

        async def counted() -> Message:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > MOST_BYTES:
                raise HTTPException(413, f"a request has at most {MOST_BYTES:,} bytes: ask in several")
            return message

        await self._app(scope, counted, send)


class _Ended:
    """Tells who still waits when the server ends, in place of a traceback for each."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_answered = False

        async def noted(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except CancelledError:
            if scope["type"] != "http":
                raise
            if not is_answered:
                await JSONResponse({"error": "the server was asked to end: ask again later"}, 503)(scope, receive, send)


def _listening(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise EntenteError(f"cannot serve at {host}, port {port}: choose another --port, from 0 to {2**16 - 1}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise EntenteError(f"cannot serve at {host}, port {port} ({error}): choose another --host or --port") from error
