"""Making index versions of the stored texts: a new one beside the one that answers, or a former one anew.

Nothing is parsed, and the version that answers goes on answering. Documents may be brought in or removed
meanwhile; whoever switches to a version brings it up to date a last time while nobody writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ragwright.app.version_models import EMBEDDER
from ragwright.core.errors import IndexDamaged, WorkspaceBusy
from ragwright.core.lock import workspace_lock

if TYPE_CHECKING:
    from ragwright.app.version_models import Parts
    from ragwright.app.workspace import Workspace
    from ragwright.core.protocols import ChunkIndex
    from ragwright.ingest.catalog_values import Manifest, Switch
    from ragwright.ingest.report import IngestReport
    from ragwright.ingest.writer import Observer

FIRST_VERSION = "v1"


_WAITS_SECONDS = 5.0  # for who only deletes something


@contextmanager
def one_at_a_time(
    workspace: Workspace, *, purpose: str, wait_seconds: float = _WAITS_SECONDS
) -> Iterator[None]:
    """Be the only one who makes index versions; documents may be brought in and removed meanwhile.

    Args:
        workspace: Where they lie.
        purpose: What for; told to whoever comes meanwhile.
        wait_seconds: How long to wait for another one.

    Raises:
        WorkspaceBusy: Another process, or another thread, makes one.
    """
    with workspace_lock(workspace.registry.tuned, purpose=purpose, wait_seconds=wait_seconds):
        yield


def build_beside(
    workspace: Workspace, parts: Parts, observer: Observer
) -> tuple[str, Manifest, IngestReport]:
    """Make an index version with these tuned models; what is stored is cut and encoded anew.

    A build that is stopped leaves a version that answers nobody, until `drop_others` removes it.

    Args:
        workspace: Holds documents.
        parts: Tuned models by the part that they play.
        observer: Told what happens.

    Returns:
        Its name, its manifest, and the report.

    Raises:
        InputError: Nothing has been ingested, or the disk has too little room.
        ModelError: A model cannot be opened.
    """
    version, manifest = begin_version(workspace, parts)
    manifest, report = bring_up_to_date(workspace, version, manifest, observer)
    return version, manifest, report


def begin_version(workspace: Workspace, parts: Parts) -> tuple[str, Manifest]:
    """Make an index version with these tuned models that holds nothing yet; nobody else may write meanwhile.

    Raises:
        InputError: Nothing has been ingested.
        ModelError: A model cannot be opened.
    """
    _, former = workspace.live()
    manifest = workspace.made_with(parts).new_manifest(list(former.chunkers))
    version = _next_version(workspace)
    workspace.indexes.create(version, manifest)
    workspace.catalog.save_version(version, manifest, live=False)
    return version, manifest


def bring_up_to_date(
    workspace: Workspace,
    version: str,
    manifest: Manifest,
    observer: Observer,
    *,
    defer_graph: bool = False,
) -> tuple[Manifest, IngestReport]:
    """Carry over whatever was ingested, changed or removed since a version was written to.

    Args:
        workspace: Where it lies.
        version: One that answers nobody now.
        manifest: Its own; it was made by the present settings, see `is_usable`.
        observer: Told what happens.
        defer_graph: Whether the next ingest may build the index's graph, which takes long.

    Returns:
        Its manifest, with the domains of documents that came since, and the report.
    """
    from ragwright.ingest.carry import carry_over

    view = workspace.at(version, manifest)
    new = [domain for domain in workspace.live()[1].chunkers if domain not in manifest.chunkers]
    if new:
        cut = {domain: view.chunker(domain).fingerprint for domain in new}
        manifest = replace(manifest, chunkers={**manifest.chunkers, **cut})
        workspace.catalog.save_version(version, manifest, live=False)
    index = workspace.indexes.open(version, manifest, incomplete=True)
    report = carry_over(
        view.target(version, index), chunker_for=view.chunker, observer=observer, defer_graph=defer_graph
    )
    workspace.indexes.release(version)  # opened anew, the engine no longer counts deleted chunks' words
    return manifest, report


def is_usable(workspace: Workspace, version: str, manifest: Manifest) -> bool:
    """Whether a version was made as the present settings and these tuned models would make it, and is whole.

    Raises:
        ModelError: A model cannot be opened.
    """
    view = workspace.at(version, manifest)
    try:
        view.open_index(version, manifest)
    except IndexDamaged:
        return False
    return all(view.chunker(domain).fingerprint == then for domain, then in manifest.chunkers.items())


def drop_others(workspace: Workspace, *, spare: str | None = None) -> None:
    """Delete every version but the one that answers, the one that a rollback needs, and a spared one."""
    live, manifest = workspace.live()
    kept = {live, former_version(workspace, manifest), spare}
    for version in workspace.catalog.versions():
        if version not in kept:
            workspace.indexes.drop(version)


def delete_strays_elsewhere(workspace: Workspace) -> None:
    """Delete what belongs to no document any more from the versions that do not answer.

    While one of them is made or brought up to date, this is left to whoever does so.
    """
    live, _ = workspace.live()
    strays = {each: workspace.catalog.strays(each) for each in workspace.catalog.versions() if each != live}
    if not any(strays.values()):
        return
    with suppress(WorkspaceBusy), one_at_a_time(workspace, purpose="a deletion", wait_seconds=0.0):
        manifests = workspace.catalog.manifests()
        for version in manifests.keys() & strays.keys():
            index = workspace.indexes.open(version, manifests[version], incomplete=True)
            delete_strays(workspace, version, index)
            workspace.indexes.release(version)


def delete_strays(workspace: Workspace, version: str, index: ChunkIndex) -> int:
    """Delete what belongs to no document from a version, and give up its space where that is quick.

    Returns:
        How many chunks were deleted.
    """
    catalog = workspace.catalog
    strays = catalog.strays(version)
    if strays:
        catalog.set_settled(version, settled=False)
        index.delete(strays)
        catalog.drop_strays(version, strays)
        catalog.empty_log()
    if not catalog.is_settled(version) and not index.graph_is_due():
        index.optimize()
        catalog.set_settled(version, settled=True)
    return len(strays)


def former_version(workspace: Workspace, manifest: Manifest) -> str | None:
    """The version whose index a rollback needs, if it is there.

    Args:
        workspace: Where it lies.
        manifest: Of the version that answers.
    """
    embedder = manifest.parts.get(EMBEDDER)
    for switch in reversed(in_force(workspace.catalog.switches())):
        wanted = switch.former.get(EMBEDDER)
        if wanted != embedder:
            made = workspace.catalog.manifests()
            fitting = [name for name, each in made.items() if each.parts.get(EMBEDDER) == wanted]
            return fitting[0] if fitting else None
    return None


def in_force(switches: list[Switch]) -> list[Switch]:
    """The promotions that were not taken back, the oldest first."""
    left: list[Switch] = []
    for switch in switches:
        if switch.action == "promote":
            left.append(switch)
        elif left:
            left.pop()
    return left


def _next_version(workspace: Workspace) -> str:
    """A name that no version has had that is still there."""
    numbers = [int(version.removeprefix("v")) for version in workspace.catalog.versions()]
    return f"v{max(numbers, default=0) + 1}"
