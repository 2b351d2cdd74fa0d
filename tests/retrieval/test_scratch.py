"""Scratch folders: gone after their run, and after the next one where theirs was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragwright.retrieval.scratch import remove_leftovers, scratch_folder

WAITING = (
    "import pathlib, sys, time\n"
    "from ragwright.retrieval.scratch import scratch_folder\n"
    "with scratch_folder(pathlib.Path(sys.argv[1]), prefix='.made-') as folder:\n"
    "    (folder / 'half').write_text('done')\n"
    "    print(folder, flush=True)\n"
    "    time.sleep(60)\n"
)


@contextmanager
def running(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process with a scratch folder of its own."""
    command = [sys.executable, "-c", WAITING, str(parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def made(parent: Path) -> list[Path]:
    return sorted(parent.glob(".made-*"))


def test_a_folder_is_empty_and_gone_afterwards_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder(tmp_path, prefix=".made-") as folder:
        assert list(folder.iterdir()) == []
        (folder / "model").mkdir()
        raise ZeroDivisionError
    assert made(tmp_path) == []


def test_a_folder_may_be_moved_away_meanwhile(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, prefix=".made-") as folder:
        (folder / "model").write_text("done")
        folder.rename(tmp_path / "kept")
    assert (tmp_path / "kept" / "model").read_text() == "done"
    assert made(tmp_path) == []


def test_the_folder_of_a_killed_run_goes_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    (tmp_path / ".other-folder").mkdir()
    with running(tmp_path) as (process, theirs):
        remove_leftovers(tmp_path, prefix=".made-")
        with scratch_folder(tmp_path, prefix=".made-"):
            assert (theirs / "half").is_file(), "its process lives"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(made(tmp_path)) == 1
    remove_leftovers(tmp_path, prefix=".made-")
    assert made(tmp_path) == []
    assert (tmp_path / ".other-folder").is_dir()


def test_a_new_folder_is_made_where_killed_runs_left_some(tmp_path: Path) -> None:
    (tmp_path / ".made-before" / "made").mkdir(parents=True)
    with scratch_folder(tmp_path, prefix=".made-"), scratch_folder(tmp_path, prefix=".made-"):
        assert len(made(tmp_path)) == 2


def test_nothing_is_made_where_nothing_was_left(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "absent", prefix=".made-")
    remove_leftovers(tmp_path, prefix=".made-")
    assert list(tmp_path.iterdir()) == []
