"""Where runs live: the tracking URI, and opening the store behind it."""

import contextlib
import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeVar

import mlflow
from alembic.script import ScriptDirectory
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import InvalidUrlException, MlflowException
from mlflow.store.entities import PagedList

from entente.errors import EntenteError, masked

SQLITE = "sqlite:///"
_ATTEMPTS = count()  # of this process to make a store
FIRST_USE_SECONDS = 120  # creating the schema takes about 3 s; a queue of processes may wait for it
STILL_SECONDS = 5  # a schema that has not changed for so long is not being made: a step takes tenths of a second

# What these say of a store that is away, with tracebacks and at every attempt, the outbox says once.
for chatty in ("mlflow.store.db.utils", "urllib3.connectionpool"):
    logging.getLogger(chatty).setLevel(logging.CRITICAL)

Entity = TypeVar("Entity")


class AwayError(EntenteError):
    """The store does not answer, or has trouble: what is to be written can wait for it."""


def root() -> Path:
    """Return the repository's root: DVC_ROOT (right in DVC's copies too), else where dvc.yaml is."""
    if "DVC_ROOT" in os.environ:
        return Path(os.environ["DVC_ROOT"]).resolve()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here)


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, else SQLite's mlflow.db at the root; relative paths start from there."""
    return resolved(os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db")


def resolved(uri: str) -> str:
    """Return the address of a store as it is from any folder: relative paths start at the root."""
    if uri.startswith(SQLITE):
        return f"{SQLITE}{root() / uri.removeprefix(SQLITE)}"
    path = uri.removeprefix("file:") if uri.startswith("file:") and not uri.startswith("file://") else uri
    if ":" in path or path == "databricks":
        return uri
    return (root() / path).as_uri()


def unsent(uri: str) -> Path:
    """Return the folder that keeps what could not be delivered to the store at `uri`."""
    return root() / "mlartifacts" / "unsent" / hashlib.sha256(uri.encode()).hexdigest()[:8]


def open_store(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """Open the store at `uri` and return its client with the experiment's id, creating what is missing.

    MLflow's creation of a schema is not safe when several processes use a new SQLite file, hence the lock.
    Artifacts of a SQLite store lie beside it: MLflow fixes their folder when an experiment is created.
    Raises AwayError where waiting may help, and EntenteError where only a person can.
    """
    artifacts: str | None = None
    database: Path | None = None
    lock: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    with speaking_to(uri):
        if uri.startswith(SQLITE):
            database = Path(uri.removeprefix(SQLITE).partition("?")[0])
            database.parent.mkdir(parents=True, exist_ok=True)
            artifacts = (database.parent / "mlartifacts").as_uri()
            lock = FileLock(f"{database}.lock", timeout=FIRST_USE_SECONDS)
        with lock:
            if database and not database.exists():
                _create(database.resolve())
            if database:
                _await_schema(database)
            client = MlflowClient(uri)
            return client, _experiment(client, experiment, artifacts)


def _create(database: Path) -> None:
    """Put a SQLite store in place with its whole schema: MLflow can do nothing with one whose making was killed.

    Who does not know our lock (`mlflow ui`) may be making it too: what is there first stays.
    """
    for left in database.parent.glob(f"{database.name}.*.part*"):
        left.unlink()
    # A name of its own for each attempt: MLflow keeps what it once opened by name.
    draft = database.with_name(f"{database.name}.{os.getpid()}-{next(_ATTEMPTS)}.part")
    MlflowClient(f"{SQLITE}{draft}").search_experiments(max_results=1)
    try:
        database.hardlink_to(draft)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        draft.replace(database)
    draft.unlink(missing_ok=True)


def _await_schema(database: Path) -> None:
    """Wait while somebody who does not know our lock (`mlflow ui`) makes or upgrades the schema: two at it may fail."""
    newest = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations")).get_current_head()
    seen, since = _schema(database), time.monotonic()
    while seen[0] != [(newest,)] and time.monotonic() - since < STILL_SECONDS:
        time.sleep(0.05)
        if (found := _schema(database)) != seen:
            seen, since = found, time.monotonic()


def _schema(database: Path) -> tuple[list[tuple[str]], int]:
    """Return the version that a SQLite store has of MLflow's schema, if any, and how often its schema was changed."""
    version: list[tuple[str]] = []
    changes = 0
    place = f"{database.resolve().as_uri()}?mode=ro"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(place, uri=True)) as connection:
        (changes,) = connection.execute("PRAGMA schema_version").fetchone()
        version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return version, changes


@contextlib.contextmanager
def speaking_to(uri: str) -> Iterator[None]:
    """Turn what a store's drivers and clients raise into AwayError where waiting may help, else into EntenteError."""
    try:
        yield
    except EntenteError:
        raise
    except Exception as error:
        kind = AwayError if _may_heal(uri, error) else EntenteError
        raise kind(f"the MLflow store {uri} {_trouble(uri, error)}") from error


def _trouble(uri: str, error: Exception) -> str:
    """Say what is wrong with a store, and what to do."""
    status = error.get_http_status_code() if isinstance(error, MlflowException) else None
    if status == 401:
        return "does not let you in (401): MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD say who you are"
    if status == 403:
        return "does not let this user do that (403): whoever runs it can grant EDIT on the experiment or model"
    if "database schema" in str(error):
        return (
            f"has the database schema of another version than MLflow here, {mlflow.__version__}: back it up and run "
            "`mlflow db upgrade` with its address, or, if it is the newer one, install its version of MLflow"
        )
    if uri.startswith(SQLITE) and _is_half_made(error):
        return (
            f"is half made or half upgraded ({first_line(error)}). If nobody is doing that now, somebody was killed at "
            "it: move it away, and a new one is made, or put the copy from before the upgrade in its place"
        )
    return (
        f"cannot be used: {first_line(error)}\n"
        "Start it or mend its address in MLFLOW_TRACKING_URI (without it, runs go to mlflow.db at the root)."
    )


def _is_half_made(error: Exception) -> bool:
    return any(said in str(error) for said in ("already exists", "duplicate column name"))


def _may_heal(uri: str, error: Exception) -> bool:
    if isinstance(error, InvalidUrlException):
        return False
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        # To MLflow's client nobody at home is a 500, like trouble in the server.
        return status in (408, 429, 503) or (status >= 500 and uri.startswith("http"))
    # PEP 249: a database that is locked, full or away raises its driver's OperationalError, which SQLAlchemy's tells.
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, ConnectionError | TimeoutError) or "OperationalError" in names


def pages(ask: Callable[[str | None], "PagedList[Entity]"]) -> Iterator[Entity]:
    """Yield what a store has, page by page: `ask` gets the token of each."""
    token: str | None = None
    while token != "":
        page = ask(token)
        yield from page
        token = page.token or ""


def first_line(error: BaseException) -> str:
    """Return what an error says, in a line for the screen."""
    return masked((str(error).strip() or type(error).__name__).splitlines()[0])


def _experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # on a server, another process may have been faster
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise EntenteError(
            f"the MLflow experiment `{name}` was deleted: bring it back with "
            f"`mlflow experiments restore -x {found.experiment_id}`, or choose another as tracking.experiment"
        )
    return str(found.experiment_id)
