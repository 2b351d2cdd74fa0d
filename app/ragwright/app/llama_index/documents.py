"""Documents of LlamaIndex's readers as a source of an ingest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import BaseNode, MetadataMode

from ragwright.core.types import OPEN, Access

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.types import Document
    from ragwright.ingest.report import IngestReport
    from ragwright.ingest.writer import Observer

_MARKDOWN = (".md", ".markdown")
_NAMES = ("file_name", "file_path")


def ingest_documents(
    workspace: Workspace,
    documents: Sequence[BaseNode],
    *,
    access: Access = OPEN,
    observer: Observer | None = None,
) -> IngestReport:
    """Bring documents of a reader into a workspace, or up to date there.

    A document's id is its source: one that comes again under its id is skipped where nothing has changed,
    and replaces its former version otherwise. Nothing is ever deleted; `ragwright forget` does that. Give
    readers of files `filename_as_id=True`, since the ids they make up are others every time.

    The text is kept character by character, so that spans found elsewhere fit. Metadata becomes flat facts to
    filter by; `title`, else `file_name`, becomes the title.

    Args:
        workspace: Held for writing; its index is made when absent.
        documents: Each with an id of its own.
        access: Who may see them.
        observer: Told what happens.

    Returns:
        What was done, in counts.

    Raises:
        InputError: Two documents have one id, or the disk has too little room.
        IndexDamaged: The index was made by another model or other settings.

    Example:
        ```python
        from llama_index.core import SimpleDirectoryReader
        from ragwright.app.access import open_workspace
        from ragwright.app.llama_index import ingest_documents

        read = SimpleDirectoryReader("notes", filename_as_id=True).load_data()
        with open_workspace(".ragwright", write=True) as workspace:
            print(ingest_documents(workspace, read))
        ```
    """
    from ragwright.app.indexing import index_documents

    made = (document_of(each, access=access) for each in documents)
    told = observer or _Silent()
    return index_documents(workspace, made, total=len(documents), observer=told)


def document_of(node: BaseNode, *, access: Access = OPEN) -> Document:
    """A document, or a node, of LlamaIndex as an ingest takes it."""
    from ragwright.ingest.texts import as_document

    facts = node.metadata
    title = facts.get("title") or facts.get("file_name") or ""
    return as_document(
        node.node_id,
        node.get_content(metadata_mode=MetadataMode.NONE),
        title=str(title),
        metadata=flat(facts),
        access=access,
        markdown=is_markdown(node),
    )


def is_markdown(node: BaseNode) -> bool:
    """Whether a document is named as Markdown files are."""
    names = [node.node_id, *(str(node.metadata.get(name, "")) for name in _NAMES)]
    return any(name.lower().endswith(_MARKDOWN) for name in names)


def flat(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Metadata as facts: texts as they are, other values as JSON writes them, none without a value.

    >>> flat({"year": 2024, "author": "A. Smith", "tags": ["a", "b"], "gone": None})
    {'year': '2024', 'author': 'A. Smith', 'tags': '["a", "b"]'}
    """
    return {
        str(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for name, value in metadata.items()
        if value is not None
    }


class _Silent:
    """Is told what happens, and does nothing about it."""

    def start(self, total_files: int) -> None:
        """Documents were found."""

    def file_done(self, source: str, outcome: str) -> None:
        """A document ended as something."""

    def chunks_done(self, count: int, tokens: int) -> None:
        """Chunks were written."""
