"""The service over HTTP: the attention page, translations as JSON, and what page and programs ask for."""

import socket
from collections.abc import Sequence

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

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_BYTES = 1_000_000  # of a request: more than the longest sentences that are answered can take


class Look(BaseModel):
    """A sentence that the page has no record of."""

    model_config = ConfigDict(extra="forbid")

    sentence: Sentence


class Answers(BaseModel):
    """The translations, in the order of the sentences."""

    translations: list[Answer]


def serve(models: Sequence[Shown], sentences: Sequence[str], host: str, port: int) -> None:
    """Serve until Ctrl-C: the page of all models, translations by the first. Raises EntenteError where it cannot.

    Port 0 is any that is free.
    """
    with _listening(host, port) as listening:
        served = app(models, sentences, hosts=LOOPBACK if host in LOOPBACK else ("*",))
        server = uvicorn.Server(uvicorn.Config(served, log_level="warning"))
        where = f"[{host}]" if ":" in host else host
        url = f"http://{where}:{listening.getsockname()[1]}/"
        print(f"{url} (the page; /docs tells programs what to ask; Ctrl-C ends)", flush=True)
        server.run(sockets=[listening])


def app(models: Sequence[Shown], sentences: Sequence[str], hosts: Sequence[str]) -> FastAPI:
    """Return the application. It answers those who call it by one of the `hosts`, as a foreign page cannot."""
    services = [Service(model.translator) for model in models]
    shown = page(models, sentences, served=True)
    made = FastAPI(title="Entente", description="English to French.")
    made.add_middleware(_Bounded)
    made.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    for kind in (EntenteError, RequestValidationError, HTTPException):
        made.add_exception_handler(kind, _told)

    @made.get("/", response_class=HTMLResponse)
    def attention_page() -> str:
        """Return the page to look around in."""
        return shown

    @made.post("/translate", response_model_exclude_none=True)
    def translate(question: Question) -> Answers:
        """Translate, with the first model."""
        return Answers(translations=services[0].answer(question))

    @made.post("/attend", include_in_schema=False)
    def attend(look: Look) -> JSONResponse:
        """Return what the page records of a sentence, of each model."""
        return JSONResponse([recorded(service.attend(look.sentence)) for service in services])

    return made


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


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise EntenteError(f"cannot serve at {host}, port {port} ({error}): choose another --host or --port") from error
