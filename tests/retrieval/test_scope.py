"""What an index query finds is bounded by its scope, whatever else it asks for (A-01, A-02, A-08)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.retrieval.watched import watched

from ragwright.core.errors import IndexDamaged, InputError
from ragwright.core.protocols import ChunkIndex, IndexQuery
from ragwright.core.types import OPEN, OWNER, Access, IndexEntry, Scope
from ragwright.retrieval import edge
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.payload import access_payload, from_payload, scope_conditions
from ragwright.retrieval.server import ServerIndex, connect
from ragwright.retrieval.terms import Terms

DIMENSION = 48
MakeEntry = Callable[..., IndexEntry]
COMPOSED, APART = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
TENANTS = ["", "acme", "Acme", COMPOSED, APART, 'a"}]}', "' OR 1=1 --"]
GROUPS = ["hr", "HR", "sales", 'a"b', "groups", "metadata.tenant", "everyone"]
RIGHTS = [
    Access(tenant, groups)
    for tenant in TENANTS
    for groups in ((), ("hr",), ("HR",), ("hr", "sales"), tuple(GROUPS[3:]))
]
SCOPES = st.builds(
    Scope,
    st.none() | st.frozensets(st.sampled_from([*TENANTS, "unknown", "*", "\ud800"]), max_size=3),
    st.none() | st.frozensets(st.sampled_from([*GROUPS, "unknown", "*", ""]), max_size=3),
)
FILTERS = st.dictionaries(
    st.sampled_from(
        ["tenant", "groups", "title", "source", "colour", "metadata", "tenant.", "a.tenant", "[]"]
    ),
    st.sampled_from(["acme", "hr", "*", "red", "Notes", "a.md", "unknown"]),
    max_size=2,
)


@pytest.fixture(scope="module")
def guarded(make_entry: MakeEntry) -> list[IndexEntry]:
    """A chunk for each kind of rights; all have one text, and what a caller might wish for as metadata."""
    made = []
    for number, access in enumerate(RIGHTS):
        facts = {"colour": "red" if number % 2 else "blue", "tenant": "acme", "groups": "hr", "a.tenant": "*"}
        entry = make_entry(number, "The pump leaks.", source=f"{'ab'[number % 3 > 0]}.md", metadata=facts)
        made.append(replace(entry, access=access))
    return made


@pytest.fixture(scope="module")
def embedded(
    tmp_path_factory: pytest.TempPathFactory, terms: Terms, guarded: list[IndexEntry]
) -> Iterator[EdgeIndex]:
    """An embedded index of the chunks; tests only read it."""
    made = EdgeIndex.create(tmp_path_factory.mktemp("scope") / "shard", dimension=DIMENSION, terms=terms)
    made.upsert(guarded)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["edge", "memory"])
def index(
    request: pytest.FixtureRequest, embedded: EdgeIndex, terms: Terms, guarded: list[IndexEntry]
) -> Iterator[ChunkIndex]:
    """The chunks in both kinds of index; tests only read them."""
    if request.param == "edge":
        yield embedded
        return
    client = connect(":memory:", api_key=None, timeout_seconds=10)
    made = ServerIndex.create(client, "docs", dimension=DIMENSION, terms=terms)
    made.upsert(guarded)
    yield made
    client.close()


def _has(entry: IndexEntry, filters: Mapping[str, str]) -> bool:
    """Whether a chunk has what filters name: tenant and groups among them are the document's own facts."""
    facts = {**entry.metadata, "source": entry.source, "title": entry.title}
    return all(facts.get(name) == value for name, value in filters.items())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(asked=st.lists(st.tuples(SCOPES, FILTERS), min_size=1, max_size=4))
def test_both_halves_find_exactly_what_scope_and_filters_allow_alone_and_together(
    asked: list[tuple[Scope, dict[str, str]]], index: ChunkIndex, guarded: list[IndexEntry], terms: Terms
) -> None:
    vector, words = guarded[0].encoding.vector, terms.of_query("pump")
    queries = [IndexQuery(vector, words, scope, filters) for scope, filters in asked]
    together = index.search_many(queries, limit=99)
    for (scope, filters), halves in zip(asked, together, strict=True):
        allowed = {e.chunk.id for e in guarded if scope.allows(e.access) and _has(e, filters)}
        assert [{hit.id for hit in half} for half in halves] == [allowed, allowed]
        assert index.search(vector, words, limit=99, scope=scope, filters=filters) == halves


@pytest.mark.parametrize("name", ['tenant"', '"tenant', 'x"."tenant', "tenant\\", 'groups"]'])
def test_no_field_name_reaches_the_keys_of_the_rights(
    index: ChunkIndex, guarded: list[IndexEntry], name: str
) -> None:
    with pytest.raises(InputError, match="names no field"):
        index.search(guarded[0].encoding.vector, None, limit=9, scope=OWNER, filters={name: "acme"})


def test_a_query_without_a_scope_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="scope"):
        IndexQuery(None, None)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="empty scope"):
        scope_conditions(Scope(frozenset(), None))


def test_who_may_see_nothing_makes_no_call_of_the_engine(
    embedded: EdgeIndex, guarded: list[IndexEntry], terms: Terms
) -> None:
    vector, words = guarded[0].encoding.vector, terms.of_query("pump")
    nothing = Scope(frozenset(), None)
    with watched(embedded) as engine:
        assert embedded.search(vector, words, limit=9, scope=nothing, filters={}) == ([], [])
        assert embedded.search_many([IndexQuery(vector, words, nothing)] * 3, limit=9) == [([], [])] * 3
    assert engine.calls == []


def test_the_scope_stands_in_every_request_unless_the_owner_asks(
    embedded: EdgeIndex, guarded: list[IndexEntry], terms: Terms
) -> None:
    vector, words = guarded[0].encoding.vector, terms.of_query("pump")
    scope = Scope(frozenset(["acme"]), frozenset(["hr"]))
    with watched(embedded) as engine:
        for filters in ({}, {"tenant": "Acme"}, {"groups": "*", "source": "a.md"}):
            embedded.search(vector, words, limit=9, scope=scope, filters=filters)
        bounded, engine.calls = engine.calls, []
        embedded.search(vector, words, limit=9, scope=OWNER, filters={})
    requests = [request for _, (batch,) in bounded for request in batch.queries]
    assert len(requests) == 6
    for request in requests:
        tenant, groups, *_ = request.filter.must
        assert (tenant.key, tenant.match.value) == ("tenant", ["acme"])
        assert (groups.key, groups.match.value) == ("groups", ["*", "hr"])
        assert request.filter.should is None is request.filter.must_not
    assert [request.filter for _, (batch,) in engine.calls for request in batch.queries] == [None, None]


def test_rights_that_change_bound_the_next_query_and_nothing_else(
    project: Path, terms: Terms, guarded: list[IndexEntry]
) -> None:
    folder, vector = project / "shard", guarded[0].encoding.vector
    index = EdgeIndex.create(folder, dimension=DIMENSION, terms=terms)
    index.upsert(guarded)
    ids = [entry.chunk.id for entry in guarded]
    before, vectors = index.fetch(ids), index.encodings(ids)
    index.set_access(ids[:3], Access("acme", ("board",)))
    index.set_access([], OPEN)
    for scope, found in (
        (Scope(frozenset(["acme"]), frozenset(["board"])), {*ids[:3], ids[5]}),
        (Scope(frozenset([""]), None), set(ids[3:5])),
    ):
        dense, _ = index.search(vector, None, limit=99, scope=scope, filters={})
        assert {hit.id for hit in dense} == found
    after = index.fetch(ids)
    assert [after[key].access for key in ids[:4]] == [Access("acme", ("board",))] * 3 + [RIGHTS[3]]
    for key in ids:
        assert after[key].chunk == before[key].chunk
        np.testing.assert_array_equal(index.encodings([key])[key].vector, vectors[key].vector)
    with pytest.raises(IndexDamaged, match="No point with id"):
        index.set_access(["00000000-0000-0000-0000-00000000ffff"], OPEN)
    index.close()
    index = EdgeIndex.open(folder, terms=terms)
    assert index.fetch(ids[:1])[ids[0]].access == Access("acme", ("board",))
    index.close()


def test_a_server_changes_rights_as_well(terms: Terms, guarded: list[IndexEntry]) -> None:
    client = connect(":memory:", api_key=None, timeout_seconds=10)
    index = ServerIndex.create(client, "docs", dimension=DIMENSION, terms=terms)
    index.upsert(guarded)
    first = guarded[0].chunk.id
    index.set_access([first], Access("new", ("g",)))
    assert index.fetch([first])[first].access == Access("new", ("g",))
    scope = Scope(frozenset(["new"]), None)
    ((hit,), _) = index.search(guarded[0].encoding.vector, None, limit=9, scope=scope, filters={})
    assert hit.id == first
    assert not index.graph_is_due()
    client.close()


@pytest.mark.parametrize("damage", [{"tenant": None}, {"groups": []}, {"groups": ["a\0"]}, {"groups": 7}])
def test_a_chunk_that_does_not_say_who_may_see_it_is_damage_and_not_open(
    embedded: EdgeIndex, guarded: list[IndexEntry], damage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert access_payload(OPEN) == {"tenant": "", "groups": ["*"]}
    monkeypatch.setattr(edge, "from_payload", lambda key, payload: from_payload(key, {**payload, **damage}))
    with pytest.raises(IndexDamaged, match="does not say who may see chunk"):
        embedded.fetch([guarded[0].chunk.id])


def test_writes_are_cut_so_that_other_threads_come_in_between(
    project: Path, terms: Terms, guarded: list[IndexEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "_WRITTEN_AT_ONCE", 10)
    index = EdgeIndex.create(project / "shard", dimension=DIMENSION, terms=terms)
    index.upsert(guarded[:1])  # the payload indexes of the metadata are made
    with watched(index) as engine:
        index.upsert(guarded)
        index.set_access([entry.chunk.id for entry in guarded[:25]], OPEN)
        index.delete([entry.chunk.id for entry in guarded[:11]])
        index.upsert([])
    assert [name for name, _ in engine.calls] == ["update"] * (-(-len(guarded) // 10) + 3 + 2)
    assert index.count() == len(guarded) - 11
    index.close()
