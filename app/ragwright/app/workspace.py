"""The one place that builds objects from configuration; what it builds is given values, not settings."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ragwright.app.parts import part
from ragwright.core.errors import InputError, RagwrightError

if TYPE_CHECKING:
    from ragwright.app.generators import Generators
    from ragwright.app.index_engines import IndexEngine
    from ragwright.app.index_versions import IndexVersions
    from ragwright.app.rerankers import Rerankers
    from ragwright.app.retrievers import Retrievers
    from ragwright.app.version_models import Models, Parts, VersionModels
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

    def __init__(
        self,
        config: Config,
        *,
        project: Path | None = None,
        registry: Models | None = None,
        parts: Parts | None = None,
    ) -> None:
        """Nothing is built yet.

        Args:
            config: Every setting.
            project: Folder that sources are relative to; None: the one that holds the workspace.
            registry: Models of another workspace, to be shared; None: its own.
            parts: Tuned models of the registry that answer here, whatever was promoted; None: those that
                were.
        """
        self.config = config
        self.folder = Path(os.path.abspath(config.workspace))  # noqa: PTH100 - resolve() would follow links
        self.project = project or self.folder.parent
        self.patient = False
        """Whether what encodes passages lets queries in between."""
        self.writes = threading.RLock()
        """Held by whichever thread changes documents, or what answers."""
        self._open = ExitStack()
        self.lock = threading.RLock()  # held while a part is built
        self._given_registry, self._parts = registry, parts
        self._pinned: tuple[str, Manifest] | None = None
        self._models: VersionModels | None = None

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
    def registry(self) -> Models:
        """The models of every version."""
        from ragwright.app.version_models import Models

        return self._given_registry or Models(self.config, self.compute, tuned=self.folder / "tuned")

    @property
    def models(self) -> VersionModels:
        """Those of the version that answers now; of a workspace that holds nothing, those that will."""
        parts = self._parts
        if parts is None:
            live = self.existing_live()
            parts = live[1].parts if live else {}
        found = self._models
        if found is None or found.parts != parts:
            found = self._models = self.registry.of(parts)
        return found

    @property
    def encoder(self) -> TransformerEncoder:
        """What the version that answers now was made with; its weights are loaded when they are needed."""
        return self.models.encoder

    def reranker(self, method: ModelReranking) -> Reranker:
        """What reranks by a method; see `Rerankers.open`."""
        return self.rerankers.open(method)

    @property
    def rerankers(self) -> Rerankers:
        """What reranks, each opened when it is first asked for."""
        return self.models.rerankers

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

    @property
    def tokenizer(self) -> ModelTokenizer:
        """The encoder's tokenizer, without loading the encoder's weights."""
        return self.models.tokenizer

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
        if self._pinned is not None:
            return self._pinned
        return self.catalog.live_version() if self.exists() else None

    def at(self, version: str, manifest: Manifest) -> Self:
        """This workspace as if that version answered; it shares all that is open, and is not closed itself.

        Args:
            version: An index version.
            manifest: Its own, or that with other parts.
        """
        view = self.made_with(manifest.parts)
        view._pinned = version, manifest
        return view

    def made_with(self, parts: Parts) -> Self:
        """This workspace as if these tuned models answered: new indexes are made with them; see `at`."""
        view = self._view()
        view._parts, view._models = parts, None
        return view

    def patiently(self) -> Self:
        """This workspace, but what encodes passages lets queries in between; see `at`."""
        view = self._view()
        view.patient = True
        return view

    def _view(self) -> Self:
        _ = self.catalog, self.indexes, self.registry, self.retrievers  # so that they are the same
        return copy.copy(self)

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
            model=self.models.encoder_name,
            fingerprint=self.encoder.fingerprint,
            dimension=self.encoder.dimension,
            language=self.profile.language,
            chunkers={domain: self.chunker(domain).fingerprint for domain in domains},
            parts=self.models.parts,
        )

    def check_manifest(self, version: str, manifest: Manifest) -> None:
        """Refuse an index that this program, or the model that was promoted or is configured, did not make.

        Raises:
            IndexDamaged: With both names and the command that mends it.
            ModelError: The model cannot be opened.
        """
        from ragwright.app.index_fit import check_layout, check_model

        check_layout(version, manifest)
        check_model(version, manifest, self.registry.of(manifest.parts), is_int8=self.is_int8)

    def is_int8(self, fingerprint: str) -> bool:
        """Whether this is the name of an int8 model that is accepted here, or was."""
        from ragwright.retrieval.quantised import is_int8

        return is_int8(fingerprint, self.compute.cache)

    def target(self, version: str, index: ChunkIndex) -> Target:
        """Where an ingest writes."""
        from ragwright.app.live_index import PatientEncoder
        from ragwright.ingest.writer import Target

        free = self.config.ingest.free_megabytes * 1_000_000
        encoder = PatientEncoder(self.encoder) if self.patient else self.encoder
        return Target(self.catalog, index, encoder, version, self.folder, free)

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
        """The `[search]` section as the retriever takes it, with what was promoted in use."""
        return self.models.search_options()

    @property
    def retriever(self) -> HybridRetriever:
        """The retriever over the index version that answers now, for who may see everything.

        `HybridRetriever.within` gives the one for a caller. Where another version may be promoted meanwhile,
        ask by `asked`.
        """
        version, manifest = self.live()
        return self.retrievers.of(version, manifest, self.open_index(version, manifest))

    @part
    def retrievers(self) -> Retrievers:
        """The retrievers over every version."""
        from ragwright.app.retrievers import Retrievers

        return Retrievers(self.catalog, self.registry)

    @contextmanager
    def asked(self) -> Iterator[HybridRetriever | None]:
        """The retriever over the version that answers now, whose index stays open until the block ends.

        It is None where nothing has been ingested.

        Raises:
            IndexDamaged, ModelError: See `open_index`.
        """
        with self.in_use() as found:
            yield None if found is None else self.retrievers.of(*found)

    @contextmanager
    def in_use(self) -> Iterator[tuple[str, Manifest, ChunkIndex] | None]:
        """The version that answers now, its index open until the block ends; None where there is none.

        Raises:
            IndexDamaged, ModelError: See `open_index`.
        """
        with ExitStack() as held:
            yield self._held(held)

    def _held(self, held: ExitStack) -> tuple[str, Manifest, ChunkIndex] | None:
        while (live := self.existing_live()) is not None:
            try:
                self.open_index(*live)
                return *live, held.enter_context(self.indexes.held(*live))
            except RagwrightError:
                if self.existing_live() == live:  # else it was dropped after another one had taken over
                    raise
        return None

    def prepare(self, version: str, manifest: Manifest) -> None:
        """Load what a version needs that is to answer soon; once it does, no query waits for it.

        Raises:
            IndexDamaged, ModelError: See `open_index`.
        """
        retriever = self.retrievers.of(version, manifest, self.open_index(version, manifest))
        retriever.find("warm up")

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
