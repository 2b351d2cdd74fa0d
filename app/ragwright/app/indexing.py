"""Bringing an index up to date: which files, into which version, cut by which settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.app.index_building import (
    FIRST_VERSION,
    build_beside,
    delete_strays_elsewhere,
    drop_others,
    one_at_a_time,
)
from ragwright.app.workspace import Workspace
from ragwright.core.errors import IndexDamaged

if TYPE_CHECKING:
    from ragwright.core.protocols import ChunkIndex
    from ragwright.core.types import Access, Document
    from ragwright.eval.values import SourceText
    from ragwright.ingest.catalog_values import Manifest
    from ragwright.ingest.discover import Discovery
    from ragwright.ingest.report import IngestReport
    from ragwright.ingest.writer import Observer


def discover_paths(workspace: Workspace, paths: Sequence[Path]) -> Discovery:
    """The files under paths.

    Raises:
        InputError: A path does not exist, or is a URL.
    """
    from ragwright.ingest.discover import discover

    settings = workspace.config.ingest
    return discover(
        paths,
        project=workspace.project,
        exclude=settings.exclude,
        include_hidden=settings.include_hidden,
        workspace=workspace.folder,
    )


def discover_failed(workspace: Workspace) -> Discovery:
    """The files of the configured tenant that failed before."""
    from ragwright.ingest.discover import Discovery, SourceFile, path_of

    failed = workspace.catalog.failures(workspace.config.ingest.tenant)
    return Discovery(tuple(SourceFile(path_of(source, workspace.project), source) for source in failed))


def check_ingest(workspace: Workspace, *, rebuild: bool = False) -> None:
    """Refuse what an ingest would refuse before it reads a file; no index is opened, and nothing written.

    Args:
        workspace: Where to; it need not exist.
        rebuild: Whether the index is made anew first, so that it fits whatever the settings are.

    Raises:
        IndexDamaged: See `ingest_files`.
        ModelError: The configured model cannot be opened.
    """
    live = workspace.existing_live()
    if live is None or rebuild:
        former = live[1].chunkers if live else ()
        workspace.new_manifest([*former, workspace.config.domain])
    else:
        _fitted(workspace, *live)


def ingest_files(
    workspace: Workspace,
    discovery: Discovery,
    observer: Observer,
    *,
    retry_failed: bool = False,
    access: Access | None = None,
    defer_graph: bool = False,
) -> IngestReport:
    """Bring the live index up to date with files; see `ragwright.ingest.pipeline.ingest`.

    Args:
        workspace: Made when absent.
        discovery: The files.
        observer: Told what happens.
        retry_failed: See `IngestSettings`.
        access: Who may see them; None: those whom the settings name.
        defer_graph: See `IngestSettings`.

    Raises:
        IndexDamaged: The index is broken, or was made by another model or layout, or by other chunk settings
            of this domain.
    """
    from ragwright.ingest.pipeline import ingest

    version, index = index_for(workspace)
    report = ingest(
        discovery,
        workspace.target(version, index),
        chunker=workspace.chunker(workspace.config.domain),
        settings=workspace.ingest_settings(retry_failed=retry_failed, access=access, defer_graph=defer_graph),
        observer=observer,
    )
    workspace.indexes.release(version)  # opened anew, the engine no longer counts deleted chunks' words
    delete_strays_elsewhere(workspace)
    return report


def index_texts(workspace: Workspace, texts: Sequence[SourceText], observer: Observer) -> IngestReport:
    """Bring a data set's documents into a workspace as they are; see `ragwright.ingest.texts`."""
    from ragwright.ingest.texts import as_document

    made = (as_document(t.source, t.text, title=t.title, metadata=t.metadata) for t in texts)
    return index_documents(workspace, made, total=len(texts), observer=observer)


def index_documents(
    workspace: Workspace, documents: Iterable[Document], *, total: int, observer: Observer
) -> IngestReport:
    """Bring documents that need no parsing into a workspace, or up to date; see `ragwright.ingest.texts`.

    Raises:
        IndexDamaged, InputError: As `ingest_files`.
    """
    from ragwright.ingest.texts import ingest_texts

    version, index = index_for(workspace)
    domain = workspace.config.domain
    report = ingest_texts(
        documents,
        workspace.target(version, index),
        total=total,
        chunker=workspace.chunker(domain),
        domain=domain,
        observer=observer,
    )
    workspace.indexes.release(version)
    delete_strays_elsewhere(workspace)
    return report


def rebuild_index(workspace: Workspace, observer: Observer) -> IngestReport:
    """Build a new index version beside the live one, switch to it, and delete the old one.

    What was promoted stays so, and so does the version that a rollback leads to.

    Raises:
        InputError: Nothing has been ingested.
        WorkspaceBusy: A promotion runs.
    """
    with one_at_a_time(workspace, purpose="ragwright ingest --rebuild"):
        former, manifest = workspace.live()
        drop_others(workspace)  # left by a run that was stopped
        version, manifest, report = build_beside(workspace, manifest.parts, observer)
        workspace.indexes.make_live(version, manifest)
        workspace.indexes.drop(former)
    return report


def index_for(workspace: Workspace) -> tuple[str, ChunkIndex]:
    """The live index, ready for documents of the configured domain; made when there is none."""
    live = workspace.existing_live()
    if live is None:
        manifest = workspace.new_manifest([workspace.config.domain])
        index = workspace.indexes.create(FIRST_VERSION, manifest)
        workspace.indexes.make_live(FIRST_VERSION, manifest)
        return FIRST_VERSION, index
    version, manifest = live
    extended = _fitted(workspace, version, manifest)
    index = workspace.open_index(version, manifest)
    if extended is not manifest:
        workspace.catalog.save_version(version, extended, live=True)
    return version, index


def _fitted(workspace: Workspace, version: str, manifest: Manifest) -> Manifest:
    """The manifest with the chunker settings of the configured domain.

    Raises:
        IndexDamaged: The index was made by another model or layout, or holds documents of this domain that
            were cut by other settings.
    """
    workspace.check_manifest(version, manifest)
    domain = workspace.config.domain
    now, then = workspace.chunker(domain).fingerprint, manifest.chunkers.get(domain)
    if then == now:
        return manifest
    if then is not None:
        raise IndexDamaged(
            f"index {version} holds {domain} documents cut by other chunk settings ({then}) than the "
            f"present ones ({now}); set them back, or run: ragwright ingest --rebuild"
        )
    return replace(manifest, chunkers={**manifest.chunkers, domain: now})
