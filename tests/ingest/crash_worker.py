"""The process that dies: ingests a project until it is killed, or kills itself at a named step.

With arguments PROJECT STEP [STRATEGY]: one run, ended at that step. Without: reads lines of SECONDS PROJECT
from stdin, ingests each project, begins to update it, ends the update after so long, and says how long it
took.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from tests.ingest.workbench import bench_in, parse_here, write_files

from ragwright.core.protocols import ChunkIndex
from ragwright.core.types import IndexEntry
from ragwright.ingest import pipeline, writer

STEPS = ("declared", "written", "committed", "deleted")
SLICE = 8  # many steps in little text


class DyingIndex:
    """An index whose process dies, as by `kill -9`, when a step is done."""

    def __init__(self, index: ChunkIndex, step: str) -> None:
        self._index = index
        self._step = step

    def upsert(self, entries: Sequence[IndexEntry]) -> None:
        self._die_if("declared")
        self._index.upsert(entries)
        self._die_if("written")

    def delete(self, chunk_ids: Sequence[str]) -> None:
        self._die_if("committed")
        self._index.delete(chunk_ids)
        self._die_if("deleted")

    def _die_if(self, step: str) -> None:
        if step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)


def edit_files(project: Path) -> None:
    """Change, delete, add and rename some of the files."""
    write_files(project / "changed", 5, seed=7)
    (project / "file001.md").unlink()
    (project / "file002.md").rename(project / "renamed.md")
    for place in range(3, 12):
        path = project / f"file{place:03}.md"
        path.write_text(path.read_text().replace(". ", f". Number {place} ", 2) + "\nAnd an end.\n")


def _serve() -> None:
    """Fork a run per line; the fork has everything imported already."""
    for line in sys.stdin:
        seconds, _, project = line.strip().partition(" ")
        updating, begin = multiprocessing.Pipe(duplex=False)
        child = os.fork()
        if child == 0:
            _update(Path(project), begin)
            os._exit(0)
        begin.close()
        assert updating.recv()
        started = time.perf_counter()
        updating.poll(float(seconds))  # returns early when the run ends by itself
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        sys.stdout.write(f"{time.perf_counter() - started}\n")
        sys.stdout.flush()


def _update(project: Path, begin: Connection) -> None:
    write_files(project, 20)
    with bench_in(project) as bench:
        bench.ingest()
        edit_files(project)
        begin.send(True)
        bench.ingest()


def _once(project: Path, step: str, strategy: str | None = None) -> None:
    with bench_in(project, wrap=lambda index: DyingIndex(index, step), strategy=strategy) as bench:
        bench.ingest()


def main() -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(writer, "_MOST_CHUNKS", SLICE)
    patch.setattr(pipeline, "parse_files", parse_here)
    if len(sys.argv) > 1:
        _once(Path(sys.argv[1]), *sys.argv[2:])
    else:
        _serve()


if __name__ == "__main__":
    main()
