"""Runs of ingest that die, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WORKER = Path(__file__).with_name("crash_worker.py")
_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_WORKER.parents[2]), *sys.path])}


class Crashes:
    """Asks `crash_worker.py`, which has imported everything, to let runs die."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def killed(self, project: Path, step: str, *, strategy: str | None = None) -> int:
        """Ingest a project until a step is done, where the run kills itself.

        Returns:
            The exit code of that run, negative for a signal.
        """
        code: int = self._asked(project=str(project), step=step, strategy=strategy)
        return code

    def updated(self, project: Path, *, kill_after: float) -> float:
        """Let a run update a project and kill it after some seconds; how long it ran."""
        project.mkdir()
        seconds: float = self._asked(project=str(project), seconds=kill_after)
        return seconds

    def _asked(self, **wanted: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def crashing() -> Iterator[Crashes]:
    """The worker, as long as it is asked."""
    command = [sys.executable, str(_WORKER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_ENVIRONMENT
    ) as process:
        yield Crashes(process)
        process.kill()
