"""Parsing behind a wall: each file in a child process of its own, under limits, so it harms only itself."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType

from ragwright.core.types import Parsed
from ragwright.ingest.parse import parse
from ragwright.ingest.sandbox_child import ParseLimits, Result, Source, Work, memory_reason, run

__all__ = ["ParseLimits", "ParseOutcome", "Work", "parse_files"]

_PRELOAD = [
    "ragwright.ingest.sandbox_child",
    "ragwright.ingest.parse",
    "ragwright.ingest.markdown",
    "pypdfium2",
]
_HEAVY_PRELOAD = [*_PRELOAD, "ragwright.ingest.preload"]
_LOOK_SECONDS = 0.2  # longest sleep before looking whether to stop
_LAST_BREATH_SECONDS = 2.0  # from the end of its pipe to the end of a child
_starting = threading.Lock()


@dataclass(frozen=True, slots=True)
class ParseOutcome:
    """What became of one file.

    Attributes:
        path: As given.
        digest: SHA-256, in hex, of exactly the bytes that were parsed; "" when they could not be read.
        size: Of these bytes; 0 when they could not be read.
        parsed: None when it failed.
        failure: Why, in plain words on one line; None when it is parsed.
        seconds: Wall time from the child's start until its result was taken.
    """

    path: Path
    digest: str
    size: int
    parsed: Parsed | None
    failure: str | None
    seconds: float


@dataclass(slots=True)
class _Child:
    path: Path
    process: ForkServerProcess
    started: float
    source: Source | None = None
    overdue: bool = False


def parse_files(
    paths: Iterable[Path],
    *,
    jobs: int,
    limits: ParseLimits,
    heavy: bool,
    stopped: Callable[[], bool] = lambda: False,
    work: Work = parse,
) -> Iterator[ParseOutcome]:
    """Parse files in child processes and yield outcomes as they finish, in no particular order.

    At most `jobs` children live at a time, and at most as many results wait for the caller. Closing the
    generator kills the children; they die with this process as well, however it ends.

    Args:
        paths: Taken one by one, as children become free.
        jobs: Children at a time, at least 1.
        limits: For each child.
        heavy: Whether to import unstructured before the first fork instead of in every child that needs it.
            Heeded only by the first call in this process: the server that forks lives as long as it does.
        stopped: Asked several times a second; once it says yes, the children are killed and the outcomes
            end. For a caller in another thread, which cannot close a generator that runs.
        work: The parser, a function of a module that a child can import: bytes and name to `Parsed`.
    """
    waiting = iter(paths)
    children: dict[Connection, _Child] = {}
    _start_server(_HEAVY_PRELOAD if heavy else _PRELOAD)
    try:
        _fill(children, waiting, jobs, limits, work)
        while children and not stopped():
            for connection in _ready(children, limits):
                outcome = _take(connection, children, limits)
                if outcome is not None:
                    _fill(children, waiting, jobs, limits, work)
                    yield outcome
    finally:
        for connection, child in children.items():
            _end(connection, child)


def _fill(
    children: dict[Connection, _Child], waiting: Iterator[Path], jobs: int, limits: ParseLimits, work: Work
) -> None:
    """Start children until there are `jobs` or no path is left."""
    context = get_context("forkserver")
    while len(children) < max(1, jobs) and (path := next(waiting, None)) is not None:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=run, args=(theirs, path, limits, work), daemon=True)
        with _starting, _without_main():
            process.start()
        theirs.close()  # else its end would never be read as an end
        children[ours] = _Child(path, process, time.monotonic())


def _ready(children: dict[Connection, _Child], limits: ParseLimits) -> list[Connection]:
    """Connections that hold a message or have ended, perhaps none after a short sleep.

    A child over its time is killed, which ends its connection.
    """
    deadline = min(child.started for child in children.values()) + limits.wall_seconds
    pause = min(_LOOK_SECONDS, max(0.05, deadline - time.monotonic()))
    ready = [found for found in wait(list(children), timeout=pause) if isinstance(found, Connection)]
    now = time.monotonic()
    for connection, child in children.items():
        # While the caller works nobody looks at the clock, so a message that lies ready counts as in time.
        if connection not in ready and now - child.started >= limits.wall_seconds:
            child.overdue = True
            _kill(child.process)
    return ready


def _take(
    connection: Connection, children: dict[Connection, _Child], limits: ParseLimits
) -> ParseOutcome | None:
    """Read one message. The outcome when it was the last, else None."""
    child = children[connection]
    try:
        message = connection.recv()
    except (EOFError, OSError):  # it died before or while it sent
        message = None
    if isinstance(message, Source):
        child.source = message
        return None
    del children[connection]
    seconds = time.monotonic() - child.started
    parsed, failure = None, None
    if isinstance(message, Result):
        parsed, failure = message.complete(), message.failure
        _end(connection, child)
    else:
        child.process.join(_LAST_BREATH_SECONDS)
        failure = _reason(child, limits, seconds)
        _end(connection, child)
    source = child.source or Source("", 0)
    return ParseOutcome(child.path, source.digest, source.size, parsed, failure, seconds)


def _reason(child: _Child, limits: ParseLimits, seconds: float) -> str:
    """Why a child ended without a result."""
    code = child.process.exitcode
    if child.overdue:
        return f"took more than {limits.wall_seconds} s"
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and seconds >= limits.cpu_seconds):
        return f"took more than {limits.cpu_seconds} s of CPU time"
    if code == -signal.SIGKILL:
        return "was killed by the system, which was probably short of memory; run fewer jobs"
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
        return (
            f"its parser died with signal {-code} ({name}): the file is damaged, or {memory_reason(limits)}"
        )
    return f"its parser ended with exit code {code} and without a result"


def _end(connection: Connection, child: _Child) -> None:
    """Make sure that a child is gone, and give back what it held."""
    _kill(child.process)
    child.process.join()
    child.process.close()
    connection.close()


def _kill(process: ForkServerProcess) -> None:
    """Kill a child and the programs that it started."""
    if process.pid is not None and process.is_alive():
        with suppress(ProcessLookupError, PermissionError):  # it has no group yet, or ended meanwhile
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()


def _start_server(preload: list[str]) -> None:
    """Start the process that forks the children; it is deaf to Ctrl-C, and so are they from the start."""
    forkserver.set_forkserver_preload(preload)
    resource_tracker.ensure_running()  # first, because it unblocks the signal again
    with _starting, _without_main():
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the program's main module: else every child would import it, which costs time and may run it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
