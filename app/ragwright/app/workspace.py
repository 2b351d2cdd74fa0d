"""The one place that builds objects from configuration."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragwright.core.errors import IndexDamaged, InputError

if TYPE_CHECKING:
    from ragwright.core.config import Config
    from ragwright.core.profile import Profile
    from ragwright.core.protocols import Chunker, ChunkIndex, Generator, Reranker
    from ragwright.ingest.catalog import Catalog
    from ragwright.ingest.catalog_values import Manifest
    from ragwright.ingest.pipeline import IngestSettings
    from ragwright.ingest.writer import Target
    from ragwright.retrieval.cross_encoder import CrossEncoder
    from ragwright.retrieval.encoder import TransformerEncoder
    from ragwright.retrieval.forward import Compute
    from ragwright.retrieval.late_interaction import LateInteraction
    from ragwright.retrieval.search import HybridRetriever, ModelReranking, SearchOptions
    from ragwright.retrieval.tokens import ModelTokenizer


class Workspace:
    """One workspace folder and what lives in it; each part is built when it is first asked for."""

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
        self._indexes: dict[str, ChunkIndex] = {}  # open ones, by version
        self._retrievers: dict[str, HybridRetriever] = {}
        self._rerankers: dict[str, Reranker] = {}  # opened ones, by method
        self._rerankers_lock = threading.Lock()

    def close(self) -> None:
        """Release everything that was opened, in reverse order."""
        self._open.close()

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog, made when absent."""
        from ragwright.ingest.catalog import Catalog

        url = self.config.catalog.url
        catalog = Catalog(url) if url else Catalog.in_folder(self.folder)
        self._open.callback(catalog.close)
        return catalog

    @cached_property
    def encoder(self) -> TransformerEncoder:
        """The encoder; its weights are loaded when something is first encoded."""
        from ragwright.retrieval.encoder import load_encoder

        settings = self.config.encoder
        return load_encoder(settings.model, self.compute, dimension=settings.dimension)

    def reranker(self, method: ModelReranking) -> Reranker:
        """What reranks by a method, opened when it is first asked for. Concurrent calls are joined.

        Raises:
            InputError: A cross-encoder is asked for and none is set.
            ModelError: The model is not there, or is none for this method.
        """
        with self._rerankers_lock:
            if method not in self._rerankers:
                from ragwright.retrieval.coalesce import JoinedReranker

                opened = self._cross_encoder() if method == "cross" else self._late_interaction()
                self._rerankers[method] = JoinedReranker(opened)
            return self._rerankers[method]

    def _cross_encoder(self) -> CrossEncoder:
        from ragwright.retrieval.cross_encoder import load_cross_encoder

        if self.config.reranker.model is None:
            raise InputError(
                "search.rerank is cross, and reranker.model is not set; set it to a CrossEncoder folder "
                "or the id of a downloaded one, or search.rerank to late or evidence"
            )
        return load_cross_encoder(self.config.reranker.model, self.compute)

    def _late_interaction(self) -> LateInteraction:
        from ragwright.retrieval.late_interaction import LateInteraction
        from ragwright.retrieval.memory import Once
        from ragwright.retrieval.multi_vector import open_token_model

        settings, encoder = self.config.reranker, self.config.encoder
        # where cross is configured, the one model is a cross-encoder, and a single search may ask for late
        if settings.model is None or self.config.search.rerank == "cross":
            rules = open_token_model(encoder.model, dimension=encoder.dimension)
        else:
            rules = open_token_model(settings.model)
        own = rules.model.fingerprint == self.encoder.fingerprint
        forward = (lambda: self.encoder.forward) if own else Once(self.compute.loader(rules.model))
        return LateInteraction(rules, forward, cache_megabytes=settings.cache_megabytes)

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

    @cached_property
    def tokenizer(self) -> ModelTokenizer:
        """The encoder's tokenizer, without loading the encoder's weights."""
        from ragwright.retrieval.model import open_model
        from ragwright.retrieval.tokens import ModelTokenizer

        return ModelTokenizer(open_model(self.config.encoder.model))

    @cached_property
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
        """An index version, opened if it is not; one that has lost chunks only when `incomplete` allows it.

        Raises:
            IndexDamaged: It is gone or broken, holds less than the catalog says, or was made by another
                layout or model.
        """
        from ragwright.retrieval.terms import Terms

        if version in self._indexes:
            return self._indexes[version]
        self.check_manifest(version, manifest)
        terms, quantization = Terms(manifest.language), self.config.index.quantization
        index: ChunkIndex
        if self.config.index.url:
            from ragwright.retrieval.server import ServerIndex

            index = ServerIndex.open(
                self._client, self._collection(version), terms=terms, quantization=quantization
            )
        else:
            from ragwright.retrieval.edge import EdgeIndex

            index = EdgeIndex.open(self.shard(version), terms=terms, quantization=quantization)
        self._keep(version, index)
        if not incomplete:
            self._check_complete(version, index)
        return index

    def _check_complete(self, version: str, index: ChunkIndex) -> None:
        """Refuse an index that lacks chunks: the engine opens a folder that lost files as an empty one."""
        before, stored = self.catalog.counts(version).chunks, index.count()
        # Counted again, since beside a server another process may write between the two counts.
        known = min(before, self.catalog.counts(version).chunks)
        if stored < known:
            self.release(version)
            raise IndexDamaged(
                f"index {version} holds {stored} of its {known} chunks; run: ragwright ingest --rebuild"
            )

    def create_index(self, version: str, manifest: Manifest) -> ChunkIndex:
        """Make an empty index version, in place of whatever a stopped run left under its name."""
        from ragwright.retrieval.terms import Terms

        self.drop_index(version)
        terms, quantization = Terms(manifest.language), self.config.index.quantization
        index: ChunkIndex
        if self.config.index.url:
            from ragwright.retrieval.server import ServerIndex

            index = ServerIndex.create(
                self._client,
                self._collection(version),
                dimension=manifest.dimension,
                terms=terms,
                quantization=quantization,
            )
        else:
            from ragwright.retrieval.edge import EdgeIndex

            index = EdgeIndex.create(
                self.shard(version), dimension=manifest.dimension, terms=terms, quantization=quantization
            )
        self._keep(version, index)
        return index

    def release(self, version: str) -> None:
        """Close an index version, if it is open; whoever needs it next opens it again."""
        self._retrievers.pop(version, None)
        if version in self._indexes:
            self._indexes.pop(version).close()

    def _keep(self, version: str, index: ChunkIndex) -> None:
        self._indexes[version] = index
        self._open.callback(self.release, version)

    def make_live(self, version: str, manifest: Manifest) -> None:
        """Let an index version answer from now on."""
        if self.config.index.url:
            from ragwright.retrieval.server import point_alias

            point_alias(self._client, self.config.index.collection, self._collection(version))
        self.catalog.save_version(version, manifest, live=True)

    def drop_index(self, version: str) -> None:
        """Delete an index version's data and its ledger; one that is not there is no error."""
        self.release(version)
        if self.config.index.url:
            from ragwright.retrieval.server import drop_collection

            drop_collection(self._client, self._collection(version))
        else:
            from ragwright.retrieval.edge import checksums_path

            shutil.rmtree(self.shard(version), ignore_errors=True)
            checksums_path(self.shard(version)).unlink(missing_ok=True)
        self.catalog.drop_version(version)

    def shard(self, version: str) -> Path:
        """Folder of an embedded index version."""
        return self.folder / "indexes" / version

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
        """
        from ragwright.retrieval.payload import SCHEMA_VERSION

        if manifest.schema != SCHEMA_VERSION:
            raise IndexDamaged(
                f"index {version} has layout {manifest.schema} and this version of ragwright reads "
                f"{SCHEMA_VERSION}; run: ragwright ingest --rebuild"
            )
        if manifest.fingerprint != self.encoder.fingerprint:
            both = manifest.dimension, self.encoder.dimension
            then, now = both if both[0] != both[1] else (None, None)
            made = self._named(manifest.model, manifest.fingerprint, then)
            configured = self._named(self.config.encoder.model, self.encoder.fingerprint, now)
            raise IndexDamaged(
                f"index {version} was made with {made}, and the configured model is {configured}; "
                "set encoder.model, encoder.precision and encoder.dimension back, "
                "or run: ragwright ingest --rebuild"
            )

    def _named(self, model: str, fingerprint: str, dimension: int | None) -> str:
        """A model as messages name it; the dimension where it is told."""
        facts = [fingerprint, *(["int8"] if self.is_int8(fingerprint) else [])]
        if dimension is not None:
            facts.append(f"{dimension} dimensions")
        return f"{model} ({', '.join(facts)})"

    def is_int8(self, fingerprint: str) -> bool:
        """Whether this is the name of an int8 model that is accepted here, or was."""
        from ragwright.retrieval.quantised import is_int8

        return is_int8(fingerprint, self.compute.cache)

    def target(self, version: str, index: ChunkIndex) -> Target:
        """Where an ingest writes."""
        from ragwright.ingest.writer import Target

        free = self.config.ingest.free_megabytes * 1_000_000
        return Target(self.catalog, index, self.encoder, version, self.folder, free)

    def ingest_settings(self, *, retry_failed: bool = False) -> IngestSettings:
        """The settings of an ingest run."""
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
        )

    def search_options(self) -> SearchOptions:
        """The `[search]` section as the retriever takes it."""
        from ragwright.retrieval.search import SearchOptions

        return SearchOptions(**self.config.search.model_dump())

    @property
    def retriever(self) -> HybridRetriever:
        """The retriever over the index version that answers now."""
        version, manifest = self.live()
        if version not in self._retrievers:
            self._retrievers[version] = self._make_retriever(version, manifest)
        return self._retrievers[version]

    def _make_retriever(self, version: str, manifest: Manifest) -> HybridRetriever:
        from ragwright.core.profile import load_profile
        from ragwright.retrieval.search import HybridRetriever
        from ragwright.retrieval.terms import Terms

        return HybridRetriever(
            self.encoder,
            self.open_index(version, manifest),
            Terms(manifest.language),
            options=self.search_options(),
            expand=_expander([load_profile(domain) for domain in manifest.chunkers if _is_there(domain)]),
            hidden=lambda: set(self.catalog.strays(version)),
            reranker=self.reranker,
        )

    @cached_property
    def generator(self) -> Generator:
        """What writes answers."""
        from ragwright.generation.extractive import ExtractiveGenerator

        settings = self.config.answer
        return ExtractiveGenerator(
            self.catalog, spans=settings.spans, support=settings.support, nearest=settings.nearest
        )

    @cached_property
    def _client(self) -> Any:
        from ragwright.retrieval.server import connect

        settings = self.config.index
        key = settings.api_key.get_secret_value() if settings.api_key else None
        client = connect(settings.url or "", api_key=key, timeout_seconds=settings.timeout_seconds)
        self._open.callback(client.close)
        return client

    def _collection(self, version: str) -> str:
        """Name of a version's collection: it names the catalog too, since workspaces may share a server."""
        return f"{self.config.index.collection}-{self.catalog.identity()}-{version}"


def _is_there(domain: str) -> bool:
    """Whether a profile can be read: its file may have moved, and a search can do without it."""
    return not domain.endswith(".toml") or Path(domain).is_file()


def _expander(profiles: Sequence[Profile]) -> Callable[[str], Sequence[str]]:
    """Synonyms of a query's terms from the glossaries of every domain in the index."""

    def expand(query: str) -> Sequence[str]:
        return tuple(dict.fromkeys(word for profile in profiles for word in profile.expansions(query)))

    return expand
