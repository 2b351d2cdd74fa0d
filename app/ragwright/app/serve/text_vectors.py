"""Vectors of texts that callers send: requests that come together share the encoder's batches."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from ragwright.app.serve.errors import HttpError
from ragwright.core.types import Encoding, Passage, Vector

if TYPE_CHECKING:
    from ragwright.app.serve.collections import Collection
    from ragwright.retrieval.encoder import TransformerEncoder

Kind = Literal["passage", "query"]

MOST_TOKENS = 300_000
"""Of one request: some seconds of two processor cores."""

_CUT_MARGIN = 16  # tokens; a word that is cut apart may have more of them


class TextVectors:
    """One encoder for any number of threads."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        """Nothing is encoded yet."""
        from ragwright.retrieval.coalesce import Coalescer
        from ragwright.retrieval.query_vectors import QueryVectors

        self.encoder = encoder
        self._queries = QueryVectors(encoder)
        self._passages: Coalescer[Passage, Encoding] = Coalescer(encoder.encode_passages)

    def of(self, texts: Sequence[str], kind: Kind) -> list[Vector]:
        """The vectors of texts, in their order.

        Args:
            texts: None longer than the encoder's limit.
            kind: What they are to the encoder, which may read questions otherwise than passages.

        Returns:
            float32, shape (dimension,) each, of unit L2 norm, not to be written to.
        """
        if kind == "query":
            return self._queries.of(texts)
        return [each.vector for each in self.encoded([Passage(text) for text in texts])]

    def encoded(self, passages: Sequence[Passage]) -> list[Encoding]:
        """The vectors of passages and their sentences; see `Encoder.encode_passages`."""
        return self._passages(passages)

    def tokens(self, texts: Sequence[str], kind: Kind) -> list[int]:
        """How long texts are for the encoder, all that it adds included.

        Raises:
            HttpError: 400 when they are too long together.
        """
        model = self.encoder.model
        prompt = model.query_prompt if kind == "query" else model.passage_prompt
        counts = [len(each.ids) for each in self.encoder.tokenizer.encode([prompt + text for text in texts])]
        if sum(counts) > MOST_TOKENS:
            raise HttpError(
                400, f"the texts have {sum(counts)} tokens together; most are {MOST_TOKENS}; send fewer"
            )
        return counts

    def windows(self, text: str) -> list[str]:
        """A text in pieces that the encoder reads whole."""
        tokenizer = self.encoder.tokenizer
        room = tokenizer.max_tokens - tokenizer.special_tokens
        starts = tokenizer.starts(text)
        if len(starts) <= room:
            return [text]
        cuts = [int(start) for start in starts[:: max(1, room - _CUT_MARGIN)]]
        return [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]


class CollectionVectors:
    """The vectors of every collection's encoder, each made ready when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, TextVectors] = {}
        self._lock = threading.Lock()

    def of(self, collection: Collection) -> TextVectors:
        """Those of one; it may take a while, and raises what opening the model raises."""
        encoder = collection.workspace.encoder
        with self._lock:
            made = self._made.get(collection.name)
            if made is None or made.encoder is not encoder:
                made = self._made[collection.name] = TextVectors(encoder)
            return made
