"""The one place that builds objects from configuration; what it builds is given values, not settings."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.app.parts import part
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.generators import Generators
    from ragwright.app.index_engines import IndexEngine
    from ragwright.app.index_versions import IndexVersions
    from ragwright.app.rerankers import Rerankers
    from ragwright.core.config import Config
    from ragwright.core.profile import Profile
    from ragwright.core.protocols import Chunker, ChunkIndex, Generator, Reranker
    from ragwright.core.types import Access
    from ragwright.ingest.catalog import Catalog
    from ragwright.ingest.catalog_values import Manifest
    from ragwright.ingest.pipeline import IngestSettings
    from ragwright.ingest.writer import Target
    from ragwright.retrieval.encoder import TransformerEncoder
    from ragwright.retrieval.forward import Compute
    from ragwright.retrieval.search import HybridRetriever, ModelReranking, SearchOptions
    from ragwright.retrieval.tokens import ModelTokenizer


class Workspace:
    """One workspace folder and what lives in it; each part is built when it is first asked for.

    Any number of threads may ask.
    """

    def __init__(self, config: Config, *, project: Path | None = None) -> None:
        """Nothing is built yet.

        Args:
            config: Every setting.
            project: Folder that sources are relative to; None: the one that holds the workspace.
        """
        self.config = config
        self.folder = Path(os.path.abspath(config.workspace))  # noqa: PTH100 - resolve() would follow links
        self.project = project or self.folder.parent
        self._open = ExitStack()
        self.lock = threading.RLock()  # held while a part is built
        self._retriever: tuple[ChunkIndex, HybridRetriever] | None = None  # over that index

    def close(self) -> None:
        """Release everything that was opened, in reverse order."""
        self._open.close()

    @part
    def catalog(self) -> Catalog:
        """The catalog, made when absent."""
        from ragwright.ingest.catalog import Catalog

        url = self.config.catalog.url
        catalog = Catalog(url) if url else Catalog.in_folder(self.folder)
        self._open.callback(catalog.close)
        return catalog

    @part
    def encoder(self) -> TransformerEncoder:
        """The encoder; its weights are loaded when something is first encoded."""
        from ragwright.retrieval.encoder import load_encoder

        settings = self.config.encoder
        return load_encoder(settings.model, self.compute, dimension=settings.dimension)

    def reranker(self, method: ModelReranking) -> Reranker:
        """What reranks by a method; see `Rerankers.open`."""
        return self.rerankers.open(method)

    @part
    def rerankers(self) -> Rerankers:
        """What reranks, each opened when it is first asked for."""
        from ragwright.app.rerankers import RerankerModels, Rerankers

        settings, encoder = self.config.reranker, self.config.encoder
        # where cross is configured, the one model is a cross-encoder, and a single search may ask for late
        other = settings.model if self.config.search.rerank != "cross" else None
        models = RerankerModels(
            cross=settings.model,
            late=other or encoder.model,
            late_dimension=None if other else encoder.dimension,
            cache_megabytes=settings.cache_megabytes,
        )
        return Rerankers(models, self.compute, encoder=self.encoder)

    @property
    def compute(self) -> Compute:
        """How models are run."""
        from ragwright.retrieval.forward import Compute

        settings = self.config.encoder
        return Compute(
            backend=settings.backend,
            precision=settings.precision,
            cache=settings.cache or self.folder / "models",
            batch_tokens=settings.batch_tokens,
            threads=settings.threads,
        )

    @part
    def tokenizer(self) -> ModelTokenizer:
        """The encoder's tokenizer, without loading the encoder's weights."""
        from ragwright.retrieval.model import open_model
        from ragwright.retrieval.tokens import ModelTokenizer

        return ModelTokenizer(open_model(self.config.encoder.model))

    @part
    def profile(self) -> Profile:
        """The configured domain's profile."""
        from ragwright.core.profile import load_profile

        return load_profile(self.config.domain)

    def chunker(self, domain: str) -> Chunker:
        """The chunker of a domain under the present settings."""
        from ragwright.core.profile import load_profile
        from ragwright.ingest.chunk import build_chunker

        settings = self.config.chunk
        return build_chunker(
            load_profile(domain),
            self.encoder.tokenizer,
            encoder=self.encoder,
            strategy=settings.strategy,
            tokens=settings.tokens,
            overlap=settings.overlap,
        )

    def live(self) -> tuple[str, Manifest]:
        """The index version that answers.

        Raises:
            InputError: Nothing has been ingested.
        """
        found = self.existing_live()
        if found is None:
            raise self.nothing_ingested()
        return found

    def exists(self) -> bool:
        """Whether there is a catalog; asking makes none."""
        return self.config.catalog.url is not None or (self.folder / "catalog.sqlite3").is_file()

    def existing_live(self) -> tuple[str, Manifest] | None:
        """The index version that answers, or None; asking makes no workspace."""
        return self.catalog.live_version() if self.exists() else None

    def nothing_ingested(self) -> InputError:
        """What to raise where documents are needed."""
        return InputError(f"workspace {self.folder} holds no documents; run: ragwright ingest PATH")

    def open_index(self, version: str, manifest: Manifest, *, incomplete: bool = False) -> ChunkIndex:
        """An index version that fits the settings; see `IndexVersions.open`.

        Raises:
            IndexDamaged: It is gone or broken, holds less than the catalog says, or was made by another
                layout or model.
        """
        self.check_manifest(version, manifest)
        return self.indexes.open(version, manifest, incomplete=incomplete)

    @part
    def indexes(self) -> IndexVersions:
        """The index versions; opening one here does not ask whether it fits the settings."""
        from ragwright.app.index_versions import IndexVersions

        indexes = IndexVersions(self.catalog, self._engine())
        self._open.callback(indexes.close)
        return indexes

    def _engine(self) -> IndexEngine:
        from ragwright.app.index_engines import EmbeddedEngine, ServerEngine
        from ragwright.retrieval.server import connect

        settings = self.config.index
        if not settings.url:
            return EmbeddedEngine(self.folder / "indexes", quantization=settings.quantization)

        key = settings.api_key.get_secret_value() if settings.api_key else None
        client = connect(settings.url, api_key=key, timeout_seconds=settings.timeout_seconds)
        self._open.callback(client.close)
        owner = self.catalog.identity()
        return ServerEngine(
            client, alias=settings.collection, owner=owner, quantization=settings.quantization
        )

    def new_manifest(self, domains: Sequence[str]) -> Manifest:
        """The manifest of an index made now."""
        from ragwright.ingest.catalog_values import Manifest
        from ragwright.retrieval.payload import SCHEMA_VERSION

        return Manifest(
            schema=SCHEMA_VERSION,
            model=self.config.encoder.model,
            fingerprint=self.encoder.fingerprint,
            dimension=self.encoder.dimension,
            language=self.profile.language,
            chunkers={domain: self.chunker(domain).fingerprint for domain in domains},
        )

    def check_manifest(self, version: str, manifest: Manifest) -> None:
        """Refuse an index that this program or the configured model did not make.

        Raises:
            IndexDamaged: With both names and the command that mends it.
            ModelError: The configured model cannot be opened.
        """
        from ragwright.app.index_fit import ConfiguredModel, check_layout, check_model

        check_layout(version, manifest)
        encoder, name = self.encoder, self.config.encoder.model
        model = ConfiguredModel(name, encoder.fingerprint, encoder.dimension, self.is_int8)
        check_model(version, manifest, model)

    def is_int8(self, fingerprint: str) -> bool:
        """Whether this is the name of an int8 model that is accepted here, or was."""
        from ragwright.retrieval.quantised import is_int8

        return is_int8(fingerprint, self.compute.cache)

    def target(self, version: str, index: ChunkIndex) -> Target:
        """Where an ingest writes."""
        from ragwright.ingest.writer import Target

        free = self.config.ingest.free_megabytes * 1_000_000
        return Target(self.catalog, index, self.encoder, version, self.folder, free)

    def ingest_settings(
        self, *, retry_failed: bool = False, access: Access | None = None, defer_graph: bool = False
    ) -> IngestSettings:
        """The settings of an ingest run; `access` None: the configured one."""
        from ragwright.ingest.pipeline import IngestSettings
        from ragwright.ingest.sandbox import ParseLimits

        settings = self.config.ingest
        limits = ParseLimits(
            memory_megabytes=settings.parse_memory_megabytes,
            cpu_seconds=settings.parse_cpu_seconds,
            wall_seconds=settings.parse_wall_seconds,
            file_bytes=settings.file_megabytes * 1_000_000,
        )
        return IngestSettings(
            domain=self.config.domain,
            jobs=settings.jobs or os.cpu_count() or 1,
            limits=limits,
            prune=settings.prune,
            retry_failed=retry_failed,
            access=access or settings.access,
            defer_graph=defer_graph,
        )

    def search_options(self) -> SearchOptions:
        """The `[search]` section as the retriever takes it."""
        from ragwright.retrieval.search import SearchOptions

        return SearchOptions(**self.config.search.model_dump())

    @property
    def retriever(self) -> HybridRetriever:
        """The retriever over the index version that answers now, for who may see everything.

        `HybridRetriever.within` gives the one for a caller.
        """
        version, manifest = self.live()
        index = self.open_index(version, manifest)
        if (found := self._retriever) is None or found[0] is not index:
            with self.lock:
                if (found := self._retriever) is None or found[0] is not index:
                    found = self._retriever = index, self._make_retriever(version, manifest, index)
        return found[1]

    def _make_retriever(self, version: str, manifest: Manifest, index: ChunkIndex) -> HybridRetriever:
        from ragwright.app.glossaries import expander
        from ragwright.core.types import OWNER
        from ragwright.retrieval.search import HybridRetriever
        from ragwright.retrieval.terms import Terms

        return HybridRetriever(
            self.encoder,
            index,
            Terms(manifest.language),
            scope=OWNER,
            options=self.search_options(),
            expand=expander(manifest.chunkers),
            hidden=lambda: set(self.catalog.strays(version)),
            reranker=self.reranker,
        )

    @part
    def generators(self) -> Generators:
        """What can write answers; a language model is opened with it."""
        from ragwright.app.generators import make_generators

        generators = make_generators(self.config, self.catalog)
        for model in generators.models.values():
            self._open.callback(model.close)
        return generators

    @property
    def generator(self) -> Generator:
        """What writes answers, as configured."""
        return self.generators.configured
