"""Seconds by stage: added up over threads, and gaps of the encoder told apart."""

from __future__ import annotations

import threading
import time

from ragwright.ingest.stopwatch import Stopwatch

PAUSE = 0.05


def test_times_of_a_stage_add_up_also_when_its_block_fails() -> None:
    seconds = {"index": 1.0}
    stopwatch = Stopwatch(seconds)
    stopwatch.add("index", 2.0)
    try:
        with stopwatch.timed("index"):
            time.sleep(PAUSE)
            raise OSError
    except OSError:
        pass
    assert 3.0 + PAUSE <= seconds["index"] < 4.0


def test_the_encoder_is_busy_once_where_two_threads_overlap_and_waits_where_none_works() -> None:
    seconds: dict[str, float] = {}
    stopwatch = Stopwatch(seconds)
    both = threading.Barrier(3)

    def encode() -> None:
        with stopwatch.encoding():
            both.wait()  # both are inside
            time.sleep(PAUSE)

    started = time.perf_counter()
    for _ in range(2):
        threads = [threading.Thread(target=encode) for _ in range(2)]
        time.sleep(PAUSE)
        for thread in threads:
            thread.start()
        both.wait()
        for thread in threads:
            thread.join()
    total = time.perf_counter() - started
    assert seconds.keys() == {"encode_start", "encode", "encode_wait"}
    assert min(seconds["encode_start"], seconds["encode_wait"]) >= PAUSE
    assert 2 * PAUSE <= seconds["encode"] <= total - 2 * PAUSE
    assert sum(seconds.values()) <= total * 1.01 + 0.01
