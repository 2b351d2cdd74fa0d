"""The inside of the wall: what a parsing child does to itself before it touches a file, and what it sends."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import resource
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NoReturn

from ragwright.core.errors import InputError, RagwrightError
from ragwright.core.types import Block, Parsed

Work = Callable[[bytes, str], Parsed]

_REASON_CHARACTERS = 300
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl(2)


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What one file may cost.

    Attributes:
        memory_megabytes: Address space in MiB beyond what the child starts with; not kept on macOS.
        cpu_seconds: Time on a core.
        wall_seconds: Time on the clock.
        file_bytes: Largest file that is read.
    """

    memory_megabytes: int = 2048
    cpu_seconds: int = 120
    wall_seconds: int = 180
    file_bytes: int = 300_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """Sent first, so that a file that kills its child is still known by its content."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Result:
    """Sent last: the parsed file, its blocks as plain tuples, which pickle faster; or why there is none."""

    parsed: Parsed | None
    blocks: list[tuple[Any, ...]]
    failure: str | None

    def complete(self) -> Parsed | None:
        """The parsed file with its blocks."""
        if self.parsed is None:
            return None
        old = self.parsed
        blocks = tuple(Block(*fields) for fields in self.blocks)
        return Parsed(old.text, blocks, old.title, old.media_type, old.metadata, old.hidden_characters)


def run(connection: Connection, path: Path, limits: ParseLimits, work: Work) -> None:
    """Parse one file and send a `Source`, if it can be read, and a `Result`. The child's whole life."""
    _detach()
    _forbid_connections()
    _confine(limits)
    try:
        connection.send(_result(connection, path, limits, work))
    except MemoryError:
        connection.send(Result(None, [], memory_reason(limits)))


def memory_reason(limits: ParseLimits) -> str:
    """What a file is told that ran out of memory."""
    return f"needed more than {limits.memory_megabytes} MB of memory"


def _result(connection: Connection, path: Path, limits: ParseLimits, work: Work) -> Result:
    try:
        data = _read(path, limits.file_bytes)
    except FileNotFoundError:
        gone = (
            "is a link to a file that is not there" if path.is_symlink() else "was deleted while it was read"
        )
        return Result(None, [], gone)
    except OSError as error:
        return Result(None, [], f"cannot be read: {error.strerror or error}")
    except InputError as error:
        return Result(None, [], str(error))
    connection.send(Source(hashlib.sha256(data).hexdigest(), len(data)))
    try:
        parsed = work(data, path.name)
    except MemoryError:
        return Result(None, [], memory_reason(limits))
    except RagwrightError as error:
        return Result(None, [], _one_line(str(error)))
    except Exception as error:  # noqa: BLE001 - the wall around foreign code, which may raise anything
        return Result(None, [], _one_line(f"{type(error).__name__}: {error}"))
    blocks = [(b.kind, b.start, b.end, b.page, b.level, b.box) for b in parsed.blocks]
    bare = Parsed(
        parsed.text, (), parsed.title, parsed.media_type, dict(parsed.metadata), parsed.hidden_characters
    )
    return Result(bare, blocks, None)


def _one_line(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= _REASON_CHARACTERS else line[: _REASON_CHARACTERS - 1] + "…"


def _read(path: Path, file_bytes: int) -> bytes:
    """All bytes of a regular file; what else has a name (a pipe, a device) could block or never end."""
    # Looked at before it is opened, because opening a device can act on it; and after, because it may change.
    _check_regular(path.stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _check_regular(os.fstat(descriptor))
        size = os.fstat(descriptor).st_size
        # Never `read(limit)`: that many bytes are reserved before the first one is read.
        data = file.read(size) if size <= file_bytes else b""
    if size > file_bytes:
        seen, limit = f"{size / 1e6:,.1f} MB", f"{file_bytes / 1e6:,.1f} MB"
        raise InputError(f"is {seen}; the limit is {limit}; split it or raise the limit")
    return data


def _check_regular(status: os.stat_result) -> None:
    kinds = (
        (stat.S_ISREG, ""),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    kind = next((name for is_kind, name in kinds if is_kind(status.st_mode)), "a device")
    if kind:
        raise InputError(f"is {kind}, not a regular file; nothing of it was read")


def _detach() -> None:
    """Leave the terminal to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setsid()  # a group of its own: killed as one, together with programs that a parser starts
    with Path(os.devnull).open("r+b", buffering=0) as nothing:
        for standard in (0, 1, 2):
            os.dup2(nothing.fileno(), standard)
    if sys.platform == "linux":
        # The parent's end ends the fork server, and the fork server's end this process.
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """Kill the group when the parent is gone: for systems without a death signal and for started programs."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)


def _confine(limits: ParseLimits) -> None:
    """Set the limits that the kernel keeps; programs that a parser starts inherit them."""
    address_space = _address_space() + limits.memory_megabytes * 1024 * 1024
    # One second from the signal that names the reason to the one that cannot be caught.
    for kind, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1),
        (resource.RLIMIT_AS, address_space, address_space),
    ):
        allowed = resource.getrlimit(kind)[1]
        if allowed != resource.RLIM_INFINITY:
            soft, hard = min(soft, allowed), min(hard, allowed)
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of address space
            resource.setrlimit(kind, (soft, hard))


def _address_space() -> int:
    """Bytes of address space in use: what was loaded before the fork is not the file's."""
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        return 0
    return int(statistics.read_text().split()[0]) * resource.getpagesize()


def _forbid_connections() -> None:
    """Make Python code unable to connect: the parsers' own switches come first, this is the second wall."""
    socket.socket.connect = socket.socket.connect_ex = _refuse  # type: ignore[method-assign]


def _refuse(*_: object) -> NoReturn:
    raise OSError("parsing opens no connection")
