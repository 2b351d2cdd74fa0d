"""Commands in processes of their own: wall time, memory, and what they print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_RAGWRIGHT = (sys.executable, "-c", "from ragwright.app.cli import main; main()")


@dataclass(frozen=True)
class Finished:
    """A command that has ended.

    Attributes:
        seconds: Wall time from its start to its end, process start included.
        megabytes: Largest resident set among the process and its children.
        printed: The JSON that it printed.
    """

    seconds: float
    megabytes: float
    printed: Any


def finish(
    command: Sequence[str],
    *,
    folder: Path,
    allowed: Sequence[int] = (0,),
    settings: Mapping[str, str] | None = None,
) -> Finished:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        folder: Where it runs.
        allowed: Exit codes that are no failure.
        settings: Environment variables beside the present ones.

    Raises:
        SystemExit: Another exit code, with what the command complained of.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as complaints:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=complaints, env={**os.environ, **(settings or {})}
        )
        # Not `wait`, since only wait4 tells the memory of this one child.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        complaints.seek(0)
        if process.returncode not in allowed:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {complaints.read()}")
        return Finished(seconds, usage.ru_maxrss / 1000, json.loads(output.read()))


def ragwright(
    folder: Path,
    *arguments: str,
    allowed: Sequence[int] = (0,),
    settings: Mapping[str, str] | None = None,
) -> Finished:
    """Run one command of Ragwright in a folder."""
    command = [*_RAGWRIGHT, *arguments, "--json", "--quiet"]
    return finish(command, folder=folder, allowed=allowed, settings=settings)


def convert_model(scratch: Path) -> None:
    """Let every later command find the converted model, so that none measures the conversion."""
    os.environ["RAGWRIGHT_ENCODER__CACHE"] = str(scratch / "models")
    folder = scratch / "first"
    folder.mkdir()
    (folder / "note.txt").write_text("The disc is replaced at 112 mm.", encoding="utf-8")
    ragwright(folder, "ingest", "note.txt")
