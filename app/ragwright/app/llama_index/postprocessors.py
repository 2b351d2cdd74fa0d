"""What comes after retrieval in a query engine of LlamaIndex: evidence instead of passages, and reranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle, TextNode

from ragwright.app.llama_index.retriever import CONTEXT, EVIDENCE
from ragwright.core.errors import InputError
from ragwright.core.types import Chunk, Span

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace


class EvidencePostprocessor(BaseNodePostprocessor):
    """Puts the evidence in the place of each passage: one node for each of its spans, exact to the character.

    A model then reads a fraction of the text, and what it quotes has an exact place. Passages without
    evidence are left out; nodes that do not come from `RagwrightRetriever` stay as they are.

    Example:
        ```python
        from llama_index.core.query_engine import RetrieverQueryEngine

        engine = RetrieverQueryEngine.from_args(
            RagwrightRetriever(workspace), llm=llm, node_postprocessors=[EvidencePostprocessor()]
        )
        ```
    """

    keep_without: bool = Field(default=False, description="Whether passages without evidence stay.")

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex knows it."""
        return "RagwrightEvidencePostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        made: list[NodeWithScore] = []
        for each in nodes:
            evidence = each.node.metadata.get(EVIDENCE)
            if not isinstance(each.node, TextNode) or evidence is None:
                made.append(each)
            elif evidence or not self.keep_without:
                made += [NodeWithScore(node=_part(each.node, span), score=each.score) for span in evidence]
            else:
                made.append(each)
        return made


def _part(node: TextNode, span: dict[str, Any]) -> TextNode:
    """A span of a passage's evidence as a node; it keeps what is known of its passage."""
    start, end = span["start"], span["end"]
    copy: TextNode = node.model_copy(deep=True)
    copy.id_ = f"{node.node_id}:{start}-{end}"
    copy.text = span["text"]
    copy.start_char_idx, copy.end_char_idx = start, end
    copy.embedding = None
    copy.metadata[EVIDENCE] = [span]
    return copy


class RagwrightRerank(BaseNodePostprocessor):
    """Orders nodes anew by the workspace's reranker, which reads query and passages together.

    It takes nodes of any retriever.

    Example:
        ```python
        best = RagwrightRerank(workspace, top_n=5).postprocess_nodes(found, query_str="How long is it?")
        ```
    """

    top_n: int = Field(default=10, ge=1, description="Most nodes that are kept.")
    method: Literal["late", "cross"] = Field(
        default="late", description="late (by the encoder's tokens) or cross (by a cross-encoder)."
    )
    _workspace: Workspace = PrivateAttr()

    def __init__(self, workspace: Workspace, **settings: Any) -> None:
        """Rerank by a workspace's models.

        Args:
            workspace: Open as long as nodes are reranked.
            **settings: `top_n` and `method`.
        """
        super().__init__(**settings)
        self._workspace = workspace

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex knows it."""
        return "RagwrightRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        """The best nodes, best first; equal scores keep their order.

        Raises:
            InputError: There is no query.
            ConfigError, ModelError: The reranker cannot be opened.
        """
        if query_bundle is None:
            raise InputError("reranking needs the query; pass query_bundle or query_str")
        if not nodes:
            return []
        chunks = [_chunk(each.node) for each in nodes]
        (scores,) = self._workspace.reranker(self.method).rerank([query_bundle.query_str], [chunks])
        order = sorted(range(len(nodes)), key=lambda place: -scores[place])
        return [
            NodeWithScore(node=nodes[place].node, score=float(scores[place])) for place in order[: self.top_n]
        ]


def _chunk(node: BaseNode) -> Chunk:
    """What a reranker reads of a node: its text, and before it the context of a passage of ours."""
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    start = getattr(node, "start_char_idx", None) or 0
    span = Span(node.ref_doc_id or node.node_id, start, start + len(text))
    return Chunk(
        id=node.node_id,
        span=span,
        text=text,
        context=str(node.metadata.get(CONTEXT, "")),
        headings=(),
        page=None,
        sentences=(),
        tokens=0,
    )
