"""MLflow's server as several people share it, by `deploy/tracking`: PostgreSQL and S3 behind it, passwords before."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from tests.services.postgres import Postgres
from tests.services.s3 import S3
from tests.tracking.servers import answers, free_port

SCRIPT = Path(__file__).parents[2] / "deploy" / "tracking"
ADMIN, PASSWORD = "admin", "twelve-letters-at-least"


@dataclass(frozen=True)
class Tracking:
    """Where the server is, and what tells the script about what stands behind it."""

    port: int
    behind: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *arguments: str) -> None:
        """Run the script beside the server, as `script("back-up", folder)`."""
        subprocess.run([str(SCRIPT), *arguments], env=self.behind, check=True)


def behind(postgres: Postgres, database: str, store: S3, bucket: str) -> dict[str, str]:
    """Return the environment of the script, a database and a bucket being there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING_")}
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    secrets = {"MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD, "MLFLOW_FLASK_SERVER_SECRET_KEY": "keeps-forms-apart"}
    small = {"MLFLOW_WORKERS": "2", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    here = {"TRACKING_BUCKET": bucket, "MLFLOW_PORT": str(free_port())}
    return {**kept, **postgres.environment(database), **store.environment(), **secrets, **small, **here}


@contextmanager
def tracking(folder: Path, environment: Mapping[str, str]) -> Iterator[Tracking]:
    """Run the server, its log in `folder`; it is killed, not asked to stop."""
    made, log = Tracking(int(environment["MLFLOW_PORT"]), environment), folder / "tracking.log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [str(SCRIPT), "serve"], env=environment, stdout=file, stderr=file, start_new_session=True
        )
    try:
        until = time.monotonic() + 240
        while not answers(made.port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        yield made
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def user(name: str) -> dict[str, str]:
    """Return what lets a user in: `admin`, or one whom `let_in` made."""
    password = PASSWORD if name == ADMIN else f"{name}-{PASSWORD}"
    return {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password}


def let_in(server: Tracking, *names: str) -> None:
    """Make users, as whoever this process is let in as."""
    from mlflow.server.auth.client import AuthServiceClient  # its import warns

    for name in names:
        AuthServiceClient(server.address).create_user(name, user(name)["MLFLOW_TRACKING_PASSWORD"])


def shut_out(server: Tracking, name: str, experiment: str) -> None:
    """Deny a user an experiment."""
    from mlflow.server.auth.client import AuthServiceClient

    found = MlflowClient(server.address).get_experiment_by_name(experiment)
    assert found is not None
    AuthServiceClient(server.address).grant_user_permission(name, "experiment", found.experiment_id, "DENY")
