"""A retriever for a caller: of two tenants with nearly equal documents none sees the other's (A-01, A-08)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.fakes import HashEncoder
from tests.retrieval.watched import watched

from ragwright.core.errors import InputError
from ragwright.core.types import OWNER, Access, Chunk, Hit, IndexEntry, Passage, Scope
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.search import HybridRetriever, Mode, Reranking, SearchOptions
from ragwright.retrieval.terms import Terms

MakeEntry = Callable[..., IndexEntry]
PARTS = ["pump", "gasket", "motor", "valve", "filter", "seal", "hose", "panel"]
ACME, GLOBEX = (Scope(frozenset([name]), frozenset()) for name in ("acme", "globex"))
MODES: list[Mode] = ["hybrid", "dense", "lexical"]
RERANKINGS: list[Reranking] = ["none", "evidence", "cross"]


class Longest:
    """A reranker that likes long texts, and remembers what it was given."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def rerank(
        self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]
    ) -> list[NDArray[np.float32]]:
        """The length of each text."""
        self.seen.update(chunk.span.document_id for each in candidates for chunk in each)
        return [np.array([len(chunk.text) for chunk in each], np.float32) for each in candidates]


def _text(part: str, tenant: str) -> str:
    own = "" if part in PARTS[:4] else f" The code is {part}{tenant}."
    return f"The {part} is replaced every 2000 hours.{own}"


@pytest.fixture(scope="module")
def encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture(scope="module")
def index(
    tmp_path_factory: pytest.TempPathFactory, encoder: HashEncoder, terms: Terms, make_entry: MakeEntry
) -> Iterator[EdgeIndex]:
    """Eight documents of each of two tenants: half of them equal sign by sign, half but for one sentence."""
    drafts = []
    for number, (part, tenant) in enumerate((part, name) for part in PARTS for name in ("acme", "globex")):
        draft = make_entry(
            number, _text(part, tenant), source=f"{tenant}/{part}.md", metadata={"tenant": "acme"}
        )
        drafts.append(replace(draft, access=Access(tenant, ("hr",) if part == "panel" else ())))
    folder = tmp_path_factory.mktemp("tenants") / "shard"
    made = EdgeIndex.create(folder, dimension=encoder.dimension, terms=terms)
    encodings = encoder.encode_passages([Passage.of(draft.chunk) for draft in drafts])
    made.upsert([replace(d, encoding=e) for d, e in zip(drafts, encodings, strict=True)])
    yield made
    made.close()


@pytest.fixture(scope="module")
def reranker() -> Longest:
    return Longest()


@pytest.fixture(scope="module")
def owner(index: EdgeIndex, encoder: HashEncoder, terms: Terms, reranker: Longest) -> HybridRetriever:
    """Sees everything."""
    return HybridRetriever(
        encoder, index, terms, scope=OWNER, options=SearchOptions(limit=99), reranker=lambda _: reranker
    )


def _tenants(hits: Sequence[Hit]) -> set[str]:
    """Whose documents, and other places, hits show."""
    sources = [hit.source for hit in hits] + [place.source for hit in hits for place in hit.duplicates]
    return {source.partition("/")[0] for source in sources}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nothing_of_another_tenant_comes_through_whatever_is_asked(
    seed: int, owner: HybridRetriever, reranker: Longest
) -> None:
    """Queries of any words, of exact texts of the other tenant, in every mode, one by one and together."""
    chance = random.Random(seed)
    queries = [
        " ".join(chance.choices([*PARTS, "code", "hours", "replaced"], k=3)),
        _text(chance.choice(PARTS), "globex"),
        f"code {chance.choice(PARTS)}globex",
    ]
    filters = [{}, {"tenant": "acme"}, {"source": f"globex/{chance.choice(PARTS)}.md"}]
    options = SearchOptions(
        mode=chance.choice(MODES), rerank=chance.choice(RERANKINGS), limit=chance.choice([1, 5, 50])
    )
    reranker.seen.clear()
    acme = owner.within(ACME)
    found = acme.find_many(queries, filters=filters, options=options)
    for query, wanted, finding in zip(queries, filters, found, strict=True):
        alone = acme.search(query, filters=wanted, options=options)
        assert _tenants(finding.hits()) | _tenants(alone) <= {"acme"}
        assert all("globex" not in each.text for hit in alone for each in hit.evidence)
        assert {int(hit.id[-4:], 16) % 2 for hit in finding.ranked} <= {1}  # ids of acme's are odd
    assert all(name.startswith("acme/") for name in reranker.seen)


def test_other_places_of_a_text_are_those_that_the_caller_may_see(owner: HybridRetriever) -> None:
    query = _text("pump", "acme")
    seen = {scope: owner.within(scope).search(query, limit=3)[0] for scope in (OWNER, ACME, GLOBEX)}
    assert _tenants([seen[OWNER]]) == {"acme", "globex"}
    assert seen[ACME].duplicates == () == seen[GLOBEX].duplicates
    assert (seen[ACME].source, seen[GLOBEX].source) == ("acme/pump.md", "globex/pump.md")


def test_groups_bound_a_caller_within_its_tenant(owner: HybridRetriever) -> None:
    for groups, seen in (((), False), (("sales",), False), (("sales", "hr"), True)):
        found = owner.within(Scope(frozenset(["acme"]), frozenset(groups))).search("panel", limit=99)
        assert ("acme/panel.md" in {hit.source for hit in found}) == seen


def test_a_view_shares_all_but_the_scope_and_leaves_its_origin_as_it_was(
    owner: HybridRetriever, encoder: HashEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = owner.within(ACME)
    assert (narrow.scope, owner.scope, narrow.within(GLOBEX).scope) == (ACME, OWNER, GLOBEX)
    first = owner.search("a new question about hoses")
    monkeypatch.setattr(encoder, "encode_queries", None)  # the vector is remembered
    assert {hit.source for hit in narrow.search("a new question about hoses")} < {hit.source for hit in first}


def test_who_may_see_nothing_finds_nothing_without_a_call_of_engine_or_encoder(
    owner: HybridRetriever, index: EdgeIndex, encoder: HashEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = owner.within(Scope(frozenset(), None))
    monkeypatch.setattr(encoder, "encode_queries", None)
    with watched(index) as engine:
        assert nobody.search("never asked before") == []
        (finding, other) = nobody.find_many(["never asked", "nor this"], filters=[{}, {"page": "1"}])
    assert engine.calls == []
    assert (finding.hits(share=0.1, budget=9), list(other.ranked)) == ([], [])
    with pytest.raises(InputError, match="holds no letters"):
        nobody.search("...")


def test_every_search_of_a_caller_tells_the_engine_the_scope(
    owner: HybridRetriever, index: EdgeIndex
) -> None:
    """All that is asked without one is how rare words are, of which no chunk is shown."""
    acme = owner.within(ACME)
    with watched(index) as engine:
        for mode in MODES:
            for rerank in RERANKINGS:
                acme.search_many(["pump seal", "valve"], options=SearchOptions(mode=mode, rerank=rerank))
    requests = [each for name, (batch, *_) in engine.calls if name == "query_batch" for each in batch.queries]
    bounded = [each for each in requests if each.filter is not None]
    assert {name for name, _ in engine.calls} <= {"query_batch", "retrieve", "count"}
    assert len(bounded) == 2 * 3 * (2 + 1 + 1)
    assert all(each.filter.must[0].match.value == ["acme"] for each in bounded)
    assert all(each.limit == 1 for each in requests if each.filter is None)


def test_rights_that_are_taken_away_between_search_and_reading_are_kept(
    owner: HybridRetriever, index: EdgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = index.search_many

    def changed_meanwhile(*given: Any, **named: Any) -> Any:
        found = real(*given, **named)
        index.set_access([hit.id for hit in found[0][0][:1]], Access("globex", ("board",)))
        return found

    acme = owner.within(ACME)
    (best, *_) = acme.search("pump", limit=3)
    with monkeypatch.context() as patch:
        patch.setattr(index, "search_many", changed_meanwhile)
        assert best.chunk.id not in [hit.chunk.id for hit in acme.search("pump", limit=3)]
    assert best.chunk.id not in [hit.chunk.id for hit in acme.search("pump", limit=99)]
    index.set_access([best.chunk.id], Access("acme"))
    assert acme.search("pump", limit=3)[0].chunk.id == best.chunk.id


@pytest.mark.parametrize("questions", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_hundreds_of_questions_of_one_tenant_show_nothing_of_the_other(
    owner: HybridRetriever, questions: int
) -> None:
    chance = random.Random(questions)
    acme = owner.within(ACME)
    for _ in range(questions):
        mode, rerank = chance.choice(MODES), chance.choice(RERANKINGS)
        query = _text(chance.choice(PARTS), chance.choice(["acme", "globex"]))
        hits = acme.search(query, options=SearchOptions(mode=mode, rerank=rerank, limit=20))
        assert _tenants(hits) == {"acme"}
