"""Ragwright as parts of LlamaIndex: retriever, rerankers, chunkers, encoder, and its readers as our source.

Of `app`, only the files of this folder import LlamaIndex; importing it asks for the extra `llama-index`.
`docs/llama_index.md` shows everything at work.
"""

from __future__ import annotations

from ragwright.core.errors import MissingExtra

try:
    import llama_index.core  # noqa: F401 - asked for before the parts are, for a sentence that helps
except ModuleNotFoundError as error:
    if error.name not in ("llama_index", "llama_index.core"):
        raise
    raise MissingExtra("llama-index-core", "llama-index") from None

from ragwright.app.llama_index.documents import ingest_documents
from ragwright.app.llama_index.embedding import RagwrightEmbedding
from ragwright.app.llama_index.node_parser import DomainNodeParser
from ragwright.app.llama_index.postprocessors import EvidencePostprocessor, RagwrightRerank
from ragwright.app.llama_index.retriever import RagwrightRetriever

__all__ = [
    "DomainNodeParser",
    "EvidencePostprocessor",
    "RagwrightEmbedding",
    "RagwrightRerank",
    "RagwrightRetriever",
    "ingest_documents",
]
