"""Whose documents are, and who may see them: as an ingest gives it, changes it, and leaves others alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.ingest.workbench import Workbench, bench_in, counts, parse_here, prose, write_files

from ragwright.core.types import OPEN, OWNER, Access, Scope
from ragwright.ingest import pipeline, rights
from ragwright.ingest.carry import carry_over
from ragwright.ingest.discover import document_id
from ragwright.ingest.doctor import examine
from ragwright.ingest.pipeline import plan_ingest

ACME, GLOBEX = Access("acme"), Access("globex")


@pytest.fixture
def bench(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """Three files, parsed in this process."""
    monkeypatch.setattr(pipeline, "parse_files", parse_here)
    write_files(project, 3)
    with bench_in(project) as made:
        yield made


def _access(bench: Workbench) -> dict[str, set[Access]]:
    """The rights of every source's chunks, in the index; those of its documents are shown to be the same."""
    bench.check()
    stored = [each for batch in bench.index.scan() for each in batch]
    documents = {each.document.id: each.document for each in bench.catalog.documents()}
    assert all(each.access == documents[each.chunk.span.document_id].access for each in stored)
    found: dict[str, set[Access]] = {}
    for each in stored:
        found.setdefault(each.source, set()).add(each.access)
    return found


def test_every_document_of_a_run_has_its_rights_and_the_default_is_open(bench: Workbench) -> None:
    bench.ingest(access=Access("acme", ("hr",)))
    assert set(map(frozenset, _access(bench).values())) == {frozenset([Access("acme", ("hr",))])}
    (bench.project / "new.md").write_text(prose(9))
    bench.ingest(bench.project / "new.md")
    assert _access(bench)["new.md"] == {OPEN}


def test_two_tenants_with_the_same_source_have_a_document_each(bench: Workbench) -> None:
    assert counts(bench.ingest(access=ACME)) == (3, 0, 0, 0, 0)
    of_acme = bench.chunk_ids()
    (bench.project / "file001.md").write_text("Changed for the other one. " + prose(7))
    assert counts(bench.ingest(access=GLOBEX)) == (3, 0, 0, 0, 0)
    assert bench.encoder.encoded != []
    assert set(of_acme) < set(bench.chunk_ids())
    assert counts(bench.ingest()) == (3, 0, 0, 0, 0)
    assert _access(bench)["file001.md"] == {OPEN, ACME, GLOBEX}
    assert bench.catalog.tenants() == ["", "acme", "globex"]
    assert len(bench.catalog.names()) == 9
    texts = {
        tenant: bench.catalog.document(document_id("file001.md", tenant)) for tenant in ("acme", "globex", "")
    }
    assert [document is not None and "Changed" in document.text for document in texts.values()] == [
        False,
        True,
        True,
    ]


def test_a_document_of_a_tenant_is_named_as_no_source_can_be() -> None:
    named = [("a.md", ""), ("a.md", "acme"), ("cmea.md", "a"), ("acmea.md", ""), ("acme\0a.md", "")]
    assert len({document_id(source, tenant) for source, tenant in named}) == len(named)
    assert document_id("a.md") == document_id("a.md", "")


def test_equal_texts_share_their_vectors_within_a_tenant_only(bench: Workbench) -> None:
    """How long an ingest takes, and what it reports, tells nothing of what other tenants have."""
    bench.ingest(access=ACME)
    first = sorted(bench.encoder.encoded)
    report = bench.ingest(access=GLOBEX)
    assert (sorted(bench.encoder.encoded), report.reused) == (first, 0)
    (bench.project / "copy.md").write_bytes((bench.project / "file002.md").read_bytes())
    copied = bench.ingest(access=Access("globex", ("hr",)))
    assert counts(copied) == (1, 3, 0, 0, 0)
    bench.check()


def test_an_ingest_prunes_nothing_of_another_tenant(bench: Workbench) -> None:
    bench.ingest(access=ACME)
    bench.ingest(access=GLOBEX)
    (bench.project / "file000.md").unlink()
    assert counts(bench.ingest(access=GLOBEX)) == (0, 0, 2, 1, 0)
    assert list(bench.catalog.sources("acme")) == ["file000.md", "file001.md", "file002.md"]
    assert list(bench.catalog.sources("globex")) == ["file001.md", "file002.md"]
    assert counts(bench.ingest(access=Access("nobody"))) == (2, 0, 0, 0, 0)
    assert "file000.md" in bench.catalog.sources("acme")


def test_other_rights_update_an_unchanged_file_without_reading_or_encoding_it(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ingest(access=ACME)
    before, answers = bench.chunk_ids(), bench.search(prose(0)[:40])
    monkeypatch.setattr(pipeline, "parse_files", None)
    hr = Access("acme", ("hr", "board"))
    plan = plan_ingest(
        bench.discover(), bench.catalog.known_files("acme"), settings=bench.settings(access=hr)
    )
    assert plan.update == plan.rights == ("file000.md", "file001.md", "file002.md")
    assert counts(bench.ingest(access=hr)) == (0, 3, 0, 0, 0)
    assert bench.encoder.encoded == []
    assert sorted(bench.observer.outcomes) == [(source, "updated") for source in plan.rights]
    assert set.union(*_access(bench).values()) == {hr}
    assert bench.chunk_ids() == before
    assert [hit.score for hit in bench.search(prose(0)[:40])] == [hit.score for hit in answers]
    assert counts(bench.ingest(access=Access("acme", ("board", "hr")))) == (0, 0, 3, 0, 0)


def test_who_loses_a_right_loses_it_before_the_first_file_is_read(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ingest()
    bench.ingest(access=ACME)
    for path in bench.project.glob("*.md"):
        path.write_text("Changed. " + path.read_text())
    seen: list[set[Access]] = []

    def parse(paths: Sequence[Path], **options: Any) -> Iterator[Any]:
        stored = [each for batch in bench.index.scan() for each in batch]
        seen.append({each.access for each in stored} | {d.document.access for d in bench.catalog.documents()})
        return parse_here(paths, **options)

    monkeypatch.setattr(pipeline, "parse_files", parse)
    board = Access("acme", ("board",))
    assert counts(bench.ingest(access=board)) == (0, 3, 0, 0, 0)
    assert seen == [{OPEN, board}]


def test_a_file_that_fails_keeps_its_former_version_with_the_rights_of_the_run(bench: Workbench) -> None:
    bench.ingest(access=ACME)
    (bench.project / "file001.md").write_bytes(b"\x00\x01\x02" * 50)
    hr, board = Access("acme", ("hr",)), Access("acme", ("board",))
    assert counts(bench.ingest(access=hr)) == (0, 2, 0, 0, 1)
    assert _access(bench)["file001.md"] == {hr}
    assert counts(bench.ingest(access=board)) == (0, 2, 0, 0, 1)  # it is not even tried again
    assert _access(bench)["file001.md"] == {board}
    assert list(bench.catalog.failures("acme")) == ["file001.md"]
    (bench.project / "file002.md").unlink()
    (bench.project / "file002.md").symlink_to("nowhere")
    assert counts(bench.ingest(access=hr)) == (0, 1, 0, 0, 2)
    assert _access(bench)["file002.md"] == {hr}


def test_failures_are_those_of_a_tenant(bench: Workbench) -> None:
    path = bench.project / "file001.md"
    path.write_bytes(b"\x00\x01\x02" * 50)
    assert counts(bench.ingest(access=ACME)) == (2, 0, 0, 0, 1)
    assert counts(bench.ingest(access=GLOBEX)) == (2, 0, 0, 0, 1)
    assert bench.observer.outcomes.count(("file001.md", "failed")) == 1
    path.write_text("Good now.\n")
    assert counts(bench.ingest(access=GLOBEX)) == (1, 0, 2, 0, 0)
    assert list(bench.catalog.failures("acme")) == ["file001.md"] == list(bench.catalog.failures())
    assert bench.catalog.failures("globex") == {}
    path.unlink()
    assert counts(bench.ingest(access=GLOBEX)) == (0, 0, 2, 1, 0)
    assert list(bench.catalog.failures("acme")) == ["file001.md"]
    bench.ingest(access=ACME)
    assert bench.catalog.failures() == {}


@pytest.mark.parametrize("step", range(4))
def test_a_change_of_rights_that_is_stopped_is_ended_by_the_next_run(
    bench: Workbench, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "_DOCUMENTS_AT_ONCE", 2)
    bench.ingest(access=ACME)
    left = [step]

    def stopping(real: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return real(*given, **named)

        return call

    hr = Access("acme", ("hr",))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(bench.index, "set_access", stopping(bench.index.set_access))
        patch.setattr(bench.catalog, "set_access", stopping(bench.catalog.set_access))
        bench.ingest(access=hr)
    findings = [each.problem for each in examine(bench.catalog, bench.index, bench.version)]
    assert all("can be seen by others than its document" in problem for problem in findings)
    assert bool(findings) == (step in (1, 3))
    bench.ingest(access=hr)
    assert set.union(*_access(bench).values()) == {hr}


def test_a_rebuilt_index_has_the_rights_of_the_documents(bench: Workbench) -> None:
    bench.ingest(access=Access("acme", ("hr",)))
    bench.ingest(access=GLOBEX)
    (bench.project / "file000.md").write_bytes(b"\x00\x01\x02" * 50)
    bench.ingest(access=GLOBEX)
    before, failures = bench.chunk_ids(), bench.catalog.failures("globex")
    other = Workbench.beside(bench, "v2")
    report = carry_over(other.target, chunker_for=lambda domain: bench.chunker, observer=other.observer)
    assert (report.updated, report.added) == (6, 0)
    assert (other.chunk_ids(), bench.catalog.failures("globex")) == (before, failures)
    assert _access(other)["file000.md"] == {Access("acme", ("hr",)), GLOBEX}
    other.plain_index.close()


def test_a_forgotten_document_of_one_tenant_leaves_that_of_the_other(bench: Workbench) -> None:
    bench.ingest(access=ACME)
    bench.ingest(access=GLOBEX)
    bench.catalog.record_failure("file001.md", "broken", "x", tenant="acme")
    pipeline.forget([document_id("file001.md", "globex")], bench.target)
    assert _access(bench)["file001.md"] == {ACME}
    assert bench.catalog.failures("acme") == {"file001.md": "broken"}
    pipeline.forget([document_id("file001.md", "acme")], bench.target)
    assert bench.catalog.failures() == {}


def test_a_graph_that_is_due_can_be_left_to_a_later_run(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimized: list[bool] = []
    monkeypatch.setattr(bench.index, "optimize", lambda: optimized.append(True))
    monkeypatch.setattr(bench.index, "graph_is_due", lambda: True)
    bench.ingest(defer_graph=True)
    assert (optimized, bench.catalog.is_settled(bench.version)) == ([], False)
    monkeypatch.setattr(bench.index, "graph_is_due", lambda: False)
    bench.ingest(defer_graph=True)
    assert (optimized, bench.catalog.is_settled(bench.version)) == ([True], True)


def test_a_caller_finds_what_its_rights_let_it(bench: Workbench) -> None:
    bench.ingest(bench.project / "file000.md", access=ACME)
    bench.ingest(bench.project / "file001.md", access=Access("acme", ("hr",)))
    bench.ingest(bench.project / "file002.md", access=GLOBEX)
    for scope, number in (
        (OWNER, 3),
        (Scope(frozenset(["acme"]), frozenset()), 1),
        (Scope(frozenset(["acme"]), frozenset(["hr"])), 2),
        (Scope(frozenset(["globex", "acme"]), None), 3),
        (Scope(frozenset([""]), None), 0),
    ):
        found = {hit.source for hit in bench.search("report", scope=scope)}
        listed = [row.source for row in bench.catalog.listing(scope, limit=9)]
        assert len(found) == number == len(listed)
        assert sorted(found) == listed
