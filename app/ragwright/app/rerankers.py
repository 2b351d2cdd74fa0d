"""What reranks, by method: a cross-encoder, or late interaction of the encoder's own or another model."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.core.protocols import Reranker
    from ragwright.retrieval.cross_encoder import CrossEncoder
    from ragwright.retrieval.encoder import TransformerEncoder
    from ragwright.retrieval.forward import Compute
    from ragwright.retrieval.late_interaction import LateInteraction
    from ragwright.retrieval.search import ModelReranking


@dataclass(frozen=True, slots=True)
class RerankerModels:
    """Which models rerank.

    Attributes:
        cross: The cross-encoder's name; None: there is none.
        late: Name of the model for late interaction.
        late_dimension: Where its vectors are cut; None leaves them whole.
        cache_megabytes: Room for the token vectors of recent chunks.
    """

    cross: str | None
    late: str
    late_dimension: int | None
    cache_megabytes: int


class Rerankers:
    """Opens each reranker once, when it is first asked for; for any number of threads."""

    def __init__(self, models: RerankerModels, compute: Compute, *, encoder: TransformerEncoder) -> None:
        """Nothing is opened yet.

        Args:
            models: Which.
            compute: How they are run.
            encoder: Its weights are shared where its model reranks, too.
        """
        self._models = models
        self._compute = compute
        self._encoder = encoder
        self._opened: dict[str, Reranker] = {}  # by method
        self._lock = threading.Lock()

    def open(self, method: ModelReranking) -> Reranker:
        """What reranks by a method. Concurrent calls are joined.

        Raises:
            InputError: A cross-encoder is asked for and none is set.
            ModelError: The model is not there, or is none for this method.
        """
        from ragwright.retrieval.coalesce import JoinedReranker

        with self._lock:
            if method not in self._opened:
                opened = self._cross_encoder() if method == "cross" else self._late_interaction()
                self._opened[method] = JoinedReranker(opened)
            return self._opened[method]

    def _cross_encoder(self) -> CrossEncoder:
        from ragwright.retrieval.cross_encoder import load_cross_encoder

        if self._models.cross is None:
            raise InputError(
                "search.rerank is cross, and reranker.model is not set; set it to a CrossEncoder folder "
                "or the id of a downloaded one, or search.rerank to late or evidence"
            )
        return load_cross_encoder(self._models.cross, self._compute)

    def _late_interaction(self) -> LateInteraction:
        from ragwright.retrieval.late_interaction import LateInteraction
        from ragwright.retrieval.memory import Once
        from ragwright.retrieval.multi_vector import open_token_model

        models, encoder = self._models, self._encoder
        rules = open_token_model(models.late, dimension=models.late_dimension)
        own = rules.model.fingerprint == encoder.fingerprint
        forward = (lambda: encoder.forward) if own else Once(self._compute.loader(rules.model))
        return LateInteraction(rules, forward, cache_megabytes=models.cache_megabytes)
