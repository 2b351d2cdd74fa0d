"""Ragwright as parts of LlamaIndex, and its documents as our source: round trips with the real parts."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import Document, MetadataMode, NodeWithScore, TextNode
from tests.app.conftest import loaded_once

import ragwright.app.llama_index
from ragwright.app.access import open_workspace
from ragwright.app.llama_index import (
    DomainNodeParser,
    EvidencePostprocessor,
    RagwrightEmbedding,
    RagwrightRerank,
    RagwrightRetriever,
    ingest_documents,
)
from ragwright.app.workspace import Workspace
from ragwright.core.errors import InputError
from ragwright.core.types import Access, Scope

PUMP = """# Pump P-7

## Pressure

The pump has a pressure of 12 bar. It is checked every year. The paint is blue.

## Warranty

The warranty lasts two years. It begins with the delivery.
"""
FERRY = "The ferry leaves at seven and returns at nine.\n"


def _read() -> list[Document]:
    return [
        Document(id_="pump.md", text=PUMP, metadata={"title": "Pump manual", "year": 2024, "draft": None}),
        Document(id_="ferry", text=FERRY, metadata={"file_name": "ferry.txt"}),
        Document(id_="secret", text="The secret pump has 99 bar."),
    ]


ENGINES = [
    pytest.param(None, id="embedded"),
    pytest.param(":memory:", id="server", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=ENGINES)
def workspace(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model_cache: Path
) -> Iterator[Workspace]:
    """A workspace whose documents came through LlamaIndex; the server is the client's own engine."""
    settings = {"encoder.cache": model_cache, "encoder.threads": 1, "index.url": request.param}
    folder = tmp_path_factory.mktemp("llama") / ".ragwright"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragwright.retrieval.encoder.load_encoder", loaded_once)
        with open_workspace(folder, settings=settings, write=True) as made:
            documents = _read()
            assert ingest_documents(made, documents[:2]).added == 2
            assert ingest_documents(made, documents[2:], access=Access("acme")).added == 1
            yield made


def test_the_retriever_gives_nodes_whose_text_and_evidence_are_exact(workspace: Workspace) -> None:
    found = RagwrightRetriever(workspace, limit=2).retrieve("What pressure has the pump?")
    asked = asyncio.run(RagwrightRetriever(workspace, limit=2).aretrieve("What pressure has the pump?"))
    assert [each.node.node_id for each in found] == [each.node.node_id for each in asked]
    node = next(each.node for each in found if each.node.metadata["source"] == "pump.md")
    assert isinstance(node, TextNode) and node.source_node is not None
    assert node.ref_doc_id == workspace.catalog.sources()["pump.md"]
    assert PUMP[node.start_char_idx : node.end_char_idx] == node.text
    assert node.metadata["title"] == "Pump manual" and node.metadata["year"] == "2024"
    assert node.metadata["evidence"] and "draft" not in node.metadata
    for span in node.metadata["evidence"]:
        assert PUMP[span["start"] : span["end"]] == span["text"]
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert "evidence" not in node.get_content(mode) and "context" not in node.get_content(mode)


def test_the_retriever_keeps_to_its_scope_and_its_filters(workspace: Workspace) -> None:
    def texts(**given: Any) -> str:
        return " ".join(each.text for each in RagwrightRetriever(workspace, **given).retrieve("pump bar"))

    assert "99" in texts() and "12 bar" in texts()
    assert "99" not in texts(scope=Scope(frozenset({""}), frozenset()))
    assert texts(scope=Scope(frozenset({"acme"}), frozenset())) == "The secret pump has 99 bar."
    assert texts(scope=Scope(frozenset(), frozenset())) == ""
    assert texts(filters={"source": "ferry"}) == FERRY.strip()


def test_evidence_takes_the_place_of_passages_and_foreign_nodes_stay(workspace: Workspace) -> None:
    found = RagwrightRetriever(workspace, limit=1, filters={"source": "pump.md"}).retrieve("warranty years?")
    foreign = NodeWithScore(node=TextNode(text="foreign"), score=0.1)
    kept = EvidencePostprocessor().postprocess_nodes([*found, foreign])
    assert kept[-1] is foreign and len(kept) > 1
    for each in kept[:-1]:
        node = each.node
        assert isinstance(node, TextNode)
        assert PUMP[node.start_char_idx : node.end_char_idx] == node.text
        assert node.node_id != found[0].node.node_id and node.ref_doc_id == found[0].node.ref_doc_id
    assert any("two years" in each.text for each in kept)
    bare = found[0].node.model_copy(deep=True)
    bare.metadata["evidence"] = []
    bare_found = [NodeWithScore(node=bare, score=1.0)]
    assert EvidencePostprocessor().postprocess_nodes(bare_found) == []
    assert EvidencePostprocessor(keep_without=True).postprocess_nodes(bare_found) == bare_found


def test_reranking_orders_nodes_of_any_retriever(workspace: Workspace) -> None:
    texts = ["The ferry leaves at seven.", "The pump has 12 bar.", "Blue paint dries slowly."]
    nodes = [NodeWithScore(node=TextNode(text=text), score=0.0) for text in texts]
    reranker = RagwrightRerank(workspace, top_n=2)
    best = reranker.postprocess_nodes(nodes, query_str="When does the ferry leave?")
    assert len(best) == 2 and best[0].node.text == texts[0]  # type: ignore[attr-defined]
    assert best[0].score is not None and best[1].score is not None and best[0].score >= best[1].score
    assert asyncio.run(reranker.apostprocess_nodes(nodes, query_str="pump bar?"))[0].text == texts[1]
    assert reranker.postprocess_nodes([], query_str="x") == []
    with pytest.raises(InputError, match="needs the query"):
        reranker.postprocess_nodes(nodes)


def test_the_node_parser_keeps_offsets_exact_where_texts_repeat(workspace: Workspace) -> None:
    text = "Same line here.\n\n" * 400
    document = Document(id_="again", text=text, metadata={"author": "I"})
    nodes = DomainNodeParser(workspace).get_nodes_from_documents([document])
    assert len(nodes) > 3
    starts = []
    for node in nodes:
        assert isinstance(node, TextNode) and node.start_char_idx is not None
        assert text[node.start_char_idx : node.end_char_idx] == node.text
        assert node.ref_doc_id == "again" and node.metadata["author"] == "I"
        starts.append(node.start_char_idx)
    assert starts == sorted(set(starts))
    assert nodes[0].next_node is not None and nodes[0].next_node.node_id == nodes[1].node_id
    (warranty,) = [
        node
        for node in DomainNodeParser(workspace).get_nodes_from_documents([Document(id_="p.md", text=PUMP)])
        if "two years" in node.get_content(MetadataMode.NONE)
    ]
    assert "Pump P-7" in warranty.metadata["headings"]


def test_the_embedding_is_the_indexs_own_for_queries_and_passages(workspace: Workspace) -> None:
    model = RagwrightEmbedding(workspace)
    query = model.get_query_embedding("When does the ferry leave?")
    texts = ["The ferry leaves at seven.", "The pump has 12 bar."]
    vectors = np.array(model.get_text_embedding_batch(texts))
    assert np.allclose(query, workspace.encoder.encode_queries(["When does the ferry leave?"])[0])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert (vectors @ np.array(query)).argmax() == 0
    again = np.array(asyncio.run(model.aget_text_embedding_batch(texts)))
    assert np.allclose(vectors, again, atol=1e-3)
    long = "word " * 2_000
    with pytest.raises(InputError):
        model.get_text_embedding(long)
    assert len(RagwrightEmbedding(workspace, too_long="cut").get_text_embedding(long)) == 384


@pytest.mark.slow  # LlamaIndex imports more for it
def test_a_pipeline_and_an_index_of_llamaindex_run_on_our_chunker_and_encoder(workspace: Workspace) -> None:
    embedding = RagwrightEmbedding(workspace)
    nodes = IngestionPipeline(transformations=[DomainNodeParser(workspace), embedding]).run(
        documents=_read()[:2]
    )
    index = VectorStoreIndex(nodes=list(nodes), embed_model=embedding)
    best = index.as_retriever(similarity_top_k=1).retrieve("When does the ferry return?")
    assert best[0].node.ref_doc_id == "ferry"


def test_a_query_engine_gives_its_model_the_evidence_and_names_its_sources(workspace: Workspace) -> None:
    engine = RetrieverQueryEngine.from_args(
        RagwrightRetriever(workspace, limit=2, filters={"source": "pump.md"}),
        llm=MockLLM(),
        node_postprocessors=[EvidencePostprocessor()],
    )
    response = engine.query("How long does the warranty last?")
    assert "two years" in str(response) and "paint is blue" not in str(response)
    assert {each.node.metadata["source"] for each in response.source_nodes} == {"pump.md"}


def test_llamaindex_reads_our_collection_from_a_qdrant_server(workspace: Workspace) -> None:
    """The contract of the payload's layout, held against the real vector store."""
    if workspace.config.index.url is None:
        pytest.skip("the embedded engine's files are not a server's")
    qdrant = pytest.importorskip("llama_index.vector_stores.qdrant")
    client = workspace.indexes.engine._client  # type: ignore[attr-defined]
    store = qdrant.QdrantVectorStore(workspace.config.index.collection, client=client)
    index = VectorStoreIndex.from_vector_store(store, embed_model=RagwrightEmbedding(workspace))
    best = index.as_retriever(similarity_top_k=1).retrieve("When does the ferry return?")[0].node
    ours = RagwrightRetriever(workspace, limit=1).retrieve("When does the ferry return?")[0].node
    assert isinstance(best, TextNode) and isinstance(ours, TextNode)
    assert (best.node_id, best.text, best.start_char_idx, best.end_char_idx) == (
        ours.node_id,
        ours.text,
        ours.start_char_idx,
        ours.end_char_idx,
    )


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, in memory where the system offers it: there, making writes durable costs nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


def test_documents_are_brought_up_to_date_and_never_pruned(
    in_memory: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragwright.retrieval.encoder.load_encoder", loaded_once)
    notes = in_memory / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("# A\n\nThe ferry leaves at seven.\n")
    (notes / "b.txt").write_text("The pump has 12 bar.\n")

    def read() -> list[Document]:
        return SimpleDirectoryReader(str(notes), filename_as_id=True).load_data()

    def done(documents: list[Document], **given: Any) -> tuple[int, int, int, int]:
        report = ingest_documents(opened, documents, **given)
        return report.added, report.updated, report.skipped, opened.catalog.counts(None).documents

    settings = {"encoder.cache": model_cache, "encoder.threads": 1}
    with open_workspace(in_memory / ".ragwright", settings=settings, write=True) as opened:
        assert done(read()) == (2, 0, 0, 2)
        assert done(read()) == (0, 0, 2, 2)
        (notes / "a.md").write_text("# A\n\nThe ferry leaves at eight.\n")
        assert done(read()) == (0, 1, 1, 2)
        assert "eight" in RagwrightRetriever(opened, limit=1).retrieve("ferry")[0].text
        (notes / "b.txt").unlink()
        assert done(read()) == (0, 0, 1, 2), "what does not come again stays"
        assert done([Document(id_="c", text="The crane lifts forty tons.")]) == (1, 0, 0, 3)
        changed = Document(id_="c", text="The crane lifts forty tons.", metadata={"year": 2024})
        assert done([changed]) == (0, 1, 0, 3), "facts count, too"
        assert done([changed], access=Access("", ("board",))) == (0, 1, 0, 3), "and rights"
        outsider = Scope(frozenset({""}), frozenset())
        seen = RagwrightRetriever(opened, scope=outsider).retrieve("crane")
        assert not [each for each in seen if "crane" in each.text]
        assert done([changed], access=Access("acme")) == (1, 0, 0, 4), "another tenant has its own"
        with pytest.raises(InputError, match="two documents are called c"):
            ingest_documents(opened, [changed, changed])


def test_nothing_else_of_the_app_imports_llamaindex() -> None:
    root = Path(ragwright.app.llama_index.__file__).parent
    importing = {
        path.parent
        for path in root.parent.rglob("*.py")
        if re.search(r"^\s*(from|import) llama_index", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert importing == {root}
