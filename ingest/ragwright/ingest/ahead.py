"""An iterator that runs in a thread, a bounded number of items ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def ahead(
    produce: Callable[[], Iterable[Item]], *, items: int, stopped: threading.Event | None = None
) -> Iterator[Iterator[Item]]:
    """Consume what `produce` yields while it works on what comes next.

    Args:
        produce: Called in the thread.
        items: How many finished items may wait.
        stopped: Set on leaving the block; a producer that waits for long looks at it and ends.

    Yields:
        The items, in order. An error of the producer is raised where its next item would have come. On
        leaving the block early the producer is told to stop, its generator is closed, and it is waited for.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(items)
    stopped = stopped or threading.Event()

    def put(item: Item | _End) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            source = produce()
            with closing(source) if isinstance(source, Generator) else nullcontext():
                for item in source:
                    if not put(item):
                        return
            put(_End(None))
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer
            put(_End(error))

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    thread.start()
    try:
        yield _consume(waiting)
    finally:
        stopped.set()
        thread.join()


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _consume(waiting: queue.Queue[Item | _End]) -> Iterator[Item]:
    while True:
        item = waiting.get()
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
        yield item
