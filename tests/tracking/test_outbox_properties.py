"""Whatever becomes of the store and of the processes that write to it, it has every entry once, in order."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from entente.tracking.delivery import Address, Entry, RefusedError
from entente.tracking.outbox import Outbox
from entente.tracking.spool import Spool, deliver_left_over
from tests.tracking.test_outbox import Store, metrics

PATIENCE = 30


class Shy(Store):
    """A store that may be away, and refuses what is refusable."""

    def deliver(self, entry: Entry) -> None:
        if entry["what"] == "refusable" and not self.away:
            raise RefusedError("never")
        super().deliver(entry)


class Delivery(RuleBasedStateMachine):
    """Puts, failures, successes and new processes, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store, self.sent = Shy(), 0
        self.begin()

    def begin(self) -> None:
        self.spool = Spool(self.folder, Address("entente", "tiny", {}))
        self.outbox = Outbox(self.store.deliver, self.spool, 0.001, PATIENCE)
        self.outbox.start()

    @rule(count=st.integers(1, 5))
    def put(self, count: int) -> None:
        for _ in range(count):
            self.outbox.put(metrics(self.sent))
            self.sent += 1

    @rule()
    def put_what_is_refused(self) -> None:
        self.outbox.put({"what": "refusable"})

    @rule()
    def put_tags(self) -> None:
        self.outbox.put({"what": "tags", "points": [self.sent]})
        self.sent += 1

    @rule()
    def flush(self) -> None:
        self.outbox.flush()

    @rule()
    def goes(self) -> None:
        self.store.away = True

    @rule()
    def comes_back(self) -> None:
        self.store.away = False

    @precondition(lambda self: not self.store.away)
    @rule()
    def another_process(self) -> None:
        self.outbox.close()
        deliver_left_over(self.spool.path, lambda _: self.store.deliver)
        self.begin()

    def teardown(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder)
            self.outbox.close()
            self.store.away = False
            deliver_left_over(self.spool.path, lambda _: self.store.deliver)
            assert self.store.points() == list(range(self.sent))
            assert not list(self.folder.iterdir())


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=60, stateful_step_count=15)
