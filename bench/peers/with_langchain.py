"""LangChain: recursive splitter, HuggingFaceEmbeddings, Qdrant, and `index` with a record manager."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from peers.contract import CHUNK_TOKENS, COLLECTION, Stored, texts


class LangChain:
    """A vector store and a record manager in one folder."""

    def __init__(self, store: Path, model: Path) -> None:
        from langchain_classic.indexes import SQLRecordManager
        from langchain_huggingface import HuggingFaceEmbeddings
        from langchain_qdrant import QdrantVectorStore
        from langchain_text_splitters import RecursiveCharacterTextSplitter
        from qdrant_client import QdrantClient
        from qdrant_client.models import Distance, VectorParams
        from transformers import AutoTokenizer

        self._splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
            AutoTokenizer.from_pretrained(str(model)), chunk_size=CHUNK_TOKENS, chunk_overlap=0
        )
        embeddings = HuggingFaceEmbeddings(model_name=str(model))
        self._client = QdrantClient(path=str(store / "qdrant"))
        if not self._client.collection_exists(COLLECTION):
            size = len(embeddings.embed_query("size"))
            self._client.create_collection(COLLECTION, VectorParams(size=size, distance=Distance.COSINE))
        self._store = QdrantVectorStore(client=self._client, collection_name=COLLECTION, embedding=embeddings)
        self._records = SQLRecordManager(COLLECTION, db_url=f"sqlite:///{store / 'records.sqlite3'}")
        self._records.create_schema()

    def ingest(self, corpus: Path, changed: Sequence[str]) -> int:
        """Cut all files, and write the chunks that the record manager does not know."""
        from langchain_core.documents import Document
        from langchain_core.indexing import index

        documents = [
            Document(page_content=text, metadata={"source": name}) for name, text in texts(corpus).items()
        ]
        done = index(
            self._splitter.split_documents(documents),
            self._records,
            self._store,
            # "incremental" would write a file's chunks again where they fall into two batches
            cleanup="full",
            source_id_key="source",
        )
        return done["num_added"]

    def stored(self) -> list[Stored]:
        """Every stored chunk."""
        found, _ = self._client.scroll(COLLECTION, limit=1_000_000)
        payloads = [point.payload or {} for point in found]
        return [(each["metadata"]["source"], each["page_content"]) for each in payloads]

    def nearest(self, question: str) -> Stored:
        """The nearest chunk."""
        found = self._store.similarity_search(question, k=1)[0]
        return str(found.metadata["source"]), found.page_content
