"""`ragwright status`: what the workspace holds."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Annotated

import typer

from ragwright.app.console import Styled, escape_control
from ragwright.app.session import Options, open_session
from ragwright.app.workspace import Workspace


def status(
    options: Options,
    *,
    documents: Annotated[
        bool, typer.Option("--documents", help="List the source of every document.")
    ] = False,
) -> int:
    """Show what the workspace holds.

    Files that failed are listed with the reason.
    """
    session = open_session(options)
    workspace = Workspace(session.config)
    try:
        live = workspace.existing_live()
        if live is None:
            if options.json:
                session.console.emit_json({"workspace": workspace.folder, "index": None})
            session.console.out(f"workspace {workspace.folder} is empty; next: ragwright ingest PATH")
            return 0
        version, manifest = live
        counts, failures = workspace.catalog.counts(version), workspace.catalog.failures()
        sources = list(workspace.catalog.sources()) if documents else []
    finally:
        workspace.close()
    size = _folder_bytes(workspace.folder)
    if options.json:
        session.console.emit_json(
            {
                "workspace": workspace.folder,
                "bytes_on_disk": size,
                "index": {"version": version, "manifest": manifest},
                "counts": counts,
                "failures": failures,
                **({"documents": sources} if documents else {}),
            }
        )
    rows = [
        ("workspace", f"{workspace.folder} ({_megabytes(size)})"),
        ("index", f"{version}, {'server' if session.config.index.url else 'embedded'}"),
        ("model", f"{manifest.model} ({manifest.fingerprint}, {manifest.dimension} dimensions)"),
        ("domains", ", ".join(manifest.chunkers)),
        ("documents", f"{counts.documents:,} ({_megabytes(counts.bytes)}, {counts.characters:,} characters)"),
        ("chunks", f"{counts.chunks:,}"),
        ("failed files", f"{counts.failures:,}"),
    ]
    session.console.table(["what", "value"], rows)
    for source, reason in failures.items():
        session.console.out(Styled("failed ", "red"), escape_control(source, keep=""), f": {reason}")
    for source in sources:
        session.console.out(escape_control(source, keep=""))
    return 0


def _folder_bytes(folder: Path) -> int:
    """Space the files take on the disk; the engine's files are sparse."""
    return sum(_file_bytes(path) for path in folder.rglob("*"))


def _file_bytes(path: Path) -> int:
    """Space of a file; 0 for anything else, and for what an ingest has removed since it was listed."""
    try:
        facts = path.stat()
    except OSError:
        return 0
    return facts.st_blocks * 512 if stat.S_ISREG(facts.st_mode) else 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
