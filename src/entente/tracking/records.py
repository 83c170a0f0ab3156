"""Runs as one reads them again: figures, curves and files of what was recorded."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import mlflow.entities
from mlflow import MlflowClient
from mlflow.store.entities import PagedList

from entente.errors import EntenteError
from entente.tracking.destination import connect, latest
from entente.tracking.runs import CARRIED, KIND, OWNER
from entente.tracking.store import pages, speaking_to, tracking_uri

EVALUATED = "decode/sentences_per_second"  # a figure that every evaluation logs


@dataclass(frozen=True)
class Record(ABC):
    """One run: its latest figures, and the way to its curves and files."""

    id: str  # by which the store that it was made in knew it
    name: str
    figures: dict[str, float]
    parameters: dict[str, str]  # under dotted names
    tags: dict[str, str]
    began: datetime

    @abstractmethod
    def curve(self, figure: str) -> list[tuple[int, float]]:
        """Return the points (step, value) of a figure, in order; none where it was not logged."""

    @abstractmethod
    def fetch(self, artifact: str, into: Path) -> Path:
        """Return a copy, in the folder `into`, of a file or folder. Raises EntenteError where the run has none."""


@dataclass(frozen=True)
class Stored(Record):
    """A run in the tracking store."""

    client: MlflowClient
    here: str  # its id in this store

    def curve(self, figure: str) -> list[tuple[int, float]]:
        """Ask the store for the points."""
        return [(point.step, point.value) for point in self.client.get_metric_history(self.here, figure)]

    def fetch(self, artifact: str, into: Path) -> Path:
        """Download from the store."""
        into.mkdir(parents=True, exist_ok=True)
        try:
            return Path(self.client.download_artifacts(self.here, artifact, str(into)))
        except Exception as error:  # stores raise their own, local ones OSError
            raise EntenteError(f"run {self.name} ({self.id}) has no {artifact}: {error}") from error


class Records:
    """The runs of one experiment in the store that MLFLOW_TRACKING_URI names, or mlflow.db at the root."""

    def __init__(self, experiment: str) -> None:
        self._client, self._experiment = connect(tracking_uri(), experiment)

    def get(self, run: str) -> Record:
        """Return the run with this id, here or in the store it was carried from; EntenteError where there is none."""
        try:
            carried = latest(self._client, self._experiment, {CARRIED: run})
            return self._record(carried or self._client.get_run(run))
        except Exception as error:
            raise EntenteError(f"the tracking store has no run {run}: `mlflow ui` lists those it has") from error

    def of_job(self, job: str) -> Record:
        """Return the latest run of a sweep's job that was trained and evaluated; EntenteError where there is none."""
        evaluated = (record for record in self.tagged(OWNER, job) if EVALUATED in record.figures)
        found = next(evaluated, None)
        if found is None:
            raise EntenteError(
                f"the tracking store has no evaluated run of job {job}, which is done: was it tracked elsewhere? "
                f"Delete ablations/{job} to have it made again"
            )
        return found

    def tagged(self, tag: str, value: str | None = None) -> Iterator[Record]:
        """Yield the finished runs that have a tag, or have it with this value, the latest first."""
        wanted = f"tags.`{tag}` {'!=' if value is None else '='} '{value or ''}' and attributes.status = 'FINISHED'"

        def ask(token: str | None) -> "PagedList[mlflow.entities.Run]":
            order = ["attributes.start_time DESC"]
            with speaking_to(tracking_uri()):
                return self._client.search_runs([self._experiment], wanted, order_by=order, page_token=token)

        yield from map(self._record, pages(ask))

    def latest_sweep(self) -> Record:
        """Return the parent run of the sweep that ended last; EntenteError where there is none."""
        order = ["attributes.end_time DESC"]
        which = f"tags.`{KIND}` = 'sweep' and attributes.status != 'RUNNING'"
        with speaking_to(tracking_uri()):
            found = self._client.search_runs([self._experiment], filter_string=which, order_by=order, max_results=1)
        if not found:
            raise EntenteError("the tracking store has no sweep that ended: was it tracked elsewhere?")
        return self._record(found[0])

    def _record(self, run: mlflow.entities.Run) -> Record:
        name = run.info.run_name or run.info.run_id
        began = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
        made, data = run.data.tags.get(CARRIED, run.info.run_id), run.data
        return Stored(made, name, data.metrics, data.params, data.tags, began, self._client, run.info.run_id)
