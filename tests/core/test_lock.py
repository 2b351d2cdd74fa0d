"""One writer per workspace, whoever it is and however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragwright.core.errors import InputError, WorkspaceBusy
from ragwright.core.lock import workspace_lock

HOLDER = """
import sys, time
from pathlib import Path
from ragwright.core.lock import workspace_lock

with workspace_lock(Path(sys.argv[1]), purpose="ragwright ingest"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def _held_elsewhere(workspace: Path, *, seconds: float = 60.0) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(workspace), str(seconds)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def test_a_held_workspace_names_its_holder(tmp_path: Path) -> None:
    with _held_elsewhere(tmp_path) as holder:
        pattern = (
            rf"held by process {holder.pid} \(ragwright ingest, since \d\d:\d\d:\d\d\); wait until it ends"
        )
        with pytest.raises(WorkspaceBusy, match=pattern), workspace_lock(tmp_path, purpose="me"):
            pytest.fail("two holders")


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    with _held_elsewhere(tmp_path) as holder:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert (tmp_path / "lock.json").exists(), "it could not clean up"
        with workspace_lock(tmp_path, purpose="me"):
            assert json.loads((tmp_path / "lock.json").read_text(encoding="utf-8"))["pid"] == os.getpid()


def test_waiting_takes_over_when_the_holder_ends(tmp_path: Path) -> None:
    with _held_elsewhere(tmp_path, seconds=0.3):
        started = time.monotonic()
        with workspace_lock(tmp_path, purpose="me", wait_seconds=20):
            assert time.monotonic() - started < 10


def test_the_lock_is_let_go_after_an_error_and_leaves_no_owner(tmp_path: Path) -> None:
    workspace = tmp_path / "made" / "when absent"
    with pytest.raises(ZeroDivisionError), workspace_lock(workspace, purpose="first"):
        raise ZeroDivisionError
    assert not (workspace / "lock.json").exists()
    with workspace_lock(workspace, purpose="second"):
        pass


@pytest.mark.parametrize("content", [b"", b"[]", b'"x"', b"{}", b"\xff", b'{"pid": 1}'])
def test_a_damaged_note_of_the_owner_does_not_hide_that_it_is_held(tmp_path: Path, content: bytes) -> None:
    with workspace_lock(tmp_path, purpose="first"):
        (tmp_path / "lock.json").write_bytes(content)
        with (
            pytest.raises(WorkspaceBusy, match="held by another process"),
            workspace_lock(tmp_path, purpose="second"),
        ):
            pytest.fail("two holders")


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="cannot be written"),
        workspace_lock(tmp_path / "file", purpose="me"),
    ):
        pytest.fail("held a file")


def test_an_error_of_the_work_inside_is_not_taken_for_one_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the disk is full"), workspace_lock(tmp_path, purpose="me"):
        raise OSError(28, "the disk is full")


def test_a_lock_taken_in_one_thread_is_let_go_in_another(tmp_path: Path) -> None:
    held = workspace_lock(tmp_path, purpose="first")
    with ThreadPoolExecutor(max_workers=1) as other:
        other.submit(held.__enter__).result()
    held.__exit__(None, None, None)
    with workspace_lock(tmp_path, purpose="second"):
        pass


def test_a_workspace_that_is_made_is_its_owner_s_alone_and_one_that_was_there_stays(tmp_path: Path) -> None:
    made, there = tmp_path / "made", tmp_path / "there"
    there.mkdir()
    there.chmod(0o750)
    for folder, mode in ((made, 0o700), (there, 0o750)):
        with workspace_lock(folder, purpose="ragwright ingest"):
            assert folder.stat().st_mode & 0o777 == mode
