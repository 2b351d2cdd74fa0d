"""An encoder whose queries are adapted: passages, index and fingerprint stay those of the encoder inside.

What adapts is given the encoder's own vectors, which are remembered, and comes after: so it can be exchanged
at any time, and what it gave is never mistaken for the encoder's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ragwright.core.protocols import Encoder, Tokenizer
from ragwright.core.types import Encoding, Passage, Vector, Vectors


class QueryEncoder(Encoder, Protocol):
    """An encoder whose tokenizer can be asked."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Counts tokens for the evidence budget."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedQuery:
    """A query's vector after adaptation.

    Attributes:
        vector: What the index is asked with; float32, shape (dim,), unit L2 norm.
        scores: What the decision was made by, for traces: of the expert that was chosen.
    """

    vector: Vector
    scores: Mapping[str, float] = field(default_factory=dict)


class Adaptation(Protocol):
    """Moves query vectors; it is asked by any number of threads."""

    def adapt(self, texts: Sequence[str], vectors: Vectors, *, expert: str | None) -> list[AdaptedQuery]:
        """Queries adapted, in their order.

        Args:
            texts: The queries.
            vectors: The encoder's own of them, float32, shape (n, dim); left as they are.
            expert: Who is to adapt them, where there are several; None: whoever fits each best.

        Raises:
            InputError: There is no expert of this name.
        """
        ...


class AdaptedQueries:
    """An encoder with an adaptation of its queries.

    Attributes:
        base: The encoder itself.
        adaptation: What moves its query vectors.
        fingerprint: The encoder's: whatever index it fits, this fits.
        dimension: The encoder's.
        call_tokens: The encoder's.
    """

    def __init__(self, base: QueryEncoder, adaptation: Adaptation) -> None:
        """Wrap an encoder."""
        self.base = base
        self.adaptation = adaptation
        self.fingerprint = base.fingerprint
        self.dimension = base.dimension
        self.call_tokens = base.call_tokens

    @property
    def tokenizer(self) -> Tokenizer:
        """The encoder's."""
        return self.base.tokenizer

    def load(self) -> None:
        """See `Encoder.load`."""
        self.base.load()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode and adapt questions; see `Encoder.encode_queries`."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        adapted = self.adaptation.adapt(texts, self.base.encode_queries(texts), expert=None)
        return np.stack([each.vector for each in adapted])

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        """See `Encoder.encode_passages`; nothing of it is adapted."""
        return self.base.encode_passages(passages)
