"""The retriever as LlamaIndex asks one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import (
    NodeRelationship,
    NodeWithScore,
    ObjectType,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)

from ragwright.core.types import OWNER, Hit, Scope

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.retrieval.search import SearchOptions

EVIDENCE, CONTEXT = "evidence", "context"
HIDDEN = (EVIDENCE, CONTEXT)
"""Metadata that prompts and encoders do not get to read."""


class RagwrightRetriever(BaseRetriever):
    """Finds passages of a workspace, and the evidence in them.

    Each node's text stands in its document at `start_char_idx`, character by character. Its metadata holds
    `source`, `title`, `headings`, `page` and the document's facts, and under `evidence` a list of
    `{"start", "end", "text", "score"}`, which prompts do not show.

    Example:
        ```python
        from ragwright.app.access import open_workspace
        from ragwright.app.llama_index import RagwrightRetriever

        with open_workspace(".ragwright") as workspace:
            for found in RagwrightRetriever(workspace, limit=3).retrieve("How long is the warranty?"):
                print(found.score, found.node.metadata["source"], found.node.metadata["evidence"])
        ```
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        scope: Scope = OWNER,
        limit: int | None = None,
        filters: Mapping[str, str] | None = None,
        options: SearchOptions | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        """Make a retriever.

        Args:
            workspace: Open as long as the retriever is asked.
            scope: What whoever asks may see.
            limit: Most nodes; None leaves it to the settings.
            filters: Field and value that every node must have.
            options: How to search; None leaves it to the settings.
            callback_manager: Of LlamaIndex.
        """
        super().__init__(callback_manager=callback_manager)
        self._workspace = workspace
        self._scope = scope
        self._limit = limit
        self._filters = filters
        self._options = options

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Nodes for a query, best first; for the errors see `HybridRetriever.find`."""
        hits = self._workspace.retriever.within(self._scope).search(
            query_bundle.query_str, limit=self._limit, filters=self._filters, options=self._options
        )
        return [NodeWithScore(node=node_of(hit), score=hit.score) for hit in hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def node_of(hit: Hit) -> TextNode:
    """A hit as LlamaIndex knows passages."""
    chunk = hit.chunk
    shown = {"source": hit.source, "title": hit.title, "headings": " > ".join(chunk.headings)}
    facts: dict[str, Any] = {**hit.metadata, **{name: value for name, value in shown.items() if value}}
    if chunk.page is not None:
        facts["page"] = chunk.page
    document = RelatedNodeInfo(
        node_id=chunk.span.document_id,
        node_type=ObjectType.DOCUMENT,
        metadata={"source": hit.source, "title": hit.title},
    )
    return TextNode(
        id_=chunk.id,
        text=chunk.text,
        start_char_idx=chunk.span.start,
        end_char_idx=chunk.span.end,
        metadata={**facts, EVIDENCE: _evidence(hit), CONTEXT: chunk.context},
        excluded_embed_metadata_keys=list(HIDDEN),
        excluded_llm_metadata_keys=list(HIDDEN),
        relationships={NodeRelationship.SOURCE: document},
    )


def _evidence(hit: Hit) -> list[dict[str, Any]]:
    return [
        {"start": each.span.start, "end": each.span.end, "text": each.text, "score": each.score}
        for each in hit.evidence
    ]
