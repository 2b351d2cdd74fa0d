"""`ragwright feedback export`: what people said of answers, to be reviewed before anything learns of it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragwright.app.commands.serve import Further
from ragwright.app.console import Styled
from ragwright.app.session import Options, Session, open_session
from ragwright.app.workspace import Workspace
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.ingest.catalog import Catalog


def export(
    options: Options,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write; else to stdout.")
    ] = None,
    collection: Further = None,
) -> int:
    """Write every rated answer as a line of JSON.

    Each line has the question, what was searched for, the passages with their places, the answer with its
    citations, and the ratings. "reviewed" is false in every line: whoever has read one sets it to true, and
    training takes no other. Of documents that are gone no text is written, and "redacted" is true.
    """
    session = open_session(options)
    rows = _rows(session, collection or ())
    if out is None and options.json:
        session.console.emit_json({"rows": list(rows)})
        return 0
    if out is None:
        for row in rows:
            session.console.out(json.dumps(row))
        return 0
    count = _write(rows, out)
    session.console.note(f"{count:,} rated answers written to {out}")
    if options.json:
        session.console.emit_json({"file": str(out), "rows": count})
    return 0


def _rows(session: Session, further: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every rated answer, as far as its documents are still there; asking makes no file."""
    from ragwright.app.serve.forgetting import visible_part
    from ragwright.app.serve.observations import FILE_NAME, Observations
    from ragwright.core.types import OWNER

    file = session.config.workspace / FILE_NAME
    if not file.is_file():
        return
    unknown: Counter[str] = Counter()
    with closing(Observations(file, traces=0)) as kept, _catalogs(session, further) as catalogs:

        def catalog_of(name: str) -> Catalog | None:
            unknown[name] += name not in catalogs
            return catalogs.get(name)

        yield from kept.export(lambda record: visible_part(record, OWNER, catalog_of))
    for name, count in (+unknown).items():
        session.console.complain(
            Styled("warning: ", "yellow"),
            f"of the collection {name} answers are written without the texts of documents ({count:,}), since"
            f" nobody can tell whether these are still there; name it: --collection {name}=FOLDER",
        )


@contextmanager
def _catalogs(session: Session, further: Sequence[str]) -> Iterator[Mapping[str, Catalog]]:
    """The catalogs of the collections that are configured or named."""
    from ragwright.app.serve.opening import named_workspaces

    with ExitStack() as stack:
        found = {}
        for each in named_workspaces(session, further):
            workspace = Workspace(each.config)
            if workspace.exists():
                stack.callback(workspace.close)
                found[each.name] = workspace.catalog
        yield found


def _write(rows: Iterator[dict[str, Any]], out: Path) -> int:
    """Write rows to a file that its owner alone can read; it is there once it is whole.

    Raises:
        InputError: It cannot be written.
    """
    partial, count = out.with_name(out.name + ".partial"), 0
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")
                count += 1
        partial.replace(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}") from None
    return count
