"""Scratch folders that no run leaves for good: what a killed one could not remove, the next one removes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TURN = ".scratch.lock"
_HELD = "lock"


@contextmanager
def scratch_folder(parent: Path, *, prefix: str) -> Iterator[Path]:
    """An empty folder, gone afterwards; those of the same prefix whose runs have died go beforehand.

    Args:
        parent: Where it is made; must exist.
        prefix: What the names of its like begin with.
    """
    from filelock import FileLock

    with in_turn(parent):
        _remove_dead(parent, prefix)
        outer = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        # The operating system lets go of it when the process dies, however it dies.
        held = FileLock(str(outer / _HELD), timeout=0, thread_local=False)
        held.acquire()
    try:
        folder = outer / "made"
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(outer, ignore_errors=True)
        held.release()


def remove_leftovers(parent: Path, *, prefix: str) -> None:
    """Remove the scratch folders of runs that have died; what may not be removed stays."""
    if any(parent.glob(f"{prefix}*")):
        with suppress(OSError), in_turn(parent):
            _remove_dead(parent, prefix)


@contextmanager
def in_turn(parent: Path) -> Iterator[None]:
    """One process at a time, for as long as it takes to make, move or remove folders in a folder."""
    from filelock import FileLock

    with FileLock(str(parent / _TURN)):
        yield


def _remove_dead(parent: Path, prefix: str) -> None:
    from filelock import FileLock, Timeout

    for folder in parent.glob(f"{prefix}*"):
        with suppress(Timeout), FileLock(str(folder / _HELD), timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
