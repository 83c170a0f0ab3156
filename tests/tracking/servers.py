"""A real MLflow server, and a real wire to it that loses answers or holds them back."""

import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests


@contextmanager
def server(root: Path, port: int) -> "Iterator[subprocess.Popen[bytes]]":
    """A real MLflow server on the loopback; it is killed, not asked to stop, as servers are that go away."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{root}/mlflow.db", "--artifacts-destination", f"{root}/served"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    with (root / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            until = time.monotonic() + 90
            while not answers(port):
                assert process.poll() is None, (root / "server.log").read_text()
                assert time.monotonic() < until, (root / "server.log").read_text()
                time.sleep(0.2)
            yield process
        finally:
            os.killpg(process.pid, 9)
            process.wait()


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=1).ok
    except requests.RequestException:
        return False


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Wire(socketserver.ThreadingTCPServer):
    """Passes on what a server and its clients say; the answers to requests named in `lost` get lost, once each.

    Requests named in `refused` are too large for it, as for a proxy with a limit.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, upstream: int) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.upstream = upstream
        self.lost: list[bytes] = []
        self.refused: list[bytes] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Connection(socketserver.BaseRequestHandler):
    """A client's connection, and one to the server for it."""

    server: Wire

    def handle(self) -> None:
        self.losing = False
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server.upstream)) as upstream:
            back = threading.Thread(target=self._answers, args=(upstream,), daemon=True)
            back.start()
            while said := self.request.recv(65536):
                if any(mark in said for mark in self.server.refused):
                    self.request.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
                    continue
                for mark in [mark for mark in self.server.lost if mark in said]:
                    self.server.lost.remove(mark)
                    self.losing = True
                upstream.sendall(said)

    def _answers(self, upstream: socket.socket) -> None:
        with suppress(OSError):
            while said := upstream.recv(65536):
                if self.losing:  # the server has done what it was asked to
                    break
                self.request.sendall(said)
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(upstream: int) -> Iterator[Wire]:
    with Wire(upstream) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()
