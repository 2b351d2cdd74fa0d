"""The catalog: what goes in comes out, whatever it holds and however much."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from ragwright.core.errors import IndexDamaged, ServiceError
from ragwright.core.types import Block, Document
from ragwright.ingest import catalog_tables
from ragwright.ingest.catalog import Catalog
from ragwright.ingest.catalog_values import CommittedDocument, LedgerRow, Manifest, Switch
from ragwright.ingest.discover import document_id

MANY = 40_000
MANIFEST = Manifest(1, "model", "print", 3, "en", {"general": "x"})


@pytest.fixture
def catalog(project: Path) -> Iterator[Catalog]:
    made = Catalog.in_folder(project)
    yield made
    made.close()


def _document(source: str = "a.md", text: str = "text") -> Document:
    return Document(document_id(source), source, "Title", text)


def _rows(source: str, *, number: int = 3, encoded: str = "e") -> tuple[LedgerRow, ...]:
    key = document_id(source)
    return tuple(LedgerRow(f"{source}-{n}", key, n, n + 1, f"{encoded}{n}") for n in range(number))


def _committed(source: str, rows: tuple[LedgerRow, ...], digest: str = "d") -> CommittedDocument:
    return CommittedDocument(_document(source), digest, 4, "general", rows)


def test_what_is_remembered_is_read_anew_after_any_commit(project: Path) -> None:
    """Of this catalog or of another one on the same file, as another process has it."""
    catalog, other = Catalog.in_folder(project), Catalog.in_folder(project)
    assert catalog.strays("v1") == [] == other.strays("v1")
    for writer, reader in ((catalog, other), (other, catalog), (catalog, catalog)):
        rows = _rows(f"{id(writer)}{id(reader)}.md")
        writer.declare("v1", rows)
        assert reader.strays("v1") == sorted(row.id for row in rows) == writer.strays("v1")
        assert reader.strays("v2") == []
        writer.drop_strays("v1", [row.id for row in rows])
        assert reader.strays("v1") == []
        writer.save_version("v1", MANIFEST, live=True)
        assert reader.live_version() == ("v1", MANIFEST)
        writer.drop_version("v1")
        assert reader.live_version() is None
    catalog.close()
    other.close()


def test_threads_that_ask_while_another_commits_see_what_was_committed_before(catalog: Catalog) -> None:
    def ask(count: int) -> bool:
        catalog.declare("v1", _rows(f"{count}.md", number=1))
        return f"{count}.md-0" in catalog.strays("v1")

    with ThreadPoolExecutor(max_workers=4) as threads:
        assert all(threads.map(ask, range(40)))


def test_what_is_remembered_is_asked_for_without_a_query(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.declare("v1", _rows("a.md"))
    first = catalog.strays("v1")
    monkeypatch.setattr(catalog._database, "reading", None)
    again = catalog.strays("v1")
    assert again == first
    again.clear()
    assert catalog.strays("v1") == first, "what a caller does to its list changes nothing"


TEXTS = st.text(st.characters(exclude_categories=())) | st.sampled_from(["\ud800", "a\0b", "\udcff", ""])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(text=TEXTS, title=st.text(), metadata=st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_a_document_comes_out_as_it_went_in(
    text: str, title: str, metadata: dict[str, str], catalog: Catalog
) -> None:
    """Lone surrogates and NUL included, but for the title, whose NUL is escaped."""
    block = Block("table_row", 0, len(text), page=2, level=1, box=(0.0, 1.5, 2.0, 3.0))
    document = Document("id", "a.md", title, text, (block,), metadata)
    catalog.commit("v1", [CommittedDocument(document, "d", 2**40, "legal", ())])
    found = catalog.document("id")
    assert found is not None
    assert (found.text, found.blocks, found.metadata) == (text, (block,), metadata)
    assert found.title == title.replace("\0", "\\x00")
    assert [each.size for each in catalog.documents()] == [2**40]


@pytest.mark.slow
def test_any_number_of_chunks_and_documents_goes_through_every_method(catalog: Catalog) -> None:
    """More than the parameters that SQLite takes in one statement."""
    rows = _rows("a.md", number=MANY)
    catalog.declare("v1", rows)
    assert len(catalog.strays("v1")) == MANY
    assert len(catalog.chunks_encoding("v1", [row.encoded for row in rows])) == MANY
    assert catalog.commit("v1", [_committed("a.md", rows)]) == []
    assert catalog.strays("v1") == []
    catalog.declare("v1", rows)
    assert catalog.strays("v1") == []
    assert len(catalog.commit("v1", [_committed("a.md", ())])) == MANY
    catalog.drop_strays("v1", [row.id for row in rows])
    names = [f"{n}.md" for n in range(MANY)]
    catalog.commit("v1", [_committed(name, _rows(name, number=1)) for name in names[:600]])
    assert len(catalog.ledger("v1", [document_id(name) for name in names])) == 600
    catalog.clear_failures(names)
    assert len(catalog.forget("v1", [document_id(name) for name in names])) == 600
    assert list(catalog.sources()) == ["a.md"]


def test_what_an_update_no_longer_holds_becomes_a_stray_until_it_is_dropped(catalog: Catalog) -> None:
    first, second = _rows("a.md", number=3), _rows("a.md", number=1)
    catalog.declare("v1", first)
    catalog.commit("v1", [_committed("a.md", first)])
    catalog.declare("v1", second)
    assert catalog.commit("v1", [_committed("a.md", second)]) == ["a.md-1", "a.md-2"]
    assert catalog.strays("v1") == ["a.md-1", "a.md-2"]
    catalog.drop_strays("v1", ["a.md-1", "a.md-2", "unknown"])
    assert catalog.strays("v1") == []
    assert [row.id for row in catalog.ledger("v1")] == ["a.md-0"]


def test_a_document_whose_chunks_are_overwritten_counts_as_changed_until_it_is_committed(
    catalog: Catalog,
) -> None:
    rows, other = _rows("a.md"), _rows("a.md", encoded="other")
    catalog.declare("v1", rows)
    catalog.commit("v1", [_committed("a.md", rows)])
    catalog.declare("v1", (*rows[:1], *other[1:]))
    assert catalog.known_files("")["a.md"].digest != "d"
    assert catalog.being_replaced() == {document_id("a.md")}
    assert catalog.chunks_encoding("v1", ["e0", "e1", "other1", ""]) == {"e0": "a.md-0"}
    catalog.commit("v1", [_committed("a.md", other, digest="new")])
    assert catalog.known_files("")["a.md"].digest == "new"
    assert catalog.chunks_encoding("v1", ["other1"]) == {"other1": "a.md-1"}


def test_nobody_takes_vectors_from_a_stray_that_was_declared_as_two_different_things(
    catalog: Catalog,
) -> None:
    for _ in range(2):
        catalog.declare("v1", _rows("a.md"))
    assert catalog.chunks_encoding("v1", ["e0"]) == {"e0": "a.md-0"}
    for _ in range(2):
        catalog.declare("v1", _rows("a.md", encoded="other"))
        assert catalog.chunks_encoding("v1", ["e0", "other0"]) == {}


def test_failures_are_remembered_with_the_former_domain_and_cleared_by_success(catalog: Catalog) -> None:
    catalog.commit("v1", [_committed("a.md", ())])
    catalog.record_failure("a.md", "broken \ud800\0", "x")
    catalog.record_failure("a.md", "broken \ud800\0", "y")
    known = catalog.known_files("")["a.md"]
    assert (known.digest, known.domain, known.reason) == ("y", "general", "broken \\ud800\\x00")
    assert catalog.counts("v1").failures == 1
    catalog.commit("v1", [_committed("a.md", ())])
    assert catalog.failures() == {}


def test_one_version_is_live_and_the_tenth_comes_after_the_second(catalog: Catalog) -> None:
    assert catalog.live_version() is None
    for number in (1, 2, 10):
        catalog.save_version(f"v{number}", MANIFEST, live=number < 10)
    assert catalog.live_version() == ("v2", MANIFEST)
    assert catalog.versions() == ["v1", "v2", "v10"]
    catalog.set_settled("v2", settled=False)
    assert not catalog.is_settled("v2")
    assert catalog.is_settled("v1")
    catalog.drop_version("v2")
    assert catalog.live_version() is None
    assert catalog.is_settled("v2")


def test_a_manifest_of_before_models_were_promoted_is_read_as_one_without(
    catalog: Catalog, project: Path
) -> None:
    catalog.save_version("v1", MANIFEST, live=True)
    with closing(sqlite3.connect(next(project.rglob("catalog.sqlite3")))) as connection, connection:
        (text,) = connection.execute("SELECT manifest FROM index_versions").fetchone()
        former = {name: value for name, value in json.loads(text).items() if name != "parts"}
        connection.execute("UPDATE index_versions SET manifest = ?", (json.dumps(former),))
        connection.execute("DROP TABLE behind")
        connection.execute("DROP TABLE switches")
    with closing(Catalog.in_folder(next(project.rglob("catalog.sqlite3")).parent)) as again:
        assert again.live_version() == ("v1", MANIFEST) and MANIFEST.parts == {}
        assert (again.switches(), again.behind("v1")) == ([], [])
        promoted = replace(MANIFEST, parts={"embedder": "law"})
        switch = Switch("2026-11-20T12:00:00+00:00", "promote", "law", "v2", promoted.parts, {})
        again.save_version("v2", promoted, live=True, switch=switch)
        assert again.live_version() == ("v2", promoted) and again.switches() == [switch]


def test_what_a_damaged_file_says_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite3").write_bytes(b"no database at all, " * 100)
    with pytest.raises(IndexDamaged, match=r"is damaged \(file is not a database\)"):
        Catalog.in_folder(tmp_path)


def test_damage_inside_the_file_is_found_and_told(project: Path) -> None:
    catalog = Catalog.in_folder(project)
    catalog.commit("v1", [_committed(f"{n}.md", _rows(f"{n}.md", number=50)) for n in range(50)])
    assert catalog.damage() == []
    catalog.close()
    path = project / "catalog.sqlite3"
    data = bytearray(path.read_bytes())
    data[8192 : len(data) - 4096] = b"\x55" * (len(data) - 12288)
    path.write_bytes(data)
    with pytest.raises(IndexDamaged), sqlite3.connect(path):
        opened = Catalog.in_folder(project)
        assert opened.damage()
        opened.ledger("v1")


def test_a_damaged_document_is_named(catalog: Catalog, project: Path) -> None:
    catalog.commit("v1", [_committed("a.md", ())])
    with sqlite3.connect(project / "catalog.sqlite3") as database:
        database.execute("update documents set text = x'00'")
    database.close()
    with pytest.raises(IndexDamaged, match=r"copy of a\.md is damaged"):
        catalog.document(document_id("a.md"))


def test_another_layout_is_refused(project: Path) -> None:
    Catalog.in_folder(project).close()
    with sqlite3.connect(project / "catalog.sqlite3") as database:
        database.execute("update facts set value = '99' where name = 'schema'")
    database.close()
    with pytest.raises(IndexDamaged, match="layout 99 and this version of ragwright reads 2"):
        Catalog.in_folder(project)


def test_a_database_that_does_not_answer_is_a_service_error(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite3").mkdir()
    with pytest.raises(ServiceError, match="cannot be used"):
        Catalog.in_folder(tmp_path)


def test_a_folder_of_any_name_holds_a_catalog(project: Path) -> None:
    folder = project / "a?b=c#d %41 ü"
    Catalog.in_folder(folder).close()
    assert (folder / "catalog.sqlite3").is_file()


def test_the_tables_can_be_made_in_postgresql() -> None:
    """Only the SQL is looked at; no key is longer than a B-tree takes."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in catalog_tables.tables.sorted_tables:
        assert (
            "BYTEA" in str(sa.schema.CreateTable(table).compile(dialect=dialect)) or table.name != "documents"
        )
        for index in (each for each in table.indexes if each._ddl_if is None):
            made = str(sa.schema.CreateIndex(index).compile(dialect=dialect))
            assert ("USING hash" in made) == ("source" in {column.name for column in index.columns})
    assert not catalog_tables.documents.c.source.primary_key
