"""The stop watch of the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds(
    run: Callable[[], object], *, runs: int = 1, clock: Callable[[], float] = time.perf_counter
) -> float:
    """How long one call takes, in seconds: the mean of so many calls in a row.

    Args:
        run: What is called.
        runs: Several, where one is too quick for the clock.
        clock: Wall time; or `time.process_time`, which leaves out what other processes do.
    """
    started = clock()
    for _ in range(runs):
        run()
    return (clock() - started) / runs


def milliseconds(run: Callable[[], object]) -> float:
    """Wall time of one call, in milliseconds."""
    return seconds(run) * 1000
