"""The process whose runs die: for each line of JSON it forks an ingest that is killed, and says how it ended.

`{"project": FOLDER, "step": STEP, "strategy": null}`: a run, which kills itself at that step; its exit code.
`{"project": FOLDER, "seconds": 0.5}`: the project is ingested, an update begins and is killed after so long;
how long it ran. See `crashes.py`, which writes these lines.
"""

from __future__ import annotations

import json
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


FORK = multiprocessing.get_context("fork")  # a run that has everything imported already


def _updated(project: Path, seconds: float) -> float:
    """Begin to update an ingested project and end that after some seconds; how long it ran."""
    updating, begin = FORK.Pipe(duplex=False)
    run = FORK.Process(target=_update, args=(project, begin))
    run.start()
    begin.close()
    assert updating.recv()
    started = time.perf_counter()
    updating.poll(seconds)  # returns early when the run ends by itself
    run.kill()
    run.join()
    return time.perf_counter() - started


def _update(project: Path, begin: Connection) -> None:
    write_files(project, 20)
    with bench_in(project) as bench:
        bench.ingest()
        edit_files(project)
        begin.send(True)
        bench.ingest()


def _killed(project: Path, step: str, strategy: str | None) -> int | None:
    """Ingest a project until a step is done; the exit code of that run, negative for a signal."""
    run = FORK.Process(target=_once, args=(project, step, strategy))
    run.start()
    run.join()
    return run.exitcode


def _once(project: Path, step: str, strategy: str | None) -> None:
    with bench_in(project, wrap=lambda index: DyingIndex(index, step), strategy=strategy) as bench:
        bench.ingest()


def main() -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(writer, "_MOST_CHUNKS", SLICE)
    patch.setattr(pipeline, "parse_files", parse_here)
    for line in sys.stdin:
        wanted = json.loads(line)
        project = Path(wanted["project"])
        if "seconds" in wanted:
            answer: float | None = _updated(project, wanted["seconds"])
        else:
            answer = _killed(project, wanted["step"], wanted["strategy"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
