"""Versions beside one another: whatever happens to documents, each can be brought up to date with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ingest.workbench import Workbench, bench_in, parse_here, prose, write_files

from ragwright.core.types import Access
from ragwright.ingest import pipeline
from ragwright.ingest.carry import carry_over
from ragwright.ingest.report import IngestReport

FILES = 4
Step = tuple[str, int, int]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, FILES), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.integers(0, FILES), st.just(0)),
        st.tuples(st.just("rights"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("carry"), st.just(0), st.just(0)),
        st.tuples(st.just("stop"), st.integers(1, 3), st.just(0)),
    ),
    max_size=6,
)


class Stopping:
    """An index that stops at a call that writes, as a process that dies there."""

    def __init__(self, index: Any, calls: int) -> None:
        self._index, self._left = index, calls

    def __getattr__(self, name: str) -> Any:
        if name in ("upsert", "delete", "set_access"):
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
        return getattr(self._index, name)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "parse_files", parse_here)


@pytest.fixture
def bench(project: Path) -> Iterator[Workbench]:
    with bench_in(project) as made:
        yield made


def carry(to: Workbench) -> IngestReport:
    return carry_over(to.target, chunker_for=lambda domain: to.chunker, observer=to.observer)


def _do(bench: Workbench, other: Workbench, step: Step, group: list[str]) -> None:
    kind, number, seed = step
    path = bench.project / f"file{number:03}.md"
    if kind == "change":
        path.write_text(prose(100 * seed + number, sentences=1 + seed))
    elif kind == "delete":
        path.unlink(missing_ok=True)
    elif kind == "rights":
        group[:] = [f"group{number}"]
    elif kind == "carry":
        carry(other)
    else:
        whole, other.index = other.index, Stopping(other.index, number)
        with suppress(KeyboardInterrupt):
            carry(other)
        other.index = whole
    bench.ingest(access=Access("", tuple(group)))


def _rights(bench: Workbench) -> set[tuple[str, Access]]:
    return {(each.chunk.id, each.access) for part in bench.plain_index.scan() for each in part}


@pytest.mark.slow
@given(steps=STEPS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_version_that_is_brought_up_to_date_holds_what_the_live_one_does(steps: Sequence[Step]) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        write_files(Path(folder), FILES)
        with bench_in(Path(folder)) as bench:
            group: list[str] = []
            bench.ingest()
            other = Workbench.beside(bench, "v2")
            for step in steps:
                _do(bench, other, step, group)
            carry(other)
            assert bench.catalog.behind("v2") == []
            other.check()
            bench.check()
            assert _rights(other) == _rights(bench)
            assert carry(other).chunks == 0, "nothing is left to be done"
            other.plain_index.close()


def test_a_document_that_is_forgotten_is_hidden_in_every_version(bench: Workbench) -> None:
    write_files(bench.project, 2)
    bench.ingest()
    other = Workbench.beside(bench, "v2")
    carry(other)
    gone = {row.id for row in other.catalog.ledger("v2")}
    bench.forget("file000.md")
    left = {row.id for row in other.catalog.ledger("v2")}
    assert {*bench.catalog.strays("v2")} == gone - left and gone - left
    assert bench.catalog.strays("v1") == []
    other.plain_index.close()


def test_what_changes_while_it_is_carried_over_is_neither_lost_nor_held(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(bench.project, 2)
    bench.ingest()
    other = Workbench.beside(bench, "v2")
    hold = bench.catalog.hold

    def after_a_change(version: str, read: Any) -> list[str]:
        monkeypatch.setattr(bench.catalog, "hold", hold)
        (bench.project / "file000.md").write_text("Newer than what was read. " + prose(7))
        bench.ingest()
        return hold(version, read)

    monkeypatch.setattr(bench.catalog, "hold", after_a_change)
    carry(other)
    (changed,) = bench.catalog.behind("v2")
    document = bench.catalog.document(changed)
    assert document is not None and document.text.startswith("Newer than what was read.")
    assert bench.catalog.ledger("v2", [changed]) == [] and bench.catalog.strays("v2") == []
    bench.check()
    assert carry(other).updated == 1
    other.check()
    other.plain_index.close()


def test_carrying_over_leaves_the_documents_and_their_failures_as_they_are(bench: Workbench) -> None:
    write_files(bench.project, 3)
    bench.ingest()
    (bench.project / "file001.md").write_bytes(b"\x00\x01\x02" * 50)
    bench.ingest()
    before = [*bench.catalog.documents()], bench.catalog.failures(), bench.catalog.known_files("")
    other = Workbench.beside(bench, "v2")
    carry(other)
    after = [*bench.catalog.documents()], bench.catalog.failures(), bench.catalog.known_files("")
    assert after == before and bench.catalog.failures()
    other.plain_index.close()
