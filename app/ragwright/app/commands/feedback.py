"""`ragwright feedback export`: what people said of answers, to be reviewed before anything learns of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from ragwright.app.session import Options, open_session
from ragwright.core.errors import InputError


def export(
    options: Options,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write; else to stdout.")
    ] = None,
) -> int:
    """Write every rated answer as a line of JSON.

    Each line has the question, what was searched for, the passages with their places, the answer with its
    citations, and the ratings. "reviewed" is false in every line: whoever has read one sets it to true, and
    training takes no other.
    """
    session = open_session(options)
    rows = _rows(Path(session.config.workspace))
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


def _rows(workspace: Path) -> Iterator[dict[str, Any]]:
    """Every rated answer; asking makes no file."""
    from ragwright.app.serve.observations import FILE_NAME, Observations

    file = workspace / FILE_NAME
    if not file.is_file():
        return
    with closing(Observations(file, traces=0)) as kept:
        yield from kept.export()


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
