"""The models of an index version: what was promoted, and for all else what the settings name.

A tuned model plays a part: the encoder, what adapts or routes its queries, what reranks, what reads. Versions
that name the same model share it, and it goes from memory with the last version that is in use.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from weakref import WeakValueDictionary

from ragwright.app.parts import part

if TYPE_CHECKING:
    from ragwright.app.rerankers import Rerankers
    from ragwright.core.config import Config
    from ragwright.core.protocols import Reader
    from ragwright.retrieval.adapted_queries import QueryEncoder
    from ragwright.retrieval.encoder import TransformerEncoder
    from ragwright.retrieval.forward import Compute
    from ragwright.retrieval.reader import JoinedReader
    from ragwright.retrieval.search import SearchOptions
    from ragwright.retrieval.tokens import ModelTokenizer

Part = Literal["embedder", "adapter", "router", "reranker", "reader"]

EMBEDDER: Part = "embedder"
"""The part that an index is made with: another one needs another index."""

OF_EMBEDDER: tuple[Part, ...] = ("adapter", "router")
"""Parts that are made for one embedder and fit no other; only one of them can be in force."""

ROUTER = "router"
"""Name of the routing table among tuned models: there is one, `router.json`."""

Parts = Mapping[str, str]


class Models:
    """The models of a workspace, each opened once; for any number of threads."""

    def __init__(self, config: Config, compute: Compute, *, tuned: Path) -> None:
        """Nothing is opened yet.

        Args:
            config: Names what is not promoted.
            compute: How models are run.
            tuned: Folder of the tuned models.
        """
        self.config = config
        self.compute = compute
        self.tuned = tuned
        self._lock = threading.RLock()
        self._versions: WeakValueDictionary[frozenset[tuple[str, str]], VersionModels] = WeakValueDictionary()
        self._encoders: WeakValueDictionary[str | None, TransformerEncoder] = WeakValueDictionary()
        self._rerankers: WeakValueDictionary[tuple[str | None, str | None], Rerankers] = WeakValueDictionary()
        self._readers: WeakValueDictionary[str, JoinedReader] = WeakValueDictionary()

    def of(self, parts: Parts) -> VersionModels:
        """The models of versions in which these tuned models play these parts."""
        key = frozenset(parts.items())
        with self._lock:
            found = self._versions.get(key)
            if found is None:
                found = self._versions[key] = VersionModels(self, parts)
            return found

    def folder(self, name: str) -> Path:
        """What is loaded of a tuned model."""
        return self.tuned / name / "model"

    def embedder(self, promoted: str | None) -> str:
        """What the encoder is opened by: a tuned model's folder, or the configured name."""
        return self.config.encoder.model if promoted is None else str(self.folder(promoted))

    def encoder(self, promoted: str | None) -> TransformerEncoder:
        """The encoder; its weights are loaded when something is first encoded.

        Raises:
            ModelError: It cannot be opened.
        """
        from ragwright.retrieval.encoder import load_encoder

        dimension = self.config.encoder.dimension
        with self._lock:
            found = self._encoders.get(promoted)
            if found is None:
                found = load_encoder(
                    self.embedder(promoted), self.compute, dimension=dimension, task=self.config.encoder.task
                )
                self._encoders[promoted] = found
            return found

    def rerankers(self, embedder: str | None, promoted: str | None) -> Rerankers:
        """What reranks beside an encoder, each opened when it is first asked for."""
        from ragwright.app.rerankers import RerankerModels, Rerankers

        settings, own = self.config.reranker, self.config.encoder
        # where cross is configured, the one model is a cross-encoder, and a single search may ask for late
        other = settings.model if self.config.search.rerank != "cross" else None
        models = RerankerModels(
            cross=settings.model if promoted is None else str(self.folder(promoted)),
            late=other or self.embedder(embedder),
            late_dimension=None if other else own.dimension,
            cache_megabytes=settings.cache_megabytes,
        )
        with self._lock:
            key = (embedder, promoted)
            found = self._rerankers.get(key)
            if found is None:
                found = self._rerankers[key] = Rerankers(models, self.compute, encoder=self.encoder(embedder))
            return found

    def reader(self, promoted: str | None) -> Reader | None:
        """What reads hits, its concurrent calls joined; None where no reader is promoted or configured.

        Raises:
            ModelError: It cannot be opened.
        """
        from ragwright.retrieval.reader import JoinedReader, load_reader

        name = self.config.reader.model if promoted is None else str(self.folder(promoted))
        if name is None:
            return None
        with self._lock:
            found = self._readers.get(name)
            if found is None:
                found = self._readers[name] = JoinedReader(load_reader(name, self.compute))
            return found


class VersionModels:
    """The models of one choice of parts; each is opened when it is first asked for."""

    def __init__(self, models: Models, parts: Parts) -> None:
        """Nothing is opened yet."""
        self.parts = dict(parts)
        self.lock = threading.RLock()  # held while one is opened
        self._models = models

    @part
    def encoder(self) -> TransformerEncoder:
        """What an index is made with."""
        return self._models.encoder(self.parts.get(EMBEDDER))

    @part
    def tokenizer(self) -> ModelTokenizer:
        """The encoder's tokenizer."""
        from ragwright.retrieval.model import open_model
        from ragwright.retrieval.tokens import ModelTokenizer

        return ModelTokenizer(open_model(self._models.embedder(self.parts.get(EMBEDDER))))

    @property
    def encoder_name(self) -> str:
        """The encoder as it is configured, or as it is called in the workspace."""
        promoted = self.parts.get(EMBEDDER)
        return self._models.config.encoder.model if promoted is None else f"tuned/{promoted}"

    @part
    def queries(self) -> QueryEncoder:
        """The encoder, its queries adapted or routed where something does so.

        Raises:
            ModelError: What does so cannot be opened, or was made for another encoder.
        """
        from ragwright.retrieval.query_adapter import open_query_adapter
        from ragwright.retrieval.routing import open_router

        chosen = self._adaptation()
        if chosen.adapter is not None:
            return open_query_adapter(chosen.adapter, self.encoder)
        if chosen.router is not None:
            return open_router(chosen.router, self.encoder, open_encoder=self._expert)
        return self.encoder

    def _adaptation(self) -> _Adaptation:
        """What is promoted, else what the settings name: theirs was made for the encoder that they name."""
        models, settings = self._models, self._models.config.encoder
        if "adapter" in self.parts:
            return _Adaptation(adapter=models.folder(self.parts["adapter"]))
        if "router" in self.parts:
            return _Adaptation(router=models.tuned / f"{ROUTER}.json")
        if EMBEDDER in self.parts:
            return _Adaptation()
        return _Adaptation(adapter=settings.query_adapter, router=settings.router)

    def _expert(self, folder: Path) -> TransformerEncoder:
        """An encoder of questions alone, which `load_encoder` would refuse."""
        from ragwright.retrieval.encoder import TransformerEncoder
        from ragwright.retrieval.model import open_model

        compute = self._models.compute
        model = open_model(str(folder), dimension=self._models.config.encoder.dimension)
        return TransformerEncoder(model, compute.loader(model), call_tokens=compute.call_tokens())

    @part
    def rerankers(self) -> Rerankers:
        """What reranks, by method."""
        return self._models.rerankers(self.parts.get(EMBEDDER), self.parts.get("reranker"))

    @property
    def reranker_name(self) -> str | None:
        """The reranker's model as it is configured, or as it is called in the workspace; None without one."""
        promoted = self.parts.get("reranker")
        return self._models.config.reranker.model if promoted is None else f"tuned/{promoted}"

    @part
    def reader(self) -> Reader | None:
        """What reads hits and chooses the evidence in them; None where nothing does."""
        return self._models.reader(self.parts.get("reader"))

    def search_options(self) -> SearchOptions:
        """The `[search]` section as the retriever takes it, with what was promoted in use."""
        from ragwright.retrieval.search import SearchOptions

        options = SearchOptions(**self._models.config.search.model_dump())
        return replace(options, rerank="cross") if "reranker" in self.parts else options


@dataclass(frozen=True, slots=True)
class _Adaptation:
    """What moves the vectors of queries: one of the two at most."""

    adapter: Path | None = None
    router: Path | None = None
