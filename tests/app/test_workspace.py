"""A workspace's parts, asked for by several threads at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from ragwright.app.index_versions import IndexVersions
from ragwright.app.parts import part
from ragwright.app.workspace import Workspace
from ragwright.core.config import load_config
from ragwright.core.errors import IndexDamaged

T = TypeVar("T")
THREADS = 8


def at_once(ask: Callable[[], T]) -> list[T]:
    """What several threads get that ask at the same moment."""
    barrier = threading.Barrier(THREADS)

    def asked(_: int) -> T:
        barrier.wait()
        return ask()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(asked, range(THREADS)))


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def workspace(project: Path, model_cache: Path, eager_threads: None) -> Iterator[Workspace]:
    """Of three documents; nothing is built yet."""
    flags = {"workspace": project / ".ragwright", "encoder.cache": model_cache, "encoder.threads": 1}
    made = Workspace(load_config(flags=flags, file=None, environ={}).config)
    yield made
    made.close()


@pytest.mark.parametrize(
    "ask",
    [
        lambda workspace: workspace.catalog,
        lambda workspace: workspace.encoder,
        lambda workspace: workspace.indexes.open(*workspace.live()),
        lambda workspace: workspace.retriever,
        lambda workspace: workspace.generator,
        lambda workspace: workspace.reranker("late"),
    ],
    ids=["catalog", "encoder", "index", "retriever", "generator", "reranker"],
)
def test_threads_that_ask_first_at_the_same_time_get_the_same(
    workspace: Workspace, ask: Callable[[Workspace], object]
) -> None:
    """The embedded engine, for one, refuses to open an index that is open."""
    assert len({id(each) for each in at_once(lambda: ask(workspace))}) == 1


def test_threads_that_search_first_find_the_same(workspace: Workspace) -> None:
    found = at_once(lambda: workspace.retriever.search("Who keeps the key?")[0].source)
    assert set(found) == {"docs/harbour.md"}


def test_a_released_index_is_opened_again_with_a_retriever_of_its_own(workspace: Workspace) -> None:
    former = workspace.retriever
    workspace.indexes.release(workspace.live()[0])
    again = workspace.retriever
    assert again is not former
    assert again is workspace.retriever
    assert again.search("ferry")[0].source == "docs/mail/ferry.txt"


def test_an_index_that_lacks_chunks_is_refused_every_time_and_can_be_looked_at(workspace: Workspace) -> None:
    version, manifest = workspace.live()
    index = workspace.open_index(version, manifest)
    index.delete([chunk.chunk.id for batch in index.scan() for chunk in batch][:1])
    workspace.indexes.release(version)
    for _ in range(2):
        with pytest.raises(IndexDamaged, match="holds 2 of its 3 chunks; run: ragwright ingest --rebuild"):
            workspace.open_index(version, manifest)
    assert workspace.open_index(version, manifest, incomplete=True).count() == 2


def test_closing_releases_every_version(workspace: Workspace) -> None:
    live, manifest = workspace.live()
    indexes: IndexVersions = workspace.indexes
    opened = [indexes.create("v2", manifest), indexes.open(live, manifest)]
    workspace.close()
    assert indexes.open(live, manifest) is not opened[1], "the engine opens no folder twice"
    indexes.close()


class _Counted:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.calls = 0

    @part
    def first(self) -> object:
        """What is made of another part."""
        return [self.second]

    @part
    def second(self) -> int:
        self.calls += 1
        if self.calls == 1:
            raise ValueError("not yet")
        return self.calls


def test_a_part_is_built_again_after_an_error_and_then_kept() -> None:
    counted = _Counted()
    with pytest.raises(ValueError, match="not yet"):
        _ = counted.first
    assert (counted.first, counted.second, counted.calls) == ([2], 2, 2)
    assert _Counted.first.__doc__ == "What is made of another part."
