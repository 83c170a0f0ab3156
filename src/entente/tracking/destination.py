"""Where the entries of a run arrive: its run in the store, found or made when the first of them is delivered."""

from collections.abc import Callable, Mapping

import mlflow.entities
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from requests import HTTPError

from entente.tracking.delivery import KEY, Address, Deliver, Entry, RefusedError, write
from entente.tracking.spool import deliver_left_over, unopened
from entente.tracking.store import AwayError, open_store, pages, speaking_to, unsent

PARENT = "mlflow.parentRunId"
MALFORMED = (400, 404, 409, 413)  # to send the same again would fail again: 413, too large, is often a proxy's word

Opened = tuple[MlflowClient, str]  # a client, and the id of an experiment


class Destination:
    """The store at `uri`, for the entries of one address."""

    def __init__(self, uri: str, address: Address, connect: Callable[[str, str], Opened]) -> None:
        self._uri, self._address, self._connect = uri, address, connect
        self._client: MlflowClient | None = None
        self._points: dict[tuple[str, int], float] = {}  # that the run which was found has

    def deliver(self, entry: Entry) -> None:
        """Write an entry to the run, which is found or made first.

        Raises RefusedError; EntenteError where the store can never be used; anything else when it is away.
        """
        client = self._client = self._client or self._open()
        if self._address.run is None:
            return  # there is no such run, and none was to be made
        for believed in (False, True):
            try:
                return write(client, self._address, self._news(entry))
            except (KeyError, TypeError, AttributeError) as error:  # another version wrote it
                raise RefusedError(f"it lacks {error}") from error
            except (MlflowException, HTTPError) as error:  # those of requests: of what is uploaded by way of a server
                # Or somebody else answers in the store's place.
                if getattr(error, "error_code", "") == "ENDPOINT_NOT_FOUND" or _status(error) not in MALFORMED:
                    raise
                if believed:  # the first time others may have written the same at the same moment
                    raise RefusedError(str(error)) from error

    def _news(self, entry: Entry) -> Entry:
        """Leave out points that the run has already."""
        if entry["what"] != "metrics" or not self._points:
            return entry
        return entry | {"points": [point for point in entry["points"] if not self._has(point[0], point[1], point[3])]}

    def _has(self, name: str, value: float, step: int | None) -> bool:
        if step is None or (name, step) not in self._points:
            return False
        return self._address.once or self._points[name, step] == value

    def _open(self) -> MlflowClient:
        address = self._address
        client, experiment = self._connect(self._uri, address.experiment)
        if address.run is None:
            with speaking_to(self._uri):
                own = latest(client, experiment, {KEY: address.key})  # made, and the answer was lost
                run = own or self._found(client, experiment) or self._made(client, experiment)
            if run:
                address.made = run.data.tags.get(KEY) == address.key
                address.start, address.run = run.info.start_time, run.info.run_id
        if address.run and not address.made:  # also what a killed process left may have been logged by others
            self._points = _points(client, address.run)
        return client

    def _found(self, client: MlflowClient, experiment: str) -> mlflow.entities.Run | None:
        """Return the run to go on with, if there is one."""
        address = self._address
        if address.sought is None:
            return None
        for earlier in unopened(unsent(self._uri)):
            if earlier.key < address.key and _bears(earlier.tags, address.sought):
                raise AwayError(f"run {earlier.name}, which {address.name} goes on with, is to be delivered before")
        return latest(client, experiment, address.sought)

    def _made(self, client: MlflowClient, experiment: str) -> mlflow.entities.Run | None:
        """Make the run, below its parent, which may have been made in the store after its child began."""
        address = self._address
        if not address.creates:
            return None
        tags = address.tags | {KEY: address.key}
        if PARENT in tags:
            if any(tags[PARENT] == other.key for other in unopened(unsent(self._uri))):
                raise AwayError(f"the run of the sweep that {address.name} belongs to is to be delivered before")
            parent = latest(client, experiment, {KEY: tags[PARENT]})
            tags[PARENT] = parent.info.run_id if parent else tags[PARENT]
        return client.create_run(experiment, start_time=address.start, tags=tags, run_name=address.name)


def connect(uri: str, experiment: str) -> Opened:
    """Open the store at `uri` as `open_store` does, and deliver what earlier processes had to leave."""
    opened = open_store(uri, experiment)

    def deliver_to(address: Address) -> Deliver:
        # A run that is known needs no experiment, whatever became of the one it was made in.
        return Destination(uri, address, open_store if address.run is None else lambda *_: opened).deliver

    for path in sorted(unsent(uri).glob("*.jsonl")):
        deliver_left_over(path, deliver_to)
    return opened


def _status(error: MlflowException | HTTPError) -> int:
    return error.get_http_status_code() if isinstance(error, MlflowException) else error.response.status_code


def latest(client: MlflowClient, experiment: str, tags: Mapping[str, str]) -> mlflow.entities.Run | None:
    """Return the run that began last of those with these tags, and without those whose value is empty."""
    which = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items() if value)

    def ask(token: str | None) -> PagedList[mlflow.entities.Run]:
        return client.search_runs([experiment], which, order_by=["attributes.start_time DESC"], page_token=token)

    return next((run for run in pages(ask) if _bears(run.data.tags, tags)), None)


def _bears(tags: Mapping[str, str], sought: Mapping[str, str]) -> bool:
    return all(tags.get(tag, "") == value for tag, value in sought.items())


def _points(client: MlflowClient, run: str) -> dict[tuple[str, int], float]:
    """Return the last value of a run by name and step, but of the machine's curves, whose steps are seconds."""
    try:
        names = [name for name in client.get_run(run).data.metrics if not name.startswith("system/")]
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}  # it was removed: what is written to it will be refused
        raise
    histories = [client.get_metric_history(run, name) for name in names]
    return {(point.key, point.step): point.value for history in histories for point in history}
