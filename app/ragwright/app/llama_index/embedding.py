"""The encoder as an embedding model of LlamaIndex."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr

from ragwright.core.types import Passage

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.protocols import Tokenizer
    from ragwright.retrieval.encoder import TransformerEncoder


class RagwrightEmbedding(BaseEmbedding):
    """Embeds with a workspace's encoder: queries and passages with the prompts of each, in packed batches.

    The vectors have unit length, and are those of the workspace's index.

    Example:
        ```python
        from llama_index.core import VectorStoreIndex

        index = VectorStoreIndex(nodes, embed_model=RagwrightEmbedding(workspace))
        ```
    """

    too_long: Literal["refuse", "cut"] = Field(
        default="refuse",
        description="What becomes of a text beyond the encoder's limit: an error, or it is cut.",
    )
    _encoder: TransformerEncoder = PrivateAttr()

    def __init__(self, workspace: Workspace, **settings: Any) -> None:
        """Embed with a workspace's encoder.

        Args:
            workspace: Open as long as texts are embedded.
            **settings: `too_long`, and those of `BaseEmbedding`.
        """
        known = {"model_name": workspace.config.encoder.model, "embed_batch_size": 256}
        super().__init__(**{**known, **settings})
        self._encoder = workspace.encoder

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex knows it."""
        return "RagwrightEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self._encoder.encode_queries([query])[0].tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text.

        Raises:
            InputError: One is longer than the encoder's limit, and `too_long` is `refuse`.
        """
        if self.too_long == "cut":
            texts = [_beginning(text, self._encoder.tokenizer) for text in texts]
        return [
            each.vector.tolist() for each in self._encoder.encode_passages([Passage(text) for text in texts])
        ]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


def _beginning(text: str, tokenizer: Tokenizer) -> str:
    """As much of a text as the encoder reads."""
    starts = tokenizer.starts(text)
    room = tokenizer.max_tokens - tokenizer.special_tokens
    return text if len(starts) <= room else text[: int(starts[room])]
