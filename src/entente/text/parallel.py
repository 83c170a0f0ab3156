"""Work on a stream, block by block in several processes: results in their order, in bounded memory."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[int, list[Item]], Result]  # on the block of this number

_AHEAD = 2  # blocks in flight per process, so that none waits and memory stays bounded


def processors() -> int:
    """Return how many this process may use: the machine's affair, on which no result depends."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def by_block(
    items: Iterable[Item], size: int, make: Callable[..., Work[Item, Result]], *arguments: Any, processes: int
) -> Iterator[Result]:
    """Yield what `make(*arguments)`, made once in each process, returns for each block of `size` items, in order."""
    stream = iter(items)
    blocks = enumerate(iter(lambda: list(islice(stream, size)), []))
    first = list(islice(blocks, 2))
    if processes == 1 or len(first) < 2:  # starting processes would take longer than the work
        work = make(*arguments)
        for block in chain(first, blocks):
            yield work(*block)
        return
    # spawn: forking a process in which threads run (tqdm's, torch's) may hang.
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _start, (make, arguments))
    try:
        waiting: deque[Future[Result]] = deque(pool.submit(_work_on, *block) for block in first)
        for block in blocks:
            waiting.append(pool.submit(_work_on, *block))
            if len(waiting) > _AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:  # Ctrl-C too, perhaps while processes start: none may be left that we would wait for
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    pool.shutdown()


_work: Work[Any, Any]  # of this process, made once when it starts


def _start(make: Callable[..., Work[Any, Any]], arguments: tuple[Any, ...]) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent's word is enough
    _work = make(*arguments)


def _work_on(number: int, block: list[Any]) -> Any:
    return _work(number, block)
