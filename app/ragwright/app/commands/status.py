"""`ragwright status`: what the workspace holds."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragwright.app.console import Styled, escape_control
from ragwright.app.session import Options, open_session
from ragwright.app.workspace import Workspace

if TYPE_CHECKING:
    from ragwright.ingest.catalog_values import CatalogCounts, Manifest


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
        held = _read(workspace, *live, documents=documents) if live else None
    finally:
        workspace.close()
    if options.json:
        session.console.emit_json(_as_document(workspace.folder, held, documents=documents))
    if held is None:
        session.console.out(f"workspace {workspace.folder} is empty; next: ragwright ingest PATH")
        return 0
    index = session.config.index
    engine = "server" if index.url else "embedded"
    rows = _rows(workspace.folder, held, engine, quantization=index.quantization)
    session.console.table(["what", "value"], rows)
    for source, reason in held.failures.items():
        session.console.out(Styled("failed ", "red"), escape_control(source, keep=""), f": {reason}")
    for source in held.sources:
        session.console.out(escape_control(source, keep=""))
    return 0


@dataclass(frozen=True, slots=True)
class _Holdings:
    version: str
    manifest: Manifest
    counts: CatalogCounts
    failures: Mapping[str, str]
    sources: Sequence[str]
    bytes_on_disk: int
    int8: bool


def _read(workspace: Workspace, version: str, manifest: Manifest, *, documents: bool) -> _Holdings:
    return _Holdings(
        version,
        manifest,
        workspace.catalog.counts(version),
        workspace.catalog.failures(),
        list(workspace.catalog.sources()) if documents else [],
        _folder_bytes(workspace.folder),
        workspace.is_int8(manifest.fingerprint),
    )


def _as_document(folder: Path, held: _Holdings | None, *, documents: bool) -> dict[str, Any]:
    if held is None:
        return {"workspace": folder, "index": None}
    return {
        "workspace": folder,
        "bytes_on_disk": held.bytes_on_disk,
        "index": {"version": held.version, "manifest": held.manifest},
        "counts": held.counts,
        "failures": held.failures,
        **({"documents": held.sources} if documents else {}),
    }


def _rows(folder: Path, held: _Holdings, engine: str, *, quantization: str) -> list[tuple[str, str]]:
    manifest, counts = held.manifest, held.counts
    return [
        ("workspace", f"{folder} ({_megabytes(held.bytes_on_disk)})"),
        ("index", f"{held.version}, {engine}"),
        ("model", f"{manifest.model} ({manifest.fingerprint}, {manifest.dimension} dimensions)"),
        ("precision", "int8" if held.int8 else "not int8"),
        ("index.quantization", f"{quantization}, as configured"),
        ("domains", ", ".join(manifest.chunkers)),
        ("documents", f"{counts.documents:,} ({_megabytes(counts.bytes)}, {counts.characters:,} characters)"),
        ("chunks", f"{counts.chunks:,}"),
        ("failed files", f"{counts.failures:,}"),
    ]


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
