"""Where runs live: the tracking URI, and opening the store behind it."""

import contextlib
import hashlib
import logging
import os
import re
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from entente.errors import EntenteError

SQLITE = "sqlite:///"
FIRST_USE_SECONDS = 120  # creating the schema takes about 3 s; a queue of processes may wait for it

logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # "Creating initial MLflow database tables..."


def root() -> Path:
    """Return the repository's root: DVC_ROOT (right in DVC's copies too), else where dvc.yaml is."""
    if "DVC_ROOT" in os.environ:
        return Path(os.environ["DVC_ROOT"]).resolve()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here)


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, else SQLite's mlflow.db at the root; relative paths start from there."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
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
    """
    artifacts: str | None = None
    lock: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    try:
        if uri.startswith(SQLITE):
            database = Path(uri.removeprefix(SQLITE).partition("?")[0])
            database.parent.mkdir(parents=True, exist_ok=True)
            artifacts = (database.parent / "mlartifacts").as_uri()
            lock = FileLock(f"{database}.lock", timeout=FIRST_USE_SECONDS)
        with lock:
            client = MlflowClient(uri)
            return client, _experiment(client, experiment, artifacts)
    except EntenteError:
        raise
    except Exception as error:  # database drivers and HTTP clients raise their own
        raise EntenteError(
            f"the MLflow store {masked(uri)} cannot be used: {first_line(error)}\n"
            "Start it or mend its address in MLFLOW_TRACKING_URI (without it, runs go to mlflow.db at the root)."
        ) from error


def masked(text: str) -> str:
    """Return the text without passwords in addresses."""
    return re.sub(r"//[^@/\s]*@", "//***@", text)


def first_line(error: Exception) -> str:
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
