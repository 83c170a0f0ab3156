"""A real PostgreSQL on the loopback, which asks for a password, can be stopped and be started again."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.tracking.servers import free_port

USER, PASSWORD = "entente", "post-haste"


@dataclass(frozen=True)
class Postgres:
    """Where the server is, and the folder of its data."""

    port: int
    data: Path

    def environment(self, database: str) -> dict[str, str]:
        """Return what tells libpq, and all that is made of it, which database is meant and how one is let in."""
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGDATABASE": database}
        return where | {"PGUSER": USER, "PGPASSWORD": PASSWORD}

    def make_database(self, name: str) -> None:
        """Make an empty database."""
        self.ask("postgres", f"create database {name}")

    def ask(self, database: str, query: str) -> str:
        """Return what a database answers, a line for each row."""
        command = [_program("psql"), "--no-psqlrc", "--tuples-only", "--no-align", "--command", query]
        environment = os.environ | self.environment(database)
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    def rows(self, database: str, *tables: str) -> dict[str, int]:
        """Count what is in tables."""
        return {table: int(self.ask(database, f"select count(*) from {table}")) for table in tables}  # noqa: S608

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        # No file system call per write, no socket beside the port: the data are gone when the tests are.
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._control("start", "-o", options, "-l", f"{self.data}/log")

    def stop(self) -> None:
        """Stop the server at once; what it was asked meanwhile fails."""
        self._control("stop", "-m", "immediate")

    def _control(self, *what: str) -> None:
        as_postgres(_program("pg_ctl"), "--pgdata", str(self.data), "--wait", *what)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run PostgreSQL, its data in a new folder that is its user's."""
    with TemporaryDirectory() as folder:
        password = Path(folder, "password")
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            for place in (folder, password):
                shutil.chown(place, "postgres")
        made = Postgres(free_port(), Path(folder, "data"))
        options = ["--username", USER, "--auth", "scram-sha-256", "--pwfile", str(password), "--encoding", "UTF8"]
        as_postgres(_program("initdb"), "--pgdata", str(made.data), *options, "--locale", "C.UTF-8")
        made.start()
        try:
            yield made
        finally:
            made.stop()


def as_postgres(*command: str) -> None:
    """Run a command of PostgreSQL, which refuses to work for root."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*user, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")


def _program(name: str) -> str:
    """Return the newest of Debian's versions, which are not on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else name
