"""`ragwright forget`: remove documents from the index."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from ragwright.app.access import writing
from ragwright.app.console import escape_control
from ragwright.app.index_building import delete_strays_elsewhere
from ragwright.app.session import Options, open_session
from ragwright.core.errors import InputError


def forget(
    options: Options,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A document's source, or a folder.", show_default=False),
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
) -> int:
    """Remove documents from the index.

    A document is named by its source, all documents of a folder by the folder, whichever tenant they belong
    to. The files themselves stay, and the next ingest of them adds them again.
    """
    from ragwright.ingest.discover import source_of
    from ragwright.ingest.pipeline import forget as remove

    session = open_session(options)
    with writing(session.config, purpose="ragwright forget") as workspace:
        version, manifest = workspace.live()
        names, failed = workspace.catalog.names(), workspace.catalog.failures()
        known = sorted({*names.values(), *failed})
        sources = _matching(source, source_of(Path(source), workspace.project), known)
        meant = set(sources)
        documents = [key for key, each in names.items() if each in meant]
        chunks = 0
        if not dry_run:
            index = workspace.open_index(version, manifest)
            chunks = remove(documents, workspace.target(version, index))
            workspace.catalog.clear_failures(sources)
            delete_strays_elsewhere(workspace)
    if options.json:
        session.console.emit_json({"forgotten": sources, "chunks": chunks, "dry_run": dry_run})
    for each in sources:
        session.console.out("would forget " if dry_run else "forgot ", escape_control(each, keep=""))
    if not dry_run:
        session.console.note(
            f"{len(documents):,} documents, {chunks:,} chunks; an ingest of these files adds them again"
        )
    return 0


def _matching(typed: str, resolved: str, known: Sequence[str]) -> list[str]:
    """Sources that are meant: one by its name, or all below a folder.

    Raises:
        InputError: None is.
    """
    names = {typed.rstrip("/") or typed, resolved} - {""} if typed else set()
    exact = [each for each in known if each in names]
    found = exact or [each for each in known if any(_below(each, name) for name in names)]
    if not found:
        near = get_close_matches(typed, known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else "for a list run: ragwright status --documents"
        raise InputError(f'no document has the source "{typed}"; {hint}')
    return found


def _below(source: str, folder: str) -> bool:
    if folder == ".":  # the project itself, to which relative sources belong
        return not source.startswith("/")
    return source.startswith(folder.rstrip("/") + "/")
