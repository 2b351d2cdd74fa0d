"""What of a catalog a caller may see, a page at a time, and catalogs from before there were rights."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.core.errors import IndexDamaged, InputError
from ragwright.core.types import OPEN, OWNER, Access, Document, Scope
from ragwright.ingest import catalog_tables
from ragwright.ingest.catalog import Catalog
from ragwright.ingest.catalog_scope import ScopedDocuments
from ragwright.ingest.catalog_values import CommittedDocument, LedgerRow, ListedDocument, Manifest
from ragwright.ingest.discover import document_id

TENANTS = ["", "acme", "Acme", "a%me", "' OR 1=1 --"]
GROUPS = ["hr", "HR", 'x"hr', "h_", '["hr"]', "r\\", "*hr"]
MANIFEST = Manifest(3, "model", "print", 3, "en", {})
RIGHTS = st.builds(Access, st.sampled_from(TENANTS), st.lists(st.sampled_from(GROUPS), max_size=2).map(tuple))
SCOPES = st.builds(
    Scope,
    st.none() | st.frozensets(st.sampled_from([*TENANTS, "unknown"]), max_size=3),
    st.none() | st.frozensets(st.sampled_from([*GROUPS, "unknown"]), max_size=3),
)


def _committed(number: int, source: str, access: Access) -> CommittedDocument:
    key = document_id(source, access.tenant)
    document = Document(key, source, f"Title {number}", "x" * number, (), {}, access)
    rows = tuple(LedgerRow(f"{key}-{n}", key, n, n + 1, "e") for n in range(number % 3))
    return CommittedDocument(document, "digest", 10 * number, "general", rows)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Catalog, list[CommittedDocument]]]:
    """Documents of every tenant with many kinds of rights; sources are shared, and in no order."""
    catalog = Catalog.in_folder(tmp_path_factory.mktemp("many"))
    held = [(), *((group,) for group in GROUPS), ("hr", "h_")]
    pairs = [(tenant, groups) for groups in held for tenant in TENANTS]
    documents = [
        _committed(number, f"b {number // 3}\n.md" if number % 2 else f"a{number // 5}.md", Access(*pair))
        for number, pair in enumerate(pairs)
    ]
    catalog.save_version("v1", MANIFEST, live=True)
    catalog.commit("v1", documents)
    yield catalog, documents
    catalog.close()


def _listed(each: CommittedDocument) -> ListedDocument:
    document = each.document
    return ListedDocument(
        document.id,
        document.source,
        document.title,
        len(document.text),
        each.size,
        len(each.rows),
        each.domain,
        document.access,
        document.metadata,
    )


@settings(deadline=None)
@given(scope=SCOPES, limit=st.integers(1, 60))
def test_pages_hold_what_a_scope_allows_each_once_and_in_order(
    many: tuple[Catalog, list[CommittedDocument]], scope: Scope, limit: int
) -> None:
    catalog, documents = many
    shown: list[ListedDocument] = []
    after = ""
    while page := catalog.listing(scope, limit=limit, after=after):
        assert len(page) <= limit
        shown, after = [*shown, *page], page[-1].cursor
    allowed = [_listed(each) for each in documents if scope.allows(each.document.access)]
    assert shown == sorted(allowed, key=lambda row: (row.source, row.id))


@settings(deadline=None, max_examples=20)
@given(scope=SCOPES)
def test_a_document_is_there_for_those_who_may_see_it(
    many: tuple[Catalog, list[CommittedDocument]], scope: Scope
) -> None:
    catalog, documents = many
    store = ScopedDocuments(catalog, scope)
    for each in documents:
        found = store.document(each.document.id)
        assert found == (each.document if scope.allows(each.document.access) else None)
    assert store.document("unknown") is None is store.document("\ud800\0")


@pytest.mark.parametrize("after", ["\ud800", "no cursor", "'; --", "\0", " "])
def test_a_cursor_that_is_none_is_no_error(many: tuple[Catalog, list[CommittedDocument]], after: str) -> None:
    catalog, _ = many
    scope = Scope(frozenset(["acme"]), frozenset(["hr"]))
    assert all(scope.allows(row.access) for row in catalog.listing(scope, limit=99, after=after))


def test_who_may_see_nothing_asks_nothing_of_the_database(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, nothing = Catalog.in_folder(project), Scope(frozenset(), None)
    catalog.commit("v1", [_committed(1, "a.md", OPEN)])
    with monkeypatch.context() as patch:
        patch.setattr(catalog, "_database", None)
        assert catalog.listing(nothing, limit=9) == []
        assert catalog.visible(document_id("a.md"), nothing) is None
    with pytest.raises(InputError, match="the limit is 0"):
        catalog.listing(OWNER, limit=0)
    catalog.close()


def test_rights_that_change_count_for_the_next_list(project: Path) -> None:
    """A-08, with what is remembered of the rights still warm; of another process too."""
    catalog, other = Catalog.in_folder(project), Catalog.in_folder(project)
    staff = Scope(frozenset(["acme"]), frozenset())
    catalog.commit("v1", [_committed(1, "a.md", Access("acme")), _committed(2, "b.md", Access("acme"))])
    key = document_id("a.md", "acme")
    assert [row.source for row in catalog.listing(staff, limit=9)] == ["a.md", "b.md"]
    other.set_access([key, document_id("b.md")], Access("acme", ("hr",)))
    assert [row.source for row in catalog.listing(staff, limit=9)] == ["b.md"]
    assert catalog.visible(key, staff) is None
    other.set_access([key], Access("globex"))  # not its tenant: ignored
    assert catalog.visible(key, Scope(frozenset(["globex"]), None)) is None
    assert catalog.known_files("acme")["a.md"].access == Access("acme", ("hr",))
    catalog.close()
    other.close()


@pytest.mark.parametrize("groups", ["", "{}", '"hr"', '[""]', "[7]", "null", '["*"]'])
def test_rights_that_cannot_be_read_are_damage_and_let_nobody_in(project: Path, groups: str) -> None:
    catalog = Catalog.in_folder(project)
    catalog.commit("v1", [_committed(1, "secret name.md", OPEN)])
    with sqlite3.connect(project / "catalog.sqlite3") as database:
        database.execute('update documents set "groups" = ?', (groups,))
    database.close()
    for ask in (
        lambda: catalog.listing(Scope(frozenset([""]), frozenset()), limit=9),
        lambda: catalog.listing(OWNER, limit=9),
        lambda: catalog.visible(document_id("secret name.md"), OWNER),
        lambda: catalog.known_files(""),
    ):
        with pytest.raises(IndexDamaged, match="does not say who may see some documents") as told:
            ask()
        assert "secret" not in str(told.value)
    with pytest.raises(IndexDamaged, match=r"copy of secret name\.md is damaged"):
        catalog.document(document_id("secret name.md"))
    catalog.close()


def test_what_is_wrong_with_a_document_is_told_only_to_those_who_may_see_it(project: Path) -> None:
    catalog = Catalog.in_folder(project)
    catalog.commit("v1", [_committed(1, "a.md", Access("acme"))])
    with sqlite3.connect(project / "catalog.sqlite3") as database:
        database.execute("update documents set text = x'00'")
    database.close()
    key = document_id("a.md", "acme")
    assert catalog.visible(key, Scope(frozenset(["globex"]), None)) is None
    with pytest.raises(IndexDamaged):
        catalog.visible(key, Scope(frozenset(["acme"]), None))
    catalog.close()


def _as_before_rights(folder: Path) -> None:
    """Make a catalog what the first layout was."""
    with sqlite3.connect(folder / "catalog.sqlite3") as database:
        for index in catalog_tables.documents.indexes:
            database.execute(f"drop index {index.name}")
        for table, column in (("documents", "tenant"), ("documents", "groups"), ("failures", "tenant")):
            database.execute(f'alter table {table} drop column "{column}"')
        database.execute("update facts set value = '1' where name = 'schema'")
    database.close()


def _layout(folder: Path) -> list[tuple[str, ...]]:
    with sqlite3.connect(folder / "catalog.sqlite3") as database:
        names = sorted(name for (name,) in database.execute("select name from sqlite_master"))
        columns = database.execute("select name from pragma_table_info('documents') order by name").fetchall()
        version = database.execute("select value from facts where name = 'schema'").fetchall()
    database.close()
    return [tuple(names), *columns, *version]


def test_a_catalog_from_before_there_were_rights_is_brought_up_to_date(tmp_path: Path, project: Path) -> None:
    Catalog.in_folder(tmp_path).close()
    catalog = Catalog.in_folder(project)
    catalog.commit("v1", [_committed(4, "a.md", OPEN)])
    catalog.record_failure("bad.md", "broken", "x")
    catalog.close()
    _as_before_rights(project)
    first, second = Catalog.in_folder(project), Catalog.in_folder(project)
    assert _layout(project) == _layout(tmp_path)
    for each in (first, second):
        assert each.document(document_id("a.md")) == _committed(4, "a.md", OPEN).document
        assert each.failures("") == {"bad.md": "broken"}
        assert [row.access for row in each.listing(OWNER, limit=9)] == [OPEN]
        each.close()


def test_bringing_a_catalog_up_to_date_happens_whole_or_not_at_all(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Catalog.in_folder(project).close()
    _as_before_rights(project)
    before = _layout(project)

    def fails(index: sa.Index, *_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sa.Index, "create", fails)
        Catalog.in_folder(project)
    assert _layout(project) == before
    Catalog.in_folder(project).close()
    assert _layout(project) != before


def test_groups_are_stored_as_a_json_list(project: Path) -> None:
    catalog = Catalog.in_folder(project)
    catalog.commit("v1", [_committed(1, "a.md", Access("acme", ("z\u00fcrich", 'a"b')))])
    with sqlite3.connect(project / "catalog.sqlite3") as database:
        ((tenant, groups),) = database.execute('select tenant, "groups" from documents').fetchall()
    database.close()
    assert (tenant, json.loads(groups)) == ("acme", ['a"b', "z\u00fcrich"])
    catalog.close()
