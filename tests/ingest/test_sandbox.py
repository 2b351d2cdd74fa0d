"""A file is parsed in a child process, and whatever it does there ends as one outcome."""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.ingest.workbench import bench_in

from ragwright.core.types import Block, Parsed
from ragwright.ingest import pipeline
from ragwright.ingest.ahead import ahead
from ragwright.ingest.sandbox import ParseLimits, ParseOutcome, Work, parse_files

QUICK = ParseLimits(memory_megabytes=256, cpu_seconds=1, wall_seconds=10)
HERE = str(Path(__file__).parent)


REASONS = {
    "burn": "took more than 1 s of CPU time",
    "hoard": "needed more than 256 MB of memory",
    "exit": "its parser ended with exit code 7 and without a result",
    "leave": "its parser ended with exit code 3 and without a result",
    "refuse": "locked: say the word",
    "connect": "OSError: parsing opens no connection",
}


@pytest.fixture(scope="module")
def hostile() -> Iterator[Work]:
    """The misbehaving parser, importable here and in the children."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        yield importlib.import_module("hostile_parsers").hostile


@pytest.fixture(scope="module")
def misbehaved(hostile: Work, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ParseOutcome]:
    """What becomes of files that misbehave side by side, each in its own way."""
    return _outcomes(tmp_path_factory.mktemp("misbehaved"), hostile, *REASONS)


def _outcomes(
    folder: Path, work: Work, *contents: str, limits: ParseLimits = QUICK
) -> dict[str, ParseOutcome]:
    """Outcomes of files by their content, all at once."""
    paths = {folder / str(number): content for number, content in enumerate(contents)}
    for path, content in paths.items():
        path.write_text(content)
    found = parse_files(paths, jobs=len(paths), limits=limits, heavy=False, work=work)
    return {paths[outcome.path]: outcome for outcome in found}


@pytest.fixture
def outcome(hostile: Work, tmp_path: Path) -> Callable[..., ParseOutcome]:
    """Parses one file of the given content and gives its outcome."""

    def parse_one(content: str, limits: ParseLimits = QUICK) -> ParseOutcome:
        path = tmp_path / "file.txt"
        path.write_text(content)
        (only,) = parse_files([path], jobs=1, limits=limits, heavy=False, work=hostile)
        return only

    return parse_one


def _gone(pid: int) -> bool:
    """Whether a process has ended, waiting for it up to five seconds."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def _announced(folder: Path, count: int) -> list[int]:
    """Process ids that children have written, as soon as there are so many."""
    for _ in range(200):
        found = [int(entry.name) for entry in folder.iterdir()]
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{count} children did not start in 10 s")


def test_a_normal_file_comes_back_whole(
    outcome: Callable[..., ParseOutcome], capfd: pytest.CaptureFixture[str]
) -> None:
    """Text, blocks with every field, digest and size arrive, and nothing of what the parser printed."""
    result = outcome("hello")
    block = Block("paragraph", 0, 5, 1, 2, (0.0, 1.0, 2.0, 3.0))
    assert result.parsed == Parsed("hello", (block,), "file.txt")
    assert (result.digest, result.size) == (hashlib.sha256(b"hello").hexdigest(), 5)
    assert result.failure is None
    assert 0 < result.seconds < 10
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("action", REASONS)
def test_a_misbehaving_file_gets_a_reason(misbehaved: dict[str, ParseOutcome], action: str) -> None:
    """Every end has a reason in plain words, and the file is known by its digest all the same."""
    result = misbehaved[action]
    assert result.failure == REASONS[action]
    assert result.parsed is None
    assert result.digest == hashlib.sha256(action.encode()).hexdigest()


@pytest.mark.slow
def test_a_file_that_does_not_heed_the_first_signal_is_killed(outcome: Callable[..., ParseOutcome]) -> None:
    """Time on a core ends for those as well who ignore being told."""
    assert outcome("stubborn").failure == REASONS["burn"]


def test_a_sleeper_is_killed_at_the_wall_clock_limit(hostile: Work, tmp_path: Path) -> None:
    """A child that waits for nothing ends, even when a program that it started holds its pipes."""
    limits = ParseLimits(wall_seconds=1)
    for result in _outcomes(tmp_path, hostile, "sleep", "sleep as group", limits=limits).values():
        assert result.failure == "took more than 1 s"
        assert result.seconds < 3


def test_a_crash_in_native_code_is_named(outcome: Callable[..., ParseOutcome]) -> None:
    """A segmentation fault ends the child alone."""
    failure = outcome("crash").failure
    assert failure is not None
    assert failure.startswith("its parser died with signal 11 (SIGSEGV)")


def test_an_exception_of_a_library_becomes_one_short_line(outcome: Callable[..., ParseOutcome]) -> None:
    """Type and message, without line breaks, cut to a readable length."""
    failure = outcome("fail").failure
    assert failure is not None
    assert failure.startswith("KeyError: ")
    assert "\n" not in failure
    assert len(failure) <= 300


def test_what_is_no_regular_file_is_refused_without_reading(tmp_path: Path) -> None:
    """A pipe would block and a device never end; a folder and a missing file are named as such."""
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "link.txt").symlink_to("nowhere")
    paths = [tmp_path / name for name in ("pipe.txt", "", "gone.txt", "link.txt")] + [Path("/dev/zero")]
    outcomes = {result.path: result for result in parse_files(paths, jobs=2, limits=QUICK, heavy=False)}
    assert [(outcomes[path].failure or "").split(",")[0] for path in paths] == [
        "is a named pipe",
        "is a folder",
        "was deleted while it was read",
        "is a link to a file that is not there",
        "is a device",
    ]
    assert {(result.digest, result.size) for result in outcomes.values()} == {("", 0)}


def test_a_file_above_the_size_limit_is_not_read(outcome: Callable[..., ParseOutcome]) -> None:
    """The reason names both sizes."""
    result = outcome("x" * 3_000_000, ParseLimits(file_bytes=1_000_000))
    assert result.failure == "is 3.0 MB; the limit is 1.0 MB; split it or raise the limit"
    assert result.digest == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """The system's own words stand in the reason."""
    path = tmp_path / "secret.txt"
    path.write_text("x")
    path.chmod(0)
    (result,) = parse_files([path], jobs=1, limits=QUICK, heavy=False)
    assert result.failure == "cannot be read: Permission denied"


def test_one_bad_file_does_not_harm_the_others(hostile: Work, tmp_path: Path) -> None:
    """All paths give an outcome, whatever their neighbours do."""
    contents = ["a", "exit", "b", "crash", "c", "fail", "d"]
    paths = [tmp_path / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    outcomes = list(parse_files(paths, jobs=3, limits=QUICK, heavy=False, work=hostile))
    assert sorted(result.path for result in outcomes) == paths
    assert sorted(result.parsed.text for result in outcomes if result.parsed) == ["a", "b", "c", "d"]


@pytest.mark.slow
def test_a_result_larger_than_a_pipe_waits_for_a_slow_caller(hostile: Work, tmp_path: Path) -> None:
    """A child that waits until its result is taken is not over its time."""
    paths = [tmp_path / "1", tmp_path / "2"]
    for path in paths:
        path.write_text("x" * 1_000_000)
    outcomes = parse_files(paths, jobs=2, limits=ParseLimits(wall_seconds=1), heavy=False, work=hostile)
    first = next(outcomes)
    time.sleep(1.5)
    assert [result.failure for result in [first, *outcomes]] == [None, None]


def test_paths_are_taken_no_further_ahead_than_there_are_jobs(hostile: Work, tmp_path: Path) -> None:
    """After n outcomes at most n + jobs paths have been taken."""
    taken = 0

    def paths() -> Iterator[Path]:
        nonlocal taken
        for number in range(12):
            taken += 1
            path = tmp_path / str(number)
            path.write_text("x")
            yield path

    outcomes = parse_files(paths(), jobs=2, limits=QUICK, heavy=False, work=hostile)
    for count, _ in enumerate(outcomes, start=1):
        assert taken <= count + 2
    assert taken == 12


def test_closing_the_generator_kills_the_children(hostile: Work, tmp_path: Path) -> None:
    """No child outlives a caller that has seen enough."""
    announce = importlib.import_module("hostile_parsers").announce
    folder = tmp_path / "pids"
    folder.mkdir()
    (tmp_path / "quick").write_text("nowhere")
    (tmp_path / "file").write_text(str(folder))
    paths = [tmp_path / "quick", *[tmp_path / "file"] * 3]
    outcomes = parse_files(paths, jobs=2, limits=ParseLimits(), heavy=False, work=announce)
    next(outcomes)
    pids = _announced(folder, 2)
    outcomes.close()  # type: ignore[attr-defined]
    assert all(_gone(pid) for pid in pids)


def test_leaving_a_run_kills_sleeping_children_at_once(hostile: Work, tmp_path: Path) -> None:
    """Whoever consumes from another thread need not wait until a child's time is over."""
    announce = importlib.import_module("hostile_parsers").announce
    folder = tmp_path / "pids"
    folder.mkdir()
    (tmp_path / "file").write_text(str(folder))
    stopped = threading.Event()
    parse_both = functools.partial(
        parse_files,
        [tmp_path / "file"] * 2,
        jobs=2,
        limits=ParseLimits(wall_seconds=60),
        heavy=False,
        stopped=stopped.is_set,
        work=announce,
    )
    left = 0.0
    with pytest.raises(KeyboardInterrupt), ahead(parse_both, weigh=lambda _: 1, room=2, stopped=stopped):
        pids = _announced(folder, 2)
        left = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - left < 1.5
    assert all(_gone(pid) for pid in pids)


def test_an_interrupted_ingest_ends_at_once_and_leaves_no_child(
    hostile: Work, project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C does not wait for a parser."""
    announce = importlib.import_module("hostile_parsers").announce
    monkeypatch.setattr(pipeline, "parse_files", functools.partial(parse_files, work=announce))
    folder = tmp_path_factory.mktemp("pids")
    for name in ("a.txt", "b.txt"):
        (project / name).write_text(str(folder))
    pids: list[int] = []
    interrupted: list[float] = []

    def interrupt() -> None:
        pids.extend(_announced(folder, 2))
        interrupted.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with bench_in(project) as bench:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            bench.ingest(limits=ParseLimits(wall_seconds=60))
        assert time.monotonic() - interrupted[0] < 1.5
    assert all(_gone(pid) for pid in pids)


_PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from hostile_parsers import announce
from ragwright.ingest.sandbox import ParseLimits, parse_files
# No guard on the main module: it must not run again in the children.
list(parse_files([Path(sys.argv[2])] * 2, jobs=2, limits=ParseLimits(), heavy=False, work=announce))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_end_with_their_parent(tmp_path: Path, kind: signal.Signals) -> None:
    """However the parent is killed, no child is left after five seconds, and no child prints a traceback."""
    folder = tmp_path / "pids"
    folder.mkdir()
    (tmp_path / "file").write_text(str(folder))
    (tmp_path / "main.py").write_text(_PARENT)
    command = [sys.executable, str(tmp_path / "main.py"), HERE, str(tmp_path / "file")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as parent:
        pids = _announced(folder, 2)
        target = os.killpg if kind == signal.SIGINT else os.kill  # Ctrl-C reaches the whole group
        target(parent.pid, kind)
        printed = parent.communicate(timeout=10)[1]
    assert all(_gone(pid) for pid in pids)
    assert printed.count("Traceback") == (1 if kind == signal.SIGINT else 0)
