"""Parsers that misbehave, in a module that a sandbox child can import."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ragwright.core.errors import InputError
from ragwright.core.types import Block, Parsed


def gentle(data: bytes, name: str) -> Parsed:
    """Behaves, and writes to standard output."""
    sys.stdout.write("a parser that talks\n")
    return Parsed(data.decode(), (Block("paragraph", 0, len(data), 1, 2, (0.0, 1.0, 2.0, 3.0)),), name)


def hostile(data: bytes, name: str) -> Parsed:
    """Does what the file's content says, else behaves."""
    action = _ACTIONS.get(data.decode())
    if action is not None:
        action()
    return gentle(data, name)


def _burn() -> None:
    while True:
        pass


def _hoard() -> None:
    hoard = [bytearray(1_000_000)]
    while True:
        hoard.append(bytearray(50_000_000))


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _refuse() -> None:
    raise InputError("locked:\n say the word")


def _fail() -> None:
    raise KeyError("a\nb" * 1000)


def _connect() -> None:
    socket.create_connection(("127.0.0.1", 9), timeout=1)


def _sleep_as_group() -> None:
    subprocess.Popen(["sleep", "300"])
    time.sleep(300)


def _stubborn() -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    _burn()


def announce(data: bytes, name: str) -> Parsed:
    """Writes its process id into the folder that the file names, then sleeps; without a folder it behaves."""
    if not Path(data.decode()).is_dir():
        return gentle(data, name)
    Path(data.decode(), str(os.getpid())).touch()
    time.sleep(300)
    raise AssertionError


_ACTIONS: dict[str, Callable[[], object]] = {
    "burn": _burn,
    "stubborn": _stubborn,
    "hoard": _hoard,
    "sleep": lambda: time.sleep(300),
    "sleep as group": _sleep_as_group,
    "exit": lambda: os._exit(7),
    "crash": _crash,
    "refuse": _refuse,
    "fail": _fail,
    "connect": _connect,
    "leave": lambda: sys.exit(3),
}
