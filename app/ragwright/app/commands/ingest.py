"""`ragwright ingest`: bring the index up to date with files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.access import writing
from ragwright.app.indexing import (
    check_ingest,
    discover_failed,
    discover_paths,
    ingest_files,
    rebuild_index,
)
from ragwright.app.ingest_report import IngestRequest, tell_plan, tell_report
from ragwright.app.progress import Progress
from ragwright.app.session import Options, Session, open_session
from ragwright.app.workspace import Workspace
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.ingest.discover import Discovery
    from ragwright.ingest.report import IngestReport

_Paths = Annotated[
    list[str] | None, typer.Argument(metavar="[PATH]...", help="Files and folders.", show_default=False)
]
_Domain = Annotated[
    str | None, typer.Option("--domain", metavar="DOMAIN", help="Domain profile: a name or a TOML file.")
]
_Tenant = Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Whose the documents are.")]
_Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group", metavar="NAME", help="Who of the tenant may see them; repeatable. None: everyone."
    ),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")]
_RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Try files again that failed and have not changed.")
]
_Rebuild = Annotated[
    bool, typer.Option("--rebuild", help="Make the index anew from the stored texts, then switch to it.")
]
_Prune = Annotated[
    bool | None, typer.Option("--prune/--no-prune", help="Forget documents whose files are gone.")
]
_Jobs = Annotated[
    int | None,
    typer.Option("--jobs", metavar="COUNT", help="Files parsed at once; 0 means one per core."),
]


def ingest(
    options: Options,
    paths: _Paths = None,
    *,
    domain: _Domain = None,
    tenant: _Tenant = None,
    groups: _Groups = None,
    dry_run: _DryRun = False,
    retry_failed: _RetryFailed = False,
    rebuild: _Rebuild = False,
    prune: _Prune = None,
    jobs: _Jobs = None,
) -> int:
    """Read files and index what they say.

    Unchanged files are skipped, changed ones replaced, and documents whose files are gone from the given
    folders are forgotten. A file that cannot be read is listed with the reason and harms no other. A run that
    was stopped goes on where it was when it is started again.

    An unchanged file that others may see now is updated without being read again. Two tenants that bring the
    same file have a document each, and neither run touches the other's.
    """
    rights = {"ingest.tenant": tenant, "ingest.groups": groups or None}
    flags = {"domain": domain, "ingest.prune": prune, "ingest.jobs": jobs, **rights}
    session = open_session(options, flags=flags)
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
    from ragwright.retrieval.quantised import remove_killed_drafts

    config, rebuilt, report = session.config, None, IngestReport()
    # Before a workspace is made, so that a path that is not there leaves none behind.
    found = _discover(Workspace(config), request) if request.paths else None
    with writing(config, purpose="ragwright ingest", make=bool(request.paths)) as workspace:
        remove_killed_drafts(workspace.compute.cache)
        if request.rebuild:
            with Progress(session.console) as progress:
                rebuilt = rebuild_index(workspace, progress)
        if request.names_files:
            discovery = found or _discover(workspace, request)
            with Progress(session.console, sizes=_sizes(discovery)) as progress:
                report = ingest_files(workspace, discovery, progress, retry_failed=request.retry_failed)
    return report, rebuilt


def _discover(workspace: Workspace, request: IngestRequest) -> Discovery:
    """The files under the paths; without paths those that failed before, if they are to be tried again."""
    from ragwright.ingest.discover import Discovery

    if request.paths:
        return discover_paths(workspace, request.paths)
    return discover_failed(workspace) if request.retry_failed else Discovery(())


def _sizes(discovery: Discovery) -> dict[str, int]:
    """Bytes of every file; 0 for one that is gone."""
    return {file.source: _size(file.path) for file in discovery.files}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _tell_plan(session: Session, request: IngestRequest) -> int:
    """Say what would be done; this changes nothing, and makes no workspace.

    Raises:
        RagwrightError: The ingest itself would be refused, in the same words.
    """
    from ragwright.ingest.pipeline import plan_ingest

    workspace = Workspace(session.config)
    try:
        if request.rebuild or not request.paths:
            workspace.live()
        tenant = workspace.config.ingest.tenant
        known = workspace.catalog.known_files(tenant) if workspace.exists() else {}
        discovery = _discover(workspace, request)
        check_ingest(workspace, rebuild=request.rebuild)
    finally:
        workspace.close()
    settings = workspace.ingest_settings(retry_failed=request.retry_failed)
    plan = plan_ingest(discovery, known, settings=settings)
    tell_plan(
        plan, request, documents=sum(bool(each.domain) for each in known.values()), console=session.console
    )
    return 1 if plan.problems or plan.failed_before else 0
