import json
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from entente.tracking.delivery import Entry
from entente.tracking.outbox import Outbox, deliver_left_over
from entente.tracking.runs import Runs
from entente.tracking.store import tracking_uri, unsent

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")


class Store:
    """A store of entries that may be away."""

    def __init__(self) -> None:
        self.away = False
        self.received: list[Entry] = []

    def deliver(self, entry: Entry) -> None:
        if self.away:
            raise ConnectionError("nobody at home")
        self.received.append(entry)

    def points(self) -> list[int]:
        return [point for entry in self.received for point in entry["points"]]


def metrics(*points: int) -> Entry:
    return {"what": "metrics", "points": list(points)}


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "unsent" / "run.jsonl"


def test_points_travel_in_batches_of_at_most_a_thousand(spool: Path) -> None:
    store = Store()
    outbox = Outbox(store.deliver, spool, seconds=60)
    for number in range(2500):
        outbox.put(metrics(number))
    outbox.start()
    outbox.close(patience=10)
    assert [len(entry["points"]) for entry in store.received] == [1000, 1000, 500]
    assert store.points() == list(range(2500))
    assert not spool.exists()


def test_the_order_of_entries_is_kept(spool: Path) -> None:
    store = Store()
    outbox = Outbox(store.deliver, spool, seconds=60)
    sent = [metrics(1), {"what": "tags", "values": {}}, {"what": "tags", "values": {"a": "b"}}, metrics(2)]
    for entry in sent:
        outbox.put(entry)
    outbox.start()
    outbox.close(patience=10)
    assert store.received == sent


def test_nothing_is_lost_and_one_warning_given_when_the_store_goes_and_comes_back(
    spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    outbox = Outbox(store.deliver, spool, seconds=0.01)
    outbox.start()
    outbox.put(metrics(1))
    outbox.flush(patience=10)
    store.away = True
    for number in range(2, 6):
        outbox.put(metrics(number))
        outbox.flush(patience=10)
    assert [json.loads(line)["points"] for line in spool.read_text().splitlines()] == [[2], [3], [4], [5]]
    store.away = False
    outbox.put(metrics(6))
    outbox.close(patience=10)
    assert store.points() == [1, 2, 3, 4, 5, 6]
    assert [record.message.split("(")[0] for record in caplog.records] == [
        "the MLflow store is away ",
        "the MLflow store is back",
    ]
    assert not list(spool.parent.iterdir())


def test_what_could_not_be_sent_is_sent_by_a_later_process_artifacts_as_they_were(spool: Path, tmp_path: Path) -> None:
    store = Store()
    store.away = True
    weights = tmp_path / "weights"
    weights.write_text("first")
    outbox = Outbox(store.deliver, spool, seconds=0.01)
    outbox.start()
    outbox.put(metrics(1))
    outbox.put({"what": "artifact", "path": str(weights), "folder": None})
    outbox.flush(patience=10)
    weights.write_text("second")
    outbox.close(patience=10)

    deliver_left_over(spool, store.deliver)  # still away: nothing changes
    store.away = False
    contents: list[str] = []

    def deliver(entry: Entry) -> None:
        store.deliver(entry)
        if entry["what"] == "artifact":
            contents.append(Path(entry["path"]).read_text())

    deliver_left_over(spool, deliver)
    assert [entry["what"] for entry in store.received] == ["metrics", "artifact"]
    assert contents == ["first"]
    assert not list(spool.parent.iterdir())


def test_what_cannot_be_kept_as_it_is_stops_nothing(spool: Path, tmp_path: Path) -> None:
    store = Store()
    store.away = True
    outbox = Outbox(store.deliver, spool, seconds=60)
    outbox.start()
    outbox.put(metrics(1))
    outbox.flush(patience=10)
    outbox.put({"what": "artifact", "path": str(tmp_path / "nowhere"), "folder": None})
    outbox.put({"what": "table", "file": "samples.json", "rows": [{"path": tmp_path}]})
    outbox.close(patience=10)
    assert [json.loads(line)["what"] for line in spool.read_text().splitlines()] == ["metrics", "artifact", "table"]


def test_a_live_process_keeps_its_spool_to_itself(spool: Path) -> None:
    store = Store()
    store.away = True
    outbox = Outbox(store.deliver, spool, seconds=60)
    outbox.start()
    outbox.put(metrics(1))
    outbox.flush(patience=10)
    other = Store()
    deliver_left_over(spool, other.deliver)
    assert other.received == []
    store.away = False
    outbox.close(patience=10)
    assert store.points() == [1]


def test_a_store_that_hangs_holds_nobody_up(spool: Path) -> None:
    hanging = threading.Event()

    def hang(entry: Entry) -> None:
        hanging.wait(60)

    outbox = Outbox(hang, spool, seconds=0.01)
    outbox.start()
    began = time.monotonic()
    outbox.put(metrics(1))
    outbox.flush(patience=0.1)
    outbox.put(metrics(2))
    outbox.close(patience=0.1)
    assert time.monotonic() - began < 10
    assert [json.loads(line)["points"] for line in spool.read_text().splitlines()] == [[1], [2]]
    hanging.set()


def test_opening_the_store_delivers_what_an_earlier_run_had_to_leave(
    runs: Runs, root: Path, client: MlflowClient
) -> None:
    with runs.train("tiny", "one", {}, {}, resume=False) as run:
        pass
    spool = unsent(tracking_uri()) / f"{run.id}.jsonl"
    spool.parent.mkdir(parents=True)
    entries = [
        {"what": "metrics", "points": [["train/loss", 1.5, 1, 7]]},
        {"what": "status", "status": "KILLED", "end": 5},
    ]
    spool.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    Runs("entente", flush_every_seconds=1, system_metrics_every_seconds=60).find("one")
    found = client.get_run(run.id)
    assert (found.data.metrics["train/loss"], found.info.status) == (1.5, "KILLED")
    assert not spool.exists()
