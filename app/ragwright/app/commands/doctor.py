"""`ragwright doctor`: verify the workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ragwright.app.access import reading
from ragwright.app.console import Console, Styled, escape_control
from ragwright.app.session import Options, open_session
from ragwright.app.workspace import Workspace
from ragwright.core.errors import IndexDamaged, ModelError, RagwrightError

if TYPE_CHECKING:
    from ragwright.ingest.doctor import Finding

_SHOWN_OF_A_KIND = 10
# What is said of a finding by its part; of every other part, that it is damaged.
_WORDS: Mapping[str, str] = {"setting": "does not fit", "model": "cannot be used"}


def doctor(options: Options) -> int:
    """Look for damage in the workspace.

    Catalog, index and model are checked against one another, chunk by chunk. What is damaged is named, and so
    is a setting that does not fit the index, each with the command that mends it. A folder that others can
    open, though keys or uploads are in use, is warned of.
    """
    from ragwright.app.serve.folder_rights import open_folder

    session = open_session(options)
    with reading(session.config, purpose="ragwright doctor", console=session.console) as workspace:
        workspace.live()
        findings = list(_examine(workspace))
        counts = workspace.catalog.counts(workspace.live()[0])
    open_to_others = open_folder(workspace.folder, has_keys=session.config.server.api_key is not None)
    if options.json:
        warnings = [open_to_others] if open_to_others else []
        session.console.emit_json({"findings": findings, "counts": counts, "warnings": warnings})
    if open_to_others:
        session.console.complain(Styled("warning: ", "yellow"), open_to_others)
    _tell(findings, session.console)
    if not findings:
        session.console.out(
            f"sound: {counts.documents:,} documents, {counts.chunks:,} chunks, each present once and exact"
        )
    return 1 if findings else 0


def _tell(findings: Sequence[Finding], console: Console) -> None:
    """Show what was found, of each kind only the first few: a lost file makes thousands alike."""
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.part, finding.remedy), []).append(finding)
    for (part, remedy), alike in kinds.items():
        for finding in alike[:_SHOWN_OF_A_KIND]:
            problem = escape_control(finding.problem, keep="")
            console.out(Styled(f"{_WORDS.get(part, 'damaged')} ({part}): ", "red"), problem, "; ", remedy)
        if len(alike) > _SHOWN_OF_A_KIND:
            more = len(alike) - _SHOWN_OF_A_KIND
            console.out(f"and {more:,} more like the last one ({part}); --json lists them all")


def _examine(workspace: Workspace) -> Iterator[Finding]:
    from ragwright.ingest.doctor import REBUILD, Finding, examine

    version, manifest = workspace.live()
    for problem in workspace.indexes.engine.changed_files(version):
        yield Finding("index files", problem, REBUILD)
    try:
        workspace.check_manifest(version, manifest)
    except IndexDamaged as error:
        yield _finding("setting", error)
        return
    except ModelError as error:
        yield _finding("model", error)
        return
    try:
        index = workspace.indexes.open(version, manifest, incomplete=True)
    except IndexDamaged as error:
        yield _finding("index", error)
        return
    yield from examine(workspace.catalog, index, version)


def _finding(part: str, error: RagwrightError) -> Finding:
    """A finding of an error's sentence, whose end says what to do."""
    from ragwright.ingest.doctor import Finding

    problem, _, remedy = str(error).partition("; ")
    return Finding(part, problem, remedy)
