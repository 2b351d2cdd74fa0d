"""Serving a linear query adapter: one small product per query, no re-indexing, gone without a trace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ragwright.core.errors import InputError
from ragwright.core.query_adapter import QueryAdapter, read_query_adapter
from ragwright.core.types import Vectors
from ragwright.retrieval.adapted_queries import AdaptedQueries, AdaptedQuery, QueryEncoder


class LinearAdaptation:
    """Moves every query by one matrix."""

    def __init__(self, adapter: QueryAdapter) -> None:
        """Serve an adapter; whether it fits the encoder is asked by `open_query_adapter`."""
        self.adapter = adapter

    def adapt(self, texts: Sequence[str], vectors: Vectors, *, expert: str | None) -> list[AdaptedQuery]:
        """See `Adaptation.adapt`; there is no choice of experts."""
        if expert is not None:
            raise InputError(
                f'search.expert is "{expert}", and there is no router here; unset it, or set encoder.router'
            )
        return [AdaptedQuery(row) for row in self.adapter.moved(vectors)]


def open_query_adapter(folder: Path, encoder: QueryEncoder) -> AdaptedQueries:
    """An encoder with the query adapter of a folder.

    Args:
        folder: The adapter's, or that of the tuned model that holds it.
        encoder: The one it was trained for.

    Raises:
        ModelError: There is no adapter, it is damaged, or it was trained for another encoder.
    """
    adapter = read_query_adapter(folder)
    adapter.check_base(encoder.fingerprint, name=str(folder))
    return AdaptedQueries(encoder, LinearAdaptation(adapter))
