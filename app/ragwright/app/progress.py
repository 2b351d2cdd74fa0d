"""How far an ingest has come: bars on a terminal, a line every few seconds elsewhere, nothing when quiet."""

from __future__ import annotations

import collections
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

from ragwright.app.console import Console, coloured

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

_SECONDS_BETWEEN_LINES = 5.0
_LEAST_SHARE = 0.02  # below it, an estimate of the time that is left would be a guess


class Progress:
    """Counts files and chunks, and shows them on stderr. Called from one thread.

    Attributes:
        outcomes: Files by outcome, such as `added`, `skipped` or `failed`.
        chunks: Chunks done.
        tokens: Their tokens.
    """

    def __init__(
        self,
        console: Console,
        *,
        sizes: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sizes`, bytes by source, lets a large file count for more; without it files count alike."""
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.chunks = 0
        self.tokens = 0
        self._console = console
        self._clock = clock
        self._sizes = sizes or {}
        self._total = 0
        self._to_do = self._done = 0  # weight of the files that are to be read, and of those that have been
        self._chunks_of_done = 0
        self._started = self._last_line = clock()
        self._bars: Bars | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def start(self, total_files: int) -> None:
        """Begin; the clock starts here."""
        self._total = total_files
        self._to_do = sum(map(self._weight, self._sizes)) if self._sizes else total_files
        self._started = self._last_line = self._clock()
        if sys.stderr.isatty() and not self._console.quiet:
            self._bars = _bars(total_files)
            self._bars.start()

    def file_done(self, source: str, outcome: str) -> None:
        """Count one file.

        Args:
            source: Its path; not shown, since thousands of them would pass unread.
            outcome: What became of it; `failed` is shown on its own, `skipped` took no time.
        """
        self.outcomes[outcome] += 1
        if outcome == "skipped":
            self._to_do -= self._weight(source)
        else:
            self._done += self._weight(source)
            self._chunks_of_done = self.chunks
        self._show()

    def chunks_done(self, count: int, tokens: int) -> None:
        """Count encoded chunks and their tokens."""
        self.chunks += count
        self.tokens += tokens
        self._show()

    def finish(self) -> None:
        """Take the bars away; harmless when called twice."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def line(self) -> str:
        """The state in words: `12/40 files, 1 failed, 230 chunks, 45 chunks/s, 30 s left`."""
        done, seconds = self.outcomes.total(), self._clock() - self._started
        parts = [f"{done:,}/{self._total:,} files"]
        if self.outcomes["failed"]:
            parts.append(f"{self.outcomes['failed']:,} failed")
        parts.append(f"{self.chunks:,} chunks")
        if seconds > 0:
            parts.append(f"{self.chunks / seconds:,.0f} chunks/s")
        if _LEAST_SHARE <= (share := self._share()) < 1:
            parts.append(f"{_duration(seconds / share * (1 - share))} left")
        return ", ".join(parts)

    def _weight(self, source: str) -> int:
        return self._sizes.get(source, 0) + 1 if self._sizes else 1

    def _share(self) -> float:
        """How much of the work is done, 0 to 1: finished files, and unfinished ones by their chunks."""
        if self._to_do <= 0:
            return 1.0 if self.outcomes.total() else 0.0
        begun = 0.0
        if self._sizes and self._chunks_of_done:
            weight_of_chunk = self._done / self._chunks_of_done
            begun = min((self.chunks - self._chunks_of_done) * weight_of_chunk, self._to_do - self._done)
        # Never whole before the last file is: a file of many chunks to the byte would look finished early.
        return (self._done + 0.95 * max(0.0, begun)) / self._to_do

    def _show(self) -> None:
        if self._bars is not None:
            done = self._total * self._share()
            self._bars.update(self._bars.task_ids[0], completed=done, state=self.line())
        elif self._clock() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = self._clock()
            self._console.note(self.line())


class Counter:
    """Counts one kind of thing on stderr, as `Progress` does with files. Called from one thread."""

    def __init__(
        self, console: Console, things: str, total: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.done = 0
        self._console, self._things, self._total, self._clock = console, things, total, clock
        self._last_line = clock()
        self._bars: Bars | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._console.quiet:
            self._bars = _bars(self._total)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def advance(self) -> None:
        """Count one."""
        self.advance_to(self.done + 1)

    def advance_to(self, done: int) -> None:
        """So many are done."""
        self.done = done
        state = f"{self.done:,}/{self._total:,} {self._things}"
        if self._bars is not None:
            self._bars.update(self._bars.task_ids[0], completed=self.done, state=state)
        elif self._clock() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = self._clock()
            self._console.note(state)


def _bars(total: int) -> Bars:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    bars = Bars(
        SpinnerColumn(),
        BarColumn(bar_width=16),
        TextColumn(
            "{task.fields[state]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
        ),
        TimeElapsedColumn(),
        console=RichConsole(file=sys.stderr, no_color=not coloured(sys.stderr)),
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,  # a result must not end up on stderr
    )
    bars.add_task("", total=total, state="")
    return bars


def _duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
