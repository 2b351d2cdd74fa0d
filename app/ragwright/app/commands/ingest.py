"""`ragwright ingest`: bring the index up to date with files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.access import writing
from ragwright.app.console import Console, escape_control
from ragwright.app.ingest_report import IngestRequest, tell_failures, tell_report, tell_unsupported
from ragwright.app.progress import Progress
from ragwright.app.session import Options, Session, open_session
from ragwright.app.workspace import Workspace
from ragwright.core.errors import IndexDamaged, InputError

if TYPE_CHECKING:
    from ragwright.core.protocols import ChunkIndex
    from ragwright.ingest.catalog_values import Manifest
    from ragwright.ingest.discover import Discovery
    from ragwright.ingest.report import IngestReport

_FIRST_VERSION = "v1"


def ingest(
    options: Options,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH]...", help="Files and folders.", show_default=False)
    ] = None,
    *,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="DOMAIN", help="Domain profile: a name or a TOML file.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try files again that failed and have not changed.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the index anew from the stored texts, then switch to it.")
    ] = False,
    prune: Annotated[
        bool | None, typer.Option("--prune/--no-prune", help="Forget documents whose files are gone.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="COUNT", help="Files parsed at once; 0 means one per core."),
    ] = None,
) -> int:
    """Read files and index what they say.

    Unchanged files are skipped, changed ones replaced, and documents whose files are gone from the given
    folders are forgotten. A file that cannot be read is listed with the reason and harms no other. A run that
    was stopped goes on where it was when it is started again.
    """
    session = open_session(options, flags={"domain": domain, "ingest.prune": prune, "ingest.jobs": jobs})
    if not paths and not retry_failed and not rebuild:
        raise InputError("nothing to ingest; name files or folders, or give --retry-failed or --rebuild")
    request = IngestRequest(_checked(paths or []), retry_failed=retry_failed, rebuild=rebuild)
    if dry_run:
        return _tell_plan(session, request)
    try:
        report, rebuilt = _run(session, request)
    except KeyboardInterrupt:
        session.console.note("stopped; what is indexed stays, and the same command goes on from there")
        raise
    tell_report(report, rebuilt, request, session.console)
    return 1 if report.failures else 0


def _checked(paths: Sequence[str]) -> tuple[Path, ...]:
    """The paths as typed.

    Raises:
        InputError: One is empty or a URL, which a path would not show as it was typed.
    """
    for path in paths:
        if not path:
            raise InputError('a path is empty; name a file or a folder, such as "."')
        if "://" in path and not Path(path).exists():
            raise InputError(f"{path} is a URL; only files and folders can be ingested, so download it first")
    return tuple(Path(path) for path in paths)


def _run(session: Session, request: IngestRequest) -> tuple[IngestReport, IngestReport | None]:
    """The report of the ingest, and that of the rebuild before it, if one was asked for."""
    from ragwright.ingest.report import IngestReport

    config, rebuilt, report = session.config, None, IngestReport()
    # Before a workspace is made, so that a path that is not there leaves none behind.
    found = _discover(Workspace(config), request) if request.paths else None
    with writing(config, purpose="ragwright ingest", make=bool(request.paths)) as workspace:
        discovery = found or _discover(workspace, request)
        with Progress(session.console, sizes=_sizes(discovery)) as progress:
            if request.rebuild:
                rebuilt = _rebuild(workspace, session.console)
            if request.names_files:
                report = _ingest(workspace, discovery, progress, retry_failed=request.retry_failed)
    return report, rebuilt


def _sizes(discovery: Discovery) -> dict[str, int]:
    """Bytes of every file; 0 for one that is gone."""
    return {file.source: _size(file.path) for file in discovery.files}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _discover(workspace: Workspace, request: IngestRequest) -> Discovery:
    """The files under the paths; without paths those that failed before, if they are to be tried again."""
    from ragwright.ingest.discover import Discovery, SourceFile, discover, path_of

    if not request.names_files:
        return Discovery(())
    if not request.paths:
        failed = workspace.catalog.failures()
        files = tuple(SourceFile(path_of(source, workspace.project), source) for source in failed)
        return Discovery(files)
    settings = workspace.config.ingest
    return discover(
        request.paths,
        project=workspace.project,
        exclude=settings.exclude,
        include_hidden=settings.include_hidden,
        workspace=workspace.folder,
    )


def _ingest(
    workspace: Workspace, discovery: Discovery, progress: Progress, *, retry_failed: bool
) -> IngestReport:
    from ragwright.ingest.pipeline import ingest

    version, index = _index_for(workspace)
    return ingest(
        discovery,
        workspace.target(version, index),
        chunker=workspace.chunker(workspace.config.domain),
        settings=workspace.ingest_settings(retry_failed=retry_failed),
        observer=progress,
    )


def _index_for(workspace: Workspace) -> tuple[str, ChunkIndex]:
    """The live index, ready for documents of the configured domain; made when there is none."""
    domain = workspace.config.domain
    live = workspace.existing_live()
    if live is None:
        manifest = workspace.new_manifest([domain])
        index = workspace.create_index(_FIRST_VERSION, manifest)
        workspace.make_live(_FIRST_VERSION, manifest)
        return _FIRST_VERSION, index
    version, manifest = live
    workspace.check_manifest(version, manifest)
    extended = _with_domain(workspace, version, manifest, domain)
    index = workspace.open_index(version, manifest)
    if extended is not manifest:
        workspace.catalog.save_version(version, extended, live=True)
    return version, index


def _with_domain(workspace: Workspace, version: str, manifest: Manifest, domain: str) -> Manifest:
    """The manifest with this domain's chunker settings.

    Raises:
        IndexDamaged: The index holds documents of this domain that were cut by other settings.
    """
    from dataclasses import replace

    now, then = workspace.chunker(domain).fingerprint, manifest.chunkers.get(domain)
    if then == now:
        return manifest
    if then is not None:
        raise IndexDamaged(
            f"index {version} holds {domain} documents cut by other chunk settings ({then}) than the "
            f"present ones ({now}); set them back, or run: ragwright ingest --rebuild"
        )
    return replace(manifest, chunkers={**manifest.chunkers, domain: now})


def _rebuild(workspace: Workspace, console: Console) -> IngestReport:
    """Build a new index version beside the live one, switch to it, and delete the old one."""
    from ragwright.ingest.pipeline import rebuild

    former, manifest = workspace.live()
    for version in workspace.catalog.versions():
        if version != former:
            workspace.drop_index(version)  # left by a rebuild that was stopped
    version = f"v{int(former.removeprefix('v')) + 1}"
    manifest = workspace.new_manifest(list(manifest.chunkers))
    index = workspace.create_index(version, manifest)
    workspace.catalog.save_version(version, manifest, live=False)
    with Progress(console) as progress:
        target = workspace.target(version, index)
        report = rebuild(target, chunker_for=workspace.chunker, observer=progress)
    workspace.release(index)
    workspace.make_live(version, manifest)
    workspace.drop_index(former)
    return report


def _tell_plan(session: Session, request: IngestRequest) -> int:
    """Say what would be done; this changes nothing, and makes no workspace."""
    from ragwright.ingest.pipeline import plan_ingest

    console, workspace = session.console, Workspace(session.config)
    try:
        if request.rebuild or not request.paths:
            workspace.live()
        known = workspace.catalog.known_files() if workspace.exists() else {}
        discovery = _discover(workspace, request)
    finally:
        workspace.close()
    settings = workspace.ingest_settings(retry_failed=request.retry_failed)
    plan = plan_ingest(discovery, known, settings=settings)
    if console.json:
        console.emit_json(plan)
    if request.rebuild:
        documents = sum(bool(each.domain) for each in known.values())
        console.out(f"would rebuild the index from {documents:,} documents")
    if not request.names_files:
        return 0
    for word, sources in (("add", plan.add), ("update", plan.update), ("delete", plan.delete)):
        for source in sources:
            console.out(f"would {word} ", escape_control(source, keep=""))
    tell_unsupported(plan.unsupported, console)
    console.out(
        f"would add {len(plan.add):,}, update {len(plan.update):,}, skip {len(plan.skip):,}, "
        f"delete {len(plan.delete):,}"
    )
    return tell_failures({**plan.problems, **plan.failed_before}, console)
