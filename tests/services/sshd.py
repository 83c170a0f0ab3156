"""A real SSH server on the loopback, for whoever runs the tests, by a key that is made for it."""

import getpass
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.tracking.servers import free_port

_CONFIGURATION = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Sshd:
    """Where the server is, who may log in, and by which key."""

    port: int
    user: str
    key: Path

    def url(self, folder: Path) -> str:
        """Return the address of a folder."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}{folder}"


@contextmanager
def sshd(folder: Path) -> Iterator[Sshd]:
    """Run OpenSSH's server, its keys and log in `folder`."""
    port = free_port()
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "sshd_config").write_text(_CONFIGURATION.format(port=port, folder=folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # which the system's start of the service makes
    with (folder / "sshd.log").open("ab") as log:
        process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"], stdout=log, stderr=log,
                                   start_new_session=True)  # fmt: skip
    try:
        until = time.monotonic() + 30
        while not _listens(port):
            assert process.poll() is None, (folder / "sshd.log").read_text()
            assert time.monotonic() < until, (folder / "sshd.log").read_text()
            time.sleep(0.1)
        yield Sshd(port, getpass.getuser(), folder / "key")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
