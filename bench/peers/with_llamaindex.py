"""LlamaIndex: IngestionPipeline with SentenceSplitter, HuggingFaceEmbedding, a document store and Qdrant."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers.contract import CHUNK_TOKENS, COLLECTION, Stored, texts

BATCHES = (10, 32, 64, 128)
SAMPLE = 128


def embedding(model: Path, *, batch: int | None = None, dtype: str | None = None) -> Any:
    """HuggingFaceEmbedding at its defaults, but for what is given."""
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    options: dict[str, Any] = {} if batch is None else {"embed_batch_size": batch}
    if dtype is not None:
        options["model_kwargs"] = {"dtype": dtype}
    return HuggingFaceEmbedding(model_name=str(model), **options)


def splitter(model: Path) -> Any:
    """SentenceSplitter that counts the model's tokens, its special ones left out."""
    from llama_index.core.node_parser import SentenceSplitter
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model))
    return SentenceSplitter(chunk_size=CHUNK_TOKENS, chunk_overlap=0, tokenizer=tokenizer.tokenize)


def best_batch(model: Path, corpus: Path, *, dtype: str) -> int:
    """The fastest of several batch sizes on the corpus' first chunks."""
    cut = splitter(model)
    pieces = [piece for text in texts(corpus).values() for piece in cut.split_text(text)][:SAMPLE]
    seconds = {}
    for batch in BATCHES:
        embedder = embedding(model, batch=batch, dtype=dtype)
        embedder.get_text_embedding_batch(pieces[:batch])
        started = time.perf_counter()
        embedder.get_text_embedding_batch(pieces)
        seconds[batch] = time.perf_counter() - started
    return min(seconds, key=lambda batch: seconds[batch])


class LlamaIndex:
    """A pipeline whose document store and collection lie in one folder."""

    def __init__(self, store: Path, model: Path, *, batch: int | None, dtype: str | None) -> None:
        from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
        from llama_index.core.storage.docstore import SimpleDocumentStore
        from llama_index.vector_stores.qdrant import QdrantVectorStore
        from qdrant_client import QdrantClient

        self._client = QdrantClient(path=str(store / "qdrant"))
        self._vectors = QdrantVectorStore(collection_name=COLLECTION, client=self._client)
        self._embedding = embedding(model, batch=batch, dtype=dtype)
        self._state = store / "state"
        self._pipeline = IngestionPipeline(
            transformations=[splitter(model), self._embedding],
            vector_store=self._vectors,
            docstore=SimpleDocumentStore(),
            docstore_strategy=DocstoreStrategy.UPSERTS,
            # The document store knows what is unchanged; the cache would only write every vector once more.
            disable_cache=True,
        )
        if self._state.is_dir():
            self._pipeline.load(str(self._state))

    def ingest(self, corpus: Path, changed: Sequence[str]) -> int:
        """Run the pipeline over all files: the document store tells which changed."""
        nodes = self._pipeline.run(documents=[_document(name, text) for name, text in texts(corpus).items()])
        self._pipeline.persist(str(self._state))
        return len(nodes)

    def stored(self) -> list[Stored]:
        """Every stored node."""
        found, _ = self._client.scroll(COLLECTION, limit=1_000_000)
        payloads = [point.payload or {} for point in found]
        return [(each["source"], json.loads(each["_node_content"])["text"]) for each in payloads]

    def nearest(self, question: str) -> Stored:
        """The nearest node."""
        from llama_index.core.vector_stores.types import VectorStoreQuery

        vector = self._embedding.get_query_embedding(question)
        found = self._vectors.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=1))
        node = (found.nodes or [])[0]
        return str(node.metadata["source"]), node.get_content()


def _document(name: str, text: str) -> Any:
    """A document whose name is kept, and neither embedded nor counted as part of a chunk."""
    from llama_index.core import Document

    return Document(
        text=text,
        id_=name,
        metadata={"source": name},
        excluded_embed_metadata_keys=["source"],
        excluded_llm_metadata_keys=["source"],
    )
