"""What both engines are told: when to build a graph, how to walk it, and which fields get a payload index."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ragwright.core.errors import IndexDamaged
from ragwright.core.types import OWNER, IndexEntry
from ragwright.retrieval import index_settings
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.edge_graph import graphs
from ragwright.retrieval.index_settings import MOST_FIELDS, MetadataFields, Quantization
from ragwright.retrieval.payload import DENSE
from ragwright.retrieval.terms import Terms

DIMENSION = 48
MANY = 900
MakeEntry = Callable[..., IndexEntry]


@pytest.fixture(scope="module")
def many(make_entry: MakeEntry) -> list[IndexEntry]:
    """Enough chunks for a small graph; every other one is red."""
    return [
        make_entry(number, f"Unit x{number}.", metadata={"colour": "red" if number % 2 else "blue"})
        for number in range(MANY)
    ]


@pytest.fixture
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a graph be built from 100 KB of vectors on, which is 500 chunks here."""
    monkeypatch.setattr(index_settings, "GRAPH_FROM_KILOBYTES", 100)


def _quantized(folder: Path) -> bool:
    stored = json.loads((folder / "edge_config.json").read_text())
    files = [path for path in folder.rglob("*") if path.name.startswith("quantized")]
    assert bool(stored["vectors"][DENSE].get("quantization_config")) == bool(files)
    return bool(files)


def _found(index: EdgeIndex, entries: list[IndexEntry], *, filters: dict[str, str] | None = None) -> float:
    """Share of the ten nearest that a search finds; every score must be the exact product."""
    vectors = np.stack([entry.encoding.vector for entry in entries])
    places = {entry.chunk.id: place for place, entry in enumerate(entries)}
    found = []
    for query in vectors[:40]:
        hits, _ = index.search(query, None, limit=10, scope=OWNER, filters=filters or {})
        assert [hit.score for hit in hits] == pytest.approx(
            [float(vectors[places[hit.id]] @ query) for hit in hits], abs=1e-5
        )
        best = set(np.argsort(-(vectors @ query))[:10].tolist())
        found.append(len(best & {places[hit.id] for hit in hits}) / 10)
    return float(np.mean(found))


@pytest.fixture(scope="module", params=["none", "int8"])
def graphed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    terms: Terms,
    many: list[IndexEntry],
) -> Iterator[tuple[EdgeIndex, Path]]:
    """An index with a graph and its folder; tests only read it."""
    folder = tmp_path_factory.mktemp("graphed") / "s"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_settings, "GRAPH_FROM_KILOBYTES", 100)
        index = EdgeIndex.create(folder, dimension=DIMENSION, terms=terms, quantization=request.param)
        index.upsert(many)
        index.optimize()
        assert _quantized(folder) == (request.param == "int8")
        yield index, folder
        index.close()


def test_a_graph_finds_the_nearest_and_keeps_every_vector_bit_by_bit(
    graphed: tuple[EdgeIndex, Path], many: list[IndexEntry]
) -> None:
    index, folder = graphed
    assert list(folder.rglob("graph*.bin"))
    assert _found(index, many) >= 0.99
    for key, encoding in index.encodings([entry.chunk.id for entry in many[::50]]).items():
        (entry,) = (each for each in many if each.chunk.id == key)
        np.testing.assert_array_equal(encoding.vector, entry.encoding.vector)


def test_a_filter_on_half_of_the_chunks_loses_nothing_in_a_graph(
    graphed: tuple[EdgeIndex, Path], many: list[IndexEntry]
) -> None:
    red = [entry for entry in many if entry.metadata["colour"] == "red"]
    assert _found(graphed[0], red, filters={"colour": "red"}) >= 0.99


@pytest.mark.usefixtures("small_graphs")
@pytest.mark.parametrize(("former", "present"), [("none", "int8"), ("int8", "none")])
@pytest.mark.slow
def test_a_changed_quantization_is_taken_over_by_the_next_optimize(
    project: Path, terms: Terms, many: list[IndexEntry], former: Quantization, present: Quantization
) -> None:
    folder = project / "s"
    index = EdgeIndex.create(folder, dimension=DIMENSION, terms=terms, quantization=former)
    index.upsert(many)
    index.optimize()
    index.close()
    index = EdgeIndex.open(folder, terms=terms, quantization=present)
    assert _found(index, many) >= 0.99
    assert _quantized(folder) == (former == "int8")
    index.optimize()
    assert _found(index, many) >= 0.99
    index.close()  # only now the former files are gone
    assert _quantized(folder) == (present == "int8")
    index = EdgeIndex.open(folder, terms=terms, quantization=present)
    assert index.count() == MANY
    index.close()


@pytest.mark.usefixtures("small_graphs")
def test_a_few_new_chunks_are_found_without_building_the_graph_again(
    project: Path, terms: Terms, many: list[IndexEntry]
) -> None:
    folder = project / "s"
    index = EdgeIndex.create(folder, dimension=DIMENSION, terms=terms)
    index.upsert(many[:800])
    index.optimize()
    graphs = {path: path.stat().st_mtime_ns for path in folder.rglob("graph*.bin")}
    assert graphs
    index.upsert(many[800:])
    index.optimize()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("graph*.bin")} == graphs
    assert _found(index, many[::-1]) >= 0.99
    index.close()


def test_metadata_fields_get_a_payload_index_when_they_are_first_seen(
    project: Path, terms: Terms, make_entry: MakeEntry
) -> None:
    index = EdgeIndex.create(project / "s", dimension=DIMENSION, terms=terms)
    index.upsert([make_entry(1, "One.", metadata={"author": "Ida", "dc:title": "A"})])
    index.close()
    index = EdgeIndex.open(project / "s", terms=terms)
    index.upsert([make_entry(2, "Two.", metadata={"author": "Max", 'odd"name': "x", "year": "2020"})])
    indexed = {path.replace('"', "") for path in index._shard.info().payload_schema}
    assert {"page", "source", "metadata.author", "metadata.dc:title", "metadata.year"} <= indexed
    for filters, number in (({"author": "Ida"}, 1), ({"dc:title": "A"}, 1), ({"year": "2020"}, 2)):
        (hit,), _ = index.search(np.ones(DIMENSION, np.float32), None, limit=9, scope=OWNER, filters=filters)
        assert hit.id.endswith(str(number + 1))
    index.close()


def test_a_field_is_indexed_once_and_only_so_many_are(make_entry: MakeEntry) -> None:
    fields = MetadataFields(['metadata."a b"', "metadata.author", "source"])
    entry = make_entry(
        1, "One.", metadata={"a b": "1", "author": "Ida", "year": "2020", 'b"': "no", "c\\": ""}
    )
    assert fields.unseen([entry, entry]) == ['metadata."year"']
    assert fields.unseen([entry]) == []
    crowd = make_entry(2, "Two.", metadata={f"field{number}": "x" for number in range(99)})
    assert len(fields.unseen([crowd])) == MOST_FIELDS - 3
    assert fields.unseen([crowd]) == []


@pytest.mark.usefixtures("small_graphs")
@pytest.mark.slow
def test_whether_a_graph_is_due_is_known_before_it_is_built(
    project: Path, terms: Terms, many: list[IndexEntry], make_entry: MakeEntry
) -> None:
    """Told from `optimize` itself: a graph was due when the engine then wrote one."""
    folder = project / "s"
    index = EdgeIndex.create(folder, dimension=DIMENSION, terms=terms)
    more = [make_entry(number, f"Unit x{number}.") for number in range(MANY, 2 * MANY)]
    seen = []

    def settle() -> None:
        due, former = index.graph_is_due(), set(folder.rglob("graph*.bin"))
        index.optimize()
        seen.append(due)
        assert due == bool(set(folder.rglob("graph*.bin")) - former)
        assert not index.graph_is_due()

    for written in (many[:400], many[400:], more[:300], many[:100], more[300:]):
        index.upsert(written)  # the fourth is written anew: it leaves the graph
        settle()
    for gone in (many[:300], many[300:600]):
        index.delete([entry.chunk.id for entry in gone])
        settle()
    assert seen == [False, True, False, False, True, False, True]
    index.close()
    index = EdgeIndex.open(folder, terms=terms, quantization="int8")
    assert index.graph_is_due()  # under other settings
    index.close()
    index = EdgeIndex.open(folder, terms=terms)
    index.upsert(many[:200])
    assert not index.graph_is_due()
    index.close()


def test_an_index_that_would_be_opened_anew_under_other_settings_is_not_optimised_in_passing(
    project: Path, terms: Terms, many: list[IndexEntry]
) -> None:
    folder = project / "s"
    index = EdgeIndex.create(folder, dimension=DIMENSION, terms=terms)
    index.upsert(many[:3])
    assert not index.graph_is_due()
    index.close()
    index = EdgeIndex.open(folder, terms=terms, quantization="int8")
    assert index.graph_is_due()
    index.optimize()
    assert not index.graph_is_due()
    index.close()


def test_a_graph_that_does_not_say_how_large_it_is_counts_as_damage(project: Path) -> None:
    file = project / "segments" / "a" / f"vector_index-{DENSE}" / "hnsw_config.json"
    file.parent.mkdir(parents=True)
    assert graphs(project) == {}
    for text in ("", "{}", '{"indexed_vector_count": "x"}', "[]"):
        file.write_text(text)
        with pytest.raises(IndexDamaged, match="run: ragwright ingest --rebuild"):
            graphs(project)
