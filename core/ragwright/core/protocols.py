"""What one stage needs of another, said without naming it. Only `app` knows both sides."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ragwright.core.reader_folder import ReaderRules
from ragwright.core.types import (
    OPEN,
    Access,
    AnswerEvent,
    AnswerRequest,
    Chunk,
    Document,
    Encoding,
    IndexEntry,
    Message,
    Passage,
    Scope,
    Turn,
    Vectors,
)


class Tokenizer(Protocol):
    """The encoder's tokenizer, as far as chunking needs it."""

    max_tokens: int
    """Longest input of the encoder in tokens, its special tokens included."""

    special_tokens: int
    """How many of these the encoder adds to every input."""

    def starts(self, text: str) -> NDArray[np.int64]:
        """Where each token of a text begins.

        Returns:
            Character offsets in ascending order, one per token, special tokens left out. The tokens that
            begin inside a range count that range: exact where the range starts and ends at white space.
        """
        ...


class Encoder(Protocol):
    """Text to vectors."""

    fingerprint: str
    """Names the weights, the pooling and the prompts: vectors of equal fingerprints may be compared."""

    dimension: int

    call_tokens: int
    """How many tokens of passages one call should bring so that the device stays busy."""

    def load(self) -> None:
        """Load what computes now, instead of when something is first encoded."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode questions, in input order.

        Returns:
            float32, shape (len(texts), dimension), rows of unit L2 norm.
        """
        ...

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        """Encode passages and their sentences in one forward pass, in input order.

        Raises:
            InputError: A passage is longer than the model's limit; nothing is ever cut off silently.
        """
        ...


class Scored(NamedTuple):
    """A chunk id and the score one stage gave it."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class PartTerms:
    """Which terms the parts of a chunk hold: its context, then each of its sentences.

    Attributes:
        ids: uint32, shape (n,): the distinct terms of the context, then those of each sentence.
        ends: uint32, shape (1 + number of sentences,): where in `ids` each part ends.
    """

    ids: NDArray[np.uint32]
    ends: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as the index holds it, with the document's facts that are needed to show it."""

    chunk: Chunk
    source: str
    title: str
    metadata: Mapping[str, str]
    sentence_vectors: Vectors  # (number of sentences, dim)
    terms: PartTerms
    access: Access = OPEN


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """What one query asks of the index.

    Attributes:
        dense: Query vector, shape (dim,); None leaves the dense half out.
        terms: Weight of each query term, by term id; None leaves the lexical half out.
        scope: What the caller may see; it bounds whatever the filters say.
        filters: Field and value that every result must have.
    """

    dense: NDArray[np.float32] | None
    terms: Mapping[int, float] | None
    scope: Scope
    filters: Mapping[str, str] = field(default_factory=dict)


class ChunkIndex(Protocol):
    """Where chunks and their vectors are kept and found. Two implementations: embedded and server."""

    def upsert(self, entries: Sequence[IndexEntry]) -> None:
        """Write entries; on return they survive the death of the process."""
        ...

    def delete(self, chunk_ids: Sequence[str]) -> None:
        """Remove chunks; unknown ids are ignored."""
        ...

    def set_access(self, chunk_ids: Sequence[str], access: Access) -> None:
        """Let chunks be seen by others than before; on return this survives the death of the process.

        Raises:
            IndexDamaged: One is not stored; some of the others may have been changed.
        """
        ...

    def search(
        self,
        dense: NDArray[np.float32] | None,
        terms: Mapping[int, float] | None,
        *,
        limit: int,
        scope: Scope,
        filters: Mapping[str, str],
    ) -> tuple[list[Scored], list[Scored]]:
        """Find the nearest chunks by vector and by words, in one call.

        An empty scope finds nothing, and the engine is not asked.

        Args:
            dense: Query vector, shape (dim,); None leaves the dense half out.
            terms: Weight of each query term, by term id; None leaves the lexical half out.
            limit: At most this many of each half.
            scope: What the caller may see; it bounds whatever the filters say.
            filters: Field and value that every result must have.

        Returns:
            Dense results (cosine) and lexical results (BM25), each best first.
        """
        ...

    def search_many(
        self, queries: Sequence[IndexQuery], *, limit: int
    ) -> list[tuple[list[Scored], list[Scored]]]:
        """What `search` finds for each of several queries, in their order, by one call of the engine."""
        ...

    def fetch(self, chunk_ids: Sequence[str]) -> dict[str, StoredChunk]:
        """The chunks of these ids with their sentence vectors; unknown ids are left out.

        Whoever shows them to a caller asks `Scope.allows` again: rights may have changed since the search.
        """
        ...

    def encodings(self, chunk_ids: Sequence[str]) -> dict[str, Encoding]:
        """The stored vectors of these ids; unknown ids are left out."""
        ...

    def rarities(self, terms: Iterable[int]) -> dict[int, float]:
        """Inverse document frequency of terms in the whole index, by term id; largest for unseen ones.

        Counted over the documents of every tenant, as the engine does where it scores words.
        """
        ...

    def scan(self, batch: int = 256) -> Iterator[list[StoredChunk]]:
        """Every stored chunk, in batches."""
        ...

    def count(self) -> int:
        """How many chunks are stored."""
        ...

    def optimize(self) -> None:
        """Merge segments and build what makes search fast; called once after an ingest."""
        ...

    def graph_is_due(self) -> bool:
        """Whether `optimize` would build or extend a graph now, which takes long; asking is cheap."""
        ...

    def close(self) -> None:
        """Flush and release the index."""
        ...


class Reranker(Protocol):
    """Orders what was found anew, by reading queries and chunks together."""

    def rerank(
        self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]
    ) -> list[NDArray[np.float32]]:
        """Score the candidates of several queries in one call.

        Args:
            queries: The questions.
            candidates: The chunks that were found for each of them; there may be none.

        Returns:
            For each query one score per candidate, in their order, higher is better, shape
            (len(candidates[i]),). Scores are comparable within a query.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader makes of one chunk for one question.

    Attributes:
        passage: Log-odds that the chunk answers the question.
        sentences: Log-odds of each sentence, that what stands in it belongs to the evidence; float32, shape
            (number of sentences,).
        answer: Half-open character range of the chunk's text that answers best; None: nothing in it does.
    """

    passage: float
    sentences: NDArray[np.float32]
    answer: tuple[int, int] | None = None


class Reader(Protocol):
    """Reads questions and chunks together, and says what in a chunk answers."""

    fingerprint: str
    """Names the weights, the tokenizer, and every setting that readings depend on."""

    rules: ReaderRules
    """How its log-odds become probabilities."""

    def read(self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]) -> list[list[Reading]]:
        """Read the candidates of several queries in one call.

        Args:
            queries: The questions.
            candidates: The chunks that were found for each of them; there may be none.

        Returns:
            For each query the readings of its candidates, in their order.
        """
        ...


class DocumentStore(Protocol):
    """Where canonical texts are kept."""

    def document(self, document_id: str) -> Document | None:
        """The document as it was last committed, or None."""
        ...


class Generator(Protocol):
    """Writes an answer from hits."""

    name: str
    """Names it in settings, traces and lists of models."""

    def stream(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        """Make an answer whose citations are checked, or a refusal, piece by piece.

        The deltas' texts together are the text of the answer that ends the stream. Closing it
        (`aclose`) stops the work.

        Raises:
            ServiceError: The model behind it does not answer, or broke off.
        """
        ...


class Rewriter(Protocol):
    """Makes a follow-up question stand alone."""

    async def rewrite(self, question: str, history: Sequence[Turn]) -> str:
        """The question with what it takes from the history; the question itself when it takes nothing."""
        ...


class Writer(Protocol):
    """A language model that writes what prompts ask for, many at a time."""

    name: str
    """Names the model in what it is asked to make."""

    def write(
        self, prompts: Sequence[Sequence[Message]], *, max_tokens: int, temperature: float
    ) -> list[str]:
        """What the model writes for each prompt, in their order; "" where it failed for one.

        Args:
            prompts: Conversations to be continued.
            max_tokens: The most tokens of each text.
            temperature: Randomness, from 0.

        Raises:
            ServiceError: It failed for every prompt.
        """
        ...


class Chunker(Protocol):
    """A pure function from a document to its chunks."""

    fingerprint: str
    """Names the strategy and every setting: documents cut by another one are cut again."""

    def __call__(self, document: Document) -> list[Chunk]:
        """Chunks in text order."""
        ...


@dataclass(frozen=True, slots=True)
class EncodedChunks:
    """The chunks of a document with the vectors that it was cut by.

    Attributes:
        chunks: In text order.
        encodings: The vectors of each chunk, by its id.
        origins: By chunk id, a digest of all that the encoder read for these vectors, and of where in it the
            chunk stands.
        tokens: How many tokens the encoder read, special tokens included.
    """

    chunks: tuple[Chunk, ...]
    encodings: Mapping[str, Encoding]
    origins: Mapping[str, str]
    tokens: int


@runtime_checkable
class EncodingChunker(Chunker, Protocol):
    """A chunker that encodes a document in order to cut it: its chunks need not be encoded again."""

    def encode(self, document: Document) -> EncodedChunks:
        """Cut a document: the chunks of calling the chunker, with their vectors."""
        ...
