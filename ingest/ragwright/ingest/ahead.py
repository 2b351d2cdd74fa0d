"""An iterator that runs in a thread, a bounded weight of items ahead of its consumer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Generic, TypeVar

Item = TypeVar("Item")


@contextmanager
def ahead(
    produce: Callable[[], Iterable[Item]],
    *,
    weigh: Callable[[Item], int],
    room: int,
    stopped: threading.Event | None = None,
) -> Iterator[Iterator[Item]]:
    """Consume what `produce` yields while it works on what comes next.

    Args:
        produce: Called in the thread.
        weigh: The weight of an item.
        room: What the items that wait may weigh together; one alone may weigh more.
        stopped: Set on leaving the block; a producer that waits for long looks at it and ends.

    Yields:
        The items, in order. An error of the producer is raised where its next item would have come. On
        leaving the block early the producer is told to stop, its generator is closed, and it is waited for.
    """
    waiting = _Waiting(weigh, room)
    stopped = stopped or threading.Event()

    def run() -> None:
        try:
            source = produce()
            with closing(source) if isinstance(source, Generator) else nullcontext():
                for item in source:
                    if not waiting.put(item):
                        return
            waiting.end(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer
            waiting.end(error)

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    thread.start()
    try:
        yield waiting.take()
    finally:
        stopped.set()
        waiting.leave()
        thread.join()


class _Waiting(Generic[Item]):
    """Items between one producer and one consumer."""

    def __init__(self, weigh: Callable[[Item], int], room: int) -> None:
        self._weigh, self._room = weigh, room
        self._items: deque[Item] = deque()
        self._weight = 0
        self._changed = threading.Condition()
        self._ended = self._left = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> bool:
        """Wait for room and add an item; False when the consumer has left."""
        weight = self._weigh(item)
        with self._changed:
            self._changed.wait_for(
                lambda: self._left or not self._items or self._weight + weight <= self._room
            )
            if not self._left:
                self._items.append(item)
                self._weight += weight
                self._changed.notify_all()
            return not self._left

    def end(self, error: BaseException | None) -> None:
        """No item follows."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def leave(self) -> None:
        """The consumer takes no more."""
        with self._changed:
            self._left = True
            self._changed.notify_all()

    def take(self) -> Iterator[Item]:
        """The items as they come."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended)
                if not self._items:
                    break
                item = self._items.popleft()
                self._weight -= self._weigh(item)
                self._changed.notify_all()
            yield item
            del item  # else it would live until the next one comes
        if self._error is not None:
            raise self._error
