"""Queries go to the expert of their domain; experts come and go while queries run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import HashEncoder

from ragwright.core.errors import InputError, ModelError
from ragwright.core.protocols import Encoder
from ragwright.core.query_adapter import QueryAdapter, write_query_adapter
from ragwright.core.routing_table import BASE, Expert, RoutingTable, write_routing_table
from ragwright.core.types import OWNER, IndexEntry, Passage, Vectors
from ragwright.finetune.routing import make_expert
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.routing import AdapterExpert, Experts, Router, open_router
from ragwright.retrieval.search import HybridRetriever, SearchOptions
from ragwright.retrieval.terms import Terms

LAW = [f"{word} contract of the tenant" for word in ("valid", "old", "new", "void", "signed", "torn")]
MONEY = [f"{word} profit before yearly tax" for word in ("high", "low", "more", "less", "some", "no")]
DIMENSION = HashEncoder.dimension


def shifted(axis: int, *, fingerprint: str = "hash") -> QueryAdapter:
    """An adapter that moves every query along one axis."""
    bias = np.zeros(DIMENSION, np.float32)
    bias[axis] = 5.0
    return QueryAdapter("fake", fingerprint, np.zeros((DIMENSION, DIMENSION), np.float32), bias)


def expert(name: str, questions: Sequence[str], *, kind: str = "adapter") -> Expert:
    pilots = HashEncoder().encode_queries(questions)
    made = make_expert(name, kind="adapter", folder=f"{name}/model", pilots=pilots, centroids=1, seed=0)
    return replace(made, kind=kind)  # type: ignore[arg-type]


def no_encoder(folder: Path) -> Encoder:
    raise AssertionError(f"{folder} is no encoder")


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """A folder with two adapters and a table that knows both."""
    for axis, name in enumerate(("law", "money")):
        write_query_adapter(tmp_path / name / "model", shifted(axis))
    write_routing_table(tmp_path / "router.json", table())
    return tmp_path


def table() -> RoutingTable:
    return RoutingTable("fake", "hash").with_expert(expert("law", LAW)).with_expert(expert("money", MONEY))


def routed(folder: Path, open_encoder: Callable[[Path], Encoder] = no_encoder) -> Router:
    return Router(folder / "router.json", HashEncoder(), open_encoder=open_encoder)


def asked(router: Router, texts: Sequence[str], expert: str | None = None) -> list[str]:
    """Who was chosen for each."""
    adapted = router.adapt(texts, HashEncoder().encode_queries(texts), expert=expert)
    return [next(iter(each.scores)).removeprefix("expert_") for each in adapted]


def test_each_query_goes_to_the_expert_of_its_domain_and_others_stay_with_the_base(tuned: Path) -> None:
    router = routed(tuned)
    assert asked(router, [LAW[0], MONEY[1], "zebra"]) == ["law", "money", BASE]
    texts = [LAW[0], MONEY[1], "zebra"]
    base = HashEncoder().encode_queries(texts)
    vectors = [each.vector for each in router.adapt(texts, base, expert=None)]
    np.testing.assert_array_equal(vectors[0], shifted(0).moved(base[:1])[0])
    np.testing.assert_array_equal(vectors[1], shifted(1).moved(base[1:2])[0])
    np.testing.assert_array_equal(vectors[2], base[2], "the base's, to the bit")


def test_a_label_forces_the_expert_and_an_unknown_one_is_refused(tuned: Path) -> None:
    router = routed(tuned)
    assert asked(router, [MONEY[0]], "law") == ["law"]
    assert asked(router, [MONEY[0]], BASE) == [BASE]
    with pytest.raises(InputError, match=r'"wiki", and there is no such expert; there are: law, money, base'):
        asked(router, [MONEY[0]], "wiki")


def test_a_changed_table_counts_at_the_next_query(tuned: Path) -> None:
    router, path = routed(tuned), tuned / "router.json"
    write_routing_table(path, table().without("law"))
    assert asked(router, [LAW[0], MONEY[0]]) == [BASE, "money"]
    write_routing_table(path, table().without("law").without("money"))
    assert asked(router, [LAW[0], MONEY[0]]) == [BASE, BASE]
    write_routing_table(path, table())
    assert asked(router, [LAW[0], MONEY[0]]) == ["law", "money"]


def test_a_table_that_cannot_be_read_changes_nothing(tuned: Path, caplog: pytest.LogCaptureFixture) -> None:
    router, path = routed(tuned), tuned / "router.json"
    with caplog.at_level(logging.WARNING):
        path.write_text("{", encoding="utf-8")
        assert asked(router, [LAW[0]]) == ["law"]
        assert asked(router, [LAW[0]]) == ["law"]
    assert len(caplog.records) == 1 and "stay as they were" in caplog.text
    with pytest.raises(ModelError, match="not valid JSON"):
        routed(tuned)


def test_a_table_or_an_adapter_of_another_encoder_is_refused(tuned: Path) -> None:
    write_routing_table(tuned / "router.json", replace(table(), base_fingerprint="another"))
    with pytest.raises(ModelError, match="was made for the encoder fake"):
        routed(tuned)
    write_routing_table(tuned / "router.json", table())
    write_query_adapter(tuned / "law" / "model", shifted(0, fingerprint="another"))
    with pytest.raises(ModelError, match="trained for the encoder fake"):
        routed(tuned)


class Reversed(HashEncoder):
    """Reads queries backwards."""

    fingerprint = "reversed"

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode_queries`."""
        return super().encode_queries([text[::-1] for text in texts])


class Long(HashEncoder):
    """Gives longer vectors."""

    dimension = 64


def test_an_expert_may_encode_queries_itself(tuned: Path) -> None:
    known = RoutingTable("fake", "hash").with_expert(expert("law", LAW, kind="encoder"))
    write_routing_table(tuned / "router.json", known)
    opened: list[Path] = []

    def open_encoder(folder: Path) -> Encoder:
        opened.append(folder)
        return Reversed()

    router = routed(tuned, open_encoder)
    [found] = router.adapt([LAW[0]], HashEncoder().encode_queries([LAW[0]]), expert=None)
    np.testing.assert_array_equal(found.vector, Reversed().encode_queries([LAW[0]])[0])
    assert opened == [tuned / "law" / "model"]
    with pytest.raises(ModelError, match="vectors of 64"):
        routed(tuned, lambda folder: Long())


def test_the_decision_stands_in_the_scores_of_every_hit(
    tuned: Path, tmp_path_factory: pytest.TempPathFactory, terms: Terms, make_entry: Callable[..., IndexEntry]
) -> None:
    encoder = HashEncoder()
    index = EdgeIndex.create(tmp_path_factory.mktemp("routed") / "shard", dimension=DIMENSION, terms=terms)
    drafts = [make_entry(number, text) for number, text in enumerate(("a contract", "the profit"))]
    encodings = encoder.encode_passages([Passage.of(draft.chunk) for draft in drafts])
    index.upsert([replace(d, encoding=e) for d, e in zip(drafts, encodings, strict=True)])
    routing = open_router(tuned / "router.json", encoder, open_encoder=no_encoder)
    search = HybridRetriever(routing, index, terms, scope=OWNER, options=SearchOptions())
    hits = search.search(LAW[0])
    assert len(hits) == 2 and all(0.5 < hit.scores["expert_law"] <= 1.0 for hit in hits)
    forced = search.search(LAW[0], options=SearchOptions(expert="money"))
    assert all("expert_money" in hit.scores and "expert_law" not in hit.scores for hit in forced)
    index.close()


def test_queries_never_see_half_a_change(tuned: Path) -> None:
    router, path, stop = routed(tuned), tuned / "router.json", threading.Event()
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            while not stop.is_set():
                assert asked(router, [LAW[0]])[0] in ("law", BASE)
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(30):
        write_routing_table(path, table() if number % 2 else table().without("law"))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


def unit_rows(count: int) -> st.SearchStrategy[Vectors]:
    return st.integers(0, 10_000).map(lambda seed: _units(seed, count))


def _units(seed: int, count: int) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, 5))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@given(unit_rows(6), st.lists(st.tuples(unit_rows(3), st.floats(-1, 1)), min_size=1, max_size=4))
def test_the_nearest_of_those_whose_floor_is_reached_is_chosen(
    queries: Vectors, drawn: list[tuple[Vectors, float]]
) -> None:
    experts = tuple(Expert(f"e{n}", "adapter", "", rows, floor) for n, (rows, floor) in enumerate(drawn))
    opened = {
        each.name: AdapterExpert(QueryAdapter("", "", np.zeros((5, 5), np.float32), np.zeros(5, np.float32)))
        for each in experts
    }
    choices = Experts(RoutingTable("", "", experts), opened).choose(queries)
    for query, choice in zip(queries, choices, strict=True):
        reached = {e.name: value for e in experts if (value := float((e.centroids @ query).max())) >= e.floor}
        if not reached:
            assert choice.expert == BASE
        else:
            assert choice.expert in reached and choice.likeness >= max(reached.values()) - 1e-5


@pytest.fixture(scope="module")
def terms() -> Iterator[Terms]:
    """English terms."""
    yield Terms()
