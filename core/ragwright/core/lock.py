"""One writer per workspace."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragwright.core.errors import InputError, WorkspaceBusy


@contextmanager
def workspace_lock(workspace: Path, *, purpose: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold a workspace; the operating system lets go of it when the process dies, however it dies.

    Args:
        workspace: Its folder; made when absent, for its owner alone.
        purpose: What for, as a command; told to whoever finds the workspace held.
        wait_seconds: How long to wait for another holder.

    Raises:
        WorkspaceBusy: Another process holds it; the message names that process.
        InputError: The folder cannot be written.
    """
    from filelock import FileLock, Timeout

    owner = workspace / "lock.json"
    # Not of one thread: a generator, such as a server's, may be entered in one and left in another.
    lock = FileLock(str(workspace / "lock"), timeout=wait_seconds, thread_local=False)
    facts = {"pid": os.getpid(), "purpose": purpose, "since": time.strftime("%H:%M:%S")}
    try:
        workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
        owner.write_text(json.dumps(facts), encoding="utf-8")
    except Timeout:
        raise WorkspaceBusy(
            f"workspace {workspace} is held by {_describe(owner)}; wait until it ends"
        ) from None
    except OSError as error:
        lock.release()
        raise InputError(
            f"workspace {workspace} cannot be written ({error.strerror}); check its owner"
        ) from None
    try:
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _describe(owner: Path) -> str:
    try:
        facts = json.loads(owner.read_text(encoding="utf-8"))
        return f"process {facts['pid']} ({facts['purpose']}, since {facts['since']})"
    except (OSError, ValueError, KeyError, TypeError):  # gone, half written, or not ours
        return "another process"
