"""What is remembered between calls: recent values within a bound of bytes, and one value for good."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = TypeVar("Array", bound=NDArray[np.generic])
Value = TypeVar("Value")


class RecentArrays(Generic[Array]):
    """Arrays by text, within a bound of bytes; those used longest ago go first. For any number of threads."""

    def __init__(self, megabytes: float) -> None:
        self._room = int(megabytes * 1_000_000)
        self._used = 0
        self._kept: OrderedDict[str, Array] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, texts: Iterable[str]) -> dict[str, Array]:
        """The arrays of those texts that are remembered; they count as used."""
        found = {}
        with self._lock:
            for text in texts:
                if text in self._kept:
                    self._kept.move_to_end(text)
                    found[text] = self._kept[text]
        return found

    def keep(self, arrays: Mapping[str, Array]) -> None:
        """Remember arrays, which must not be changed any more."""
        with self._lock:
            for text, array in arrays.items():
                if text not in self._kept:
                    self._kept[text] = array
                    self._used += _bytes(text, array)
            while self._used > self._room:
                self._used -= _bytes(*self._kept.popitem(last=False))

    @property
    def bytes(self) -> int:
        """What the remembered arrays and their texts take."""
        return self._used


def _bytes(text: str, array: NDArray[np.generic]) -> int:
    return array.nbytes + len(text)


class Once(Generic[Value]):
    """Calls a function when its value is first needed, and never again; for any number of threads."""

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self._made: list[Value] = []
        self._lock = threading.Lock()

    def __call__(self) -> Value:
        """The value; an error is raised to whoever asked, and the next one tries again."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]
