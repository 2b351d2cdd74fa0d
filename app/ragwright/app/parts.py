"""Parts of an object that are built when they are first asked for, by one thread at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, Self, TypeVar, overload

T = TypeVar("T")


class Guarded(Protocol):
    """What has parts."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while a part is built; one for all of them, and reentrant, since parts are built of others."""
        ...


class part(Generic[T]):  # noqa: N801 - used as functools.cached_property is
    """A method that is called when its value is first asked for, and gives way to the value.

    Whoever asks at the same time waits, and gets the same; once it is built, asking takes no lock. An error
    is raised to whoever asked, and the next one tries again.
    """

    def __init__(self, build: Callable[[Any], T]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: Guarded, owner: type[Any]) -> T: ...
    def __get__(self, instance: Guarded | None, owner: type[Any]) -> Self | T:
        if instance is None:
            return self
        with instance.lock:
            built = vars(instance)  # looked at before this descriptor, from now on
            if self._name not in built:
                built[self._name] = self._build(instance)
            value: T = built[self._name]
            return value
