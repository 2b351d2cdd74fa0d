"""How much time is left, when files differ in size."""

from __future__ import annotations

from ragwright.app.console import Console
from ragwright.app.progress import Progress


def test_large_file_counts_for_more_than_small_ones() -> None:
    now = 0.0
    sizes = {"large": 90_000_000, **{f"small {number}": 1_000_000 for number in range(10)}}
    progress = Progress(Console(quiet=True), sizes=sizes, clock=lambda: now)
    progress.start(11)
    for number in range(10):
        now += 1.0
        progress.chunks_done(100, 18_000)
        progress.file_done(f"small {number}", "added")
    assert progress.line() == "10/11 files, 1,000 chunks, 100 chunks/s, 90 s left"


def test_large_file_that_is_being_written_counts_by_its_chunks() -> None:
    now = 0.0
    progress = Progress(Console(quiet=True), sizes={"a": 1_000_000, "b": 9_000_000}, clock=lambda: now)
    progress.start(2)
    now = 1.0
    progress.chunks_done(100, 18_000)
    progress.file_done("a", "added")
    now = 6.0
    progress.chunks_done(450, 81_000)
    assert progress.line() == "1/2 files, 550 chunks, 92 chunks/s, 5 s left"
    now = 20.0
    progress.chunks_done(5_000, 900_000)
    assert progress.line().endswith("1 s left")


def test_skipped_files_took_no_time_and_foretell_none() -> None:
    now = 0.0
    progress = Progress(Console(quiet=True), sizes=dict.fromkeys("abcd", 1_000), clock=lambda: now)
    progress.start(4)
    progress.file_done("a", "skipped")
    progress.file_done("b", "skipped")
    assert "left" not in progress.line()
    now = 4.0
    progress.file_done("c", "failed")
    assert progress.line() == "3/4 files, 1 failed, 0 chunks, 0 chunks/s, 4 s left"
