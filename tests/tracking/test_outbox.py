import json
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from entente.tracking.delivery import Address, Entry, RefusedError
from entente.tracking.destination import Destination, connect
from entente.tracking.outbox import Outbox
from entente.tracking.runs import Runs
from entente.tracking.spool import Spool, deliver_left_over, read, unopened
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
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "unsent", Address("entente", "tiny", {"a": "b"}))


def kept(spool: Spool) -> list[Entry]:
    address, entries, damaged = read(spool.path)
    assert not damaged
    assert (address.name, address.tags) == ("tiny", {"a": "b"})
    return entries


def points(spool: Spool) -> list[list[int]]:
    return [entry["points"] for entry in kept(spool)]


def test_points_travel_in_batches_of_at_most_a_thousand(spool: Spool) -> None:
    store = Store()
    outbox = Outbox(store.deliver, spool, 60, patience=10)
    for number in range(2500):
        outbox.put(metrics(number))
    outbox.start()
    outbox.close()
    assert [len(entry["points"]) for entry in store.received] == [1000, 1000, 500]
    assert store.points() == list(range(2500))
    assert not spool.path.exists()


def test_the_order_of_entries_is_kept(spool: Spool) -> None:
    store = Store()
    outbox = Outbox(store.deliver, spool, 60, patience=10)
    sent = [metrics(1), {"what": "tags", "values": {}}, {"what": "tags", "values": {"a": "b"}}, metrics(2)]
    for entry in sent:
        outbox.put(entry)
    outbox.start()
    outbox.close()
    assert store.received == sent


def test_nothing_is_lost_and_one_warning_given_when_the_store_goes_and_comes_back(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    outbox = Outbox(store.deliver, spool, 0.01, patience=10)
    outbox.start()
    outbox.put(metrics(1))
    outbox.flush()
    store.away = True
    for number in range(2, 6):
        outbox.put(metrics(number))
        outbox.flush()
    assert points(spool) == [[2], [3], [4], [5]]
    store.away = False
    outbox.put(metrics(6))
    outbox.close()
    assert store.points() == [1, 2, 3, 4, 5, 6]
    assert [record.message.split("(")[0] for record in caplog.records] == [
        "the MLflow store is away ",
        "the MLflow store is back",
    ]
    assert not list(spool.path.parent.iterdir())


def test_what_could_not_be_sent_is_sent_by_a_later_process_artifacts_as_they_were(spool: Spool, tmp_path: Path) -> None:
    store = Store()
    store.away = True
    weights = tmp_path / "weights"
    weights.write_text("first")
    outbox = Outbox(store.deliver, spool, 0.01, patience=10)
    outbox.start()
    outbox.put(metrics(1))
    outbox.put({"what": "artifact", "path": str(weights), "folder": None})
    outbox.flush()
    weights.write_text("second")
    outbox.close()

    deliver_left_over(spool.path, lambda _: store.deliver)  # still away: nothing changes
    store.away = False
    contents: list[str] = []

    def deliver(entry: Entry) -> None:
        store.deliver(entry)
        if entry["what"] == "artifact":
            contents.append(Path(entry["path"]).read_text())

    deliver_left_over(spool.path, lambda _: deliver)
    assert [entry["what"] for entry in store.received] == ["metrics", "artifact"]
    assert contents == ["first"]
    assert not list(spool.path.parent.iterdir())


def test_what_a_killed_process_left_travels_in_batches_but_for_the_line_that_was_cut_short(spool: Spool) -> None:
    store = Store()
    spool.keep(deque(metrics(number) for number in range(1500)))
    spool.release()
    with spool.path.open("a") as file:
        file.write('{"what": "metr')
    deliver_left_over(spool.path, lambda _: store.deliver)
    assert [len(entry["points"]) for entry in store.received] == [1000, 500]
    assert store.points() == list(range(1500))
    assert not list(spool.path.parent.iterdir())


def test_what_cannot_be_kept_as_it_is_stops_nothing(spool: Spool, tmp_path: Path) -> None:
    store = Store()
    store.away = True
    outbox = Outbox(store.deliver, spool, 60, patience=10)
    outbox.start()
    outbox.put(metrics(1))
    outbox.flush()
    outbox.put({"what": "artifact", "path": str(tmp_path / "nowhere"), "folder": None})
    outbox.put({"what": "table", "file": "samples.json", "rows": [{"path": tmp_path}]})
    outbox.close()
    assert [entry["what"] for entry in kept(spool)] == ["metrics", "artifact", "table"]


def test_lines_that_a_full_disk_cut_short_stand_in_nobodys_way(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    spool.path.parent.mkdir()
    spool.path.write_bytes(b'{"what": "metrics", "points": [1]}\n{"what": "met\xc3\n[]\n{"points": []}\n')
    with spool.path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(metrics(2)) + "\n")
    store = Store()
    deliver_left_over(spool.path, lambda _: store.deliver)
    assert store.points() == [1, 2]
    assert len(caplog.records) == 3
    assert not list(spool.path.parent.iterdir())


def test_an_empty_spool_goes(spool: Spool) -> None:
    spool.path.parent.mkdir()
    spool.path.touch()
    deliver_left_over(spool.path, lambda _: Store().deliver)
    assert not list(spool.path.parent.iterdir())


def test_an_entry_that_no_version_writes_is_refused(runs: Runs) -> None:
    with runs.train("tiny", "one", {}, {}, resume=False) as run:
        destination = Destination(tracking_uri(), run._address, connect)
        for entry in ({"what": "smoke"}, {"what": "metrics"}, {"what": "tags", "values": 3}):
            with pytest.raises(RefusedError):
                destination.deliver(entry)


def test_a_spool_that_tells_of_no_run_is_set_aside(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    spool.path.parent.mkdir()
    spool.path.write_text('{"name": "tiny"}\n{"what": "metrics", "points": [1]}\n')
    store = Store()
    deliver_left_over(spool.path, lambda _: store.deliver)
    assert "does not tell of which run" in caplog.text
    assert [file.suffix for file in spool.path.parent.iterdir()] == [".damaged"]
    assert list(unopened(spool.path.parent)) == []


def test_a_live_process_keeps_its_spool_to_itself(spool: Spool) -> None:
    store = Store()
    store.away = True
    outbox = Outbox(store.deliver, spool, 60, patience=10)
    outbox.start()
    outbox.put(metrics(1))
    outbox.flush()
    other = Store()
    deliver_left_over(spool.path, lambda _: other.deliver)
    assert other.received == []
    store.away = False
    outbox.close()
    assert store.points() == [1]


def test_what_is_kept_outlives_a_process_that_is_killed_but_for_a_line_cut_short(spool: Spool) -> None:
    killed = Outbox(Store().deliver, spool, 60, patience=10)
    killed.put(metrics(1))
    killed.put(metrics(2))
    killed.keep()
    spool.release()  # as the system does
    with spool.path.open("a") as file:
        file.write('{"what": "metr')
    later = Store()
    deliver_left_over(spool.path, lambda address: later.deliver)
    assert later.points() == [1, 2]
    assert not list(spool.path.parent.iterdir())


def test_what_was_kept_and_delivered_is_kept_no_more(spool: Spool) -> None:
    store = Store()
    store.away = True
    outbox = Outbox(store.deliver, spool, 60, patience=10)
    outbox.start()
    outbox.put(metrics(1))
    outbox.keep()
    assert spool.path.exists()
    store.away = False
    outbox.put(metrics(2))
    outbox.close()
    assert store.points() == [1, 2]
    assert not list(spool.path.parent.iterdir())


@pytest.mark.parametrize("end", [Outbox.keep, Outbox.close])
def test_what_can_be_neither_delivered_nor_kept_is_an_error(spool: Spool, end: Callable[[Outbox], None]) -> None:
    store = Store()
    store.away = True
    outbox = Outbox(store.deliver, spool, 0.01, patience=10)
    outbox.start()
    spool.path.parent.write_text("no folder")
    outbox.put(metrics(1))
    with pytest.raises(OSError, match="unsent"):
        end(outbox)


def test_a_store_that_hangs_holds_nobody_up(spool: Spool) -> None:
    hanging = threading.Event()

    def hang(entry: Entry) -> None:
        hanging.wait(60)

    outbox = Outbox(hang, spool, 0.01, patience=0.1)
    outbox.start()
    began = time.monotonic()
    outbox.put(metrics(1))
    outbox.flush()
    outbox.put(metrics(2))
    outbox.close()
    assert time.monotonic() - began < 10
    assert points(spool) == [[1], [2]]
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
