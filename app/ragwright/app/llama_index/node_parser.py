"""The domain chunkers as a node parser of LlamaIndex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import BaseNode, MetadataMode, NodeRelationship, TextNode
from llama_index.core.schema import Document as LlamaDocument

from ragwright.app.llama_index.documents import is_markdown

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.protocols import Chunker
    from ragwright.core.types import Chunk


class DomainNodeParser(NodeParser):
    """Cuts documents as an ingest would: along their structure, within the encoder's limit, exactly.

    `document.text[node.start_char_idx:node.end_char_idx] == node.text`, also where a text stands twice. Of
    the headings above a chunk the metadata tells as `headings`.

    Example:
        ```python
        from llama_index.core import Document

        parser = DomainNodeParser(workspace, domain="legal")
        nodes = parser.get_nodes_from_documents([Document(text="1. Term. The term is two years.")])
        ```
    """

    domain: str = Field(description="The profile that documents are cut by.")
    _chunker: Chunker = PrivateAttr()

    def __init__(self, workspace: Workspace, *, domain: str | None = None, **settings: Any) -> None:
        """Cut with a workspace's chunker.

        Args:
            workspace: Whose encoder counts tokens, and whose `[chunk]` settings hold.
            domain: A profile's name; None: the configured one.
            **settings: Of `NodeParser`, such as `include_metadata`.

        Raises:
            ConfigError: There is no such profile.
        """
        chosen = domain or workspace.config.domain
        super().__init__(**{"domain": chosen, **settings})
        self._chunker = workspace.chunker(chosen)

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex knows it."""
        return "RagwrightDomainNodeParser"

    def _parse_nodes(
        self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any
    ) -> list[BaseNode]:
        return [made for node in nodes for made in self._cut(node)]

    def _cut(self, node: BaseNode) -> list[BaseNode]:
        from ragwright.ingest.texts import as_document

        text = node.get_content(metadata_mode=MetadataMode.NONE)
        document = as_document(node.node_id, text, markdown=is_markdown(node))
        source = node.as_related_node_info()
        made: list[BaseNode] = []
        for number, chunk in enumerate(self._chunker(document)):
            name = self.id_func(number, node)
            made.append(
                TextNode(
                    id_=name,
                    text=text[chunk.span.start : chunk.span.end],
                    start_char_idx=chunk.span.start,
                    end_char_idx=chunk.span.end,
                    metadata=_facts(chunk),
                    excluded_embed_metadata_keys=list(node.excluded_embed_metadata_keys),
                    excluded_llm_metadata_keys=list(node.excluded_llm_metadata_keys),
                    relationships={NodeRelationship.SOURCE: source},
                )
            )
        return made

    def _postprocess_parsed_nodes(
        self, nodes: list[BaseNode], parent_doc_map: dict[str, LlamaDocument]
    ) -> list[BaseNode]:
        """What LlamaIndex adds to nodes, but for the offsets: it looks texts up, and may err."""
        places = [_place(node) for node in nodes]
        nodes = super()._postprocess_parsed_nodes(nodes, parent_doc_map)
        for node, (start, end) in zip(nodes, places, strict=True):
            if isinstance(node, TextNode):
                node.start_char_idx, node.end_char_idx = start, end
        return nodes


def _place(node: BaseNode) -> tuple[int | None, int | None]:
    return (node.start_char_idx, node.end_char_idx) if isinstance(node, TextNode) else (None, None)


def _facts(chunk: Chunk) -> dict[str, Any]:
    return {"headings": " > ".join(chunk.headings)} if chunk.headings else {}
