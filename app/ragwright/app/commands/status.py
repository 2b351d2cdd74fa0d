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
    session.console.table(["what", "value"], _rows(workspace.folder, held))
    for source, reason in held.failures.items():
        session.console.out(Styled("failed ", "red"), escape_control(source, keep=""), f": {reason}")
    for source in held.sources:
        session.console.out(escape_control(source, keep=""))
    return 0


@dataclass(frozen=True, slots=True)
class _Holdings:
    version: str
    engine: str
    manifest: Manifest
    precision: str
    quantization: str  # the configured one: what is stored takes it over at the next change
    counts: CatalogCounts
    failures: Mapping[str, str]
    sources: Sequence[str]
    bytes_on_disk: int


def _read(workspace: Workspace, version: str, manifest: Manifest, *, documents: bool) -> _Holdings:
    settings = workspace.config.index
    return _Holdings(
        version=version,
        engine="server" if settings.url else "embedded",
        manifest=manifest,
        precision="int8" if workspace.is_int8(manifest.fingerprint) else "not int8",
        quantization=settings.quantization,
        counts=workspace.catalog.counts(version),
        failures=workspace.catalog.failures(),
        sources=list(workspace.catalog.sources()) if documents else [],
        bytes_on_disk=_folder_bytes(workspace.folder),
    )


def _as_document(folder: Path, held: _Holdings | None, *, documents: bool) -> dict[str, Any]:
    """The facts of `_rows`, and those that follow them."""
    if held is None:
        return {"workspace": folder, "index": None}
    return {
        "workspace": folder,
        "bytes_on_disk": held.bytes_on_disk,
        "index": {
            "version": held.version,
            "engine": held.engine,
            "precision": held.precision,
            "configured_quantization": held.quantization,
            "manifest": held.manifest,
        },
        "counts": held.counts,
        "failures": held.failures,
        **({"documents": held.sources} if documents else {}),
    }


def _rows(folder: Path, held: _Holdings) -> list[tuple[str, str]]:
    manifest, counts = held.manifest, held.counts
    return [
        ("workspace", f"{folder} ({_megabytes(held.bytes_on_disk)})"),
        ("index", f"{held.version}, {held.engine}"),
        ("model", f"{manifest.model} ({manifest.fingerprint}, {manifest.dimension} dimensions)"),
        *((f"promoted {part}", name) for part, name in manifest.parts.items()),
        ("precision", held.precision),
        ("index.quantization", f"{held.quantization}, as configured"),
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
