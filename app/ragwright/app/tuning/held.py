"""Holding a workspace while something is promoted into it, and showing how far that is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ragwright.app.access import reading, writing
from ragwright.app.progress import Counter
from ragwright.app.tuning.comparing import Stage, Witness
from ragwright.core.errors import WorkspaceBusy

if TYPE_CHECKING:
    from ragwright.app.console import Console
    from ragwright.app.workspace import Workspace
    from ragwright.core.config import Config

_THINGS: dict[Stage, str] = {
    "building": "documents in the new index",
    "asking": "questions",
    "asking outside": "documents and questions of the other domain",
    "switching": "",
}


@contextmanager
def held_workspace(config: Config, *, command: str, console: Console) -> Iterator[Workspace]:
    """The workspace; with the embedded engine nobody else can use it meanwhile.

    Args:
        config: Every setting.
        command: What it is held for.
        console: Told whom is waited for.

    Raises:
        InputError: Nothing has been ingested.
        WorkspaceBusy: Another process holds it, and with it the engine: a server has to do this itself.
    """
    with ExitStack() as held:
        try:
            if config.index.url is None:
                workspace = held.enter_context(writing(config, purpose=command))
            else:
                workspace = held.enter_context(reading(config, purpose=command, console=console))
        except WorkspaceBusy as busy:
            raise WorkspaceBusy(
                f"{busy}; where that is a server, let it do this: {command} --server URL"
            ) from None
        yield workspace


class ShownWitness:
    """Counts the steps of each stage on stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._counters = ExitStack()
        self._counter: Counter | None = None

    def __enter__(self) -> Witness:
        return Witness(begin=self._begin, done=self._done)

    def __exit__(self, *_: object) -> None:
        self._counters.close()

    def _begin(self, stage: Stage, steps: int) -> None:
        self._counters.close()
        self._counter = None
        if steps:
            counter = Counter(self._console, _THINGS[stage], steps)
            self._counter = self._counters.enter_context(counter)

    def _done(self) -> None:
        if self._counter is not None:
            self._counter.advance()
