"""`ragwright eval convert`: a data set in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragwright.app.commands.eval_run import DatasetPath, Format, load
from ragwright.app.console import escape_control
from ragwright.app.session import Options, open_session
from ragwright.core.errors import InputError


def eval_convert(
    options: Options,
    dataset: DatasetPath,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the result goes.", show_default=False)
    ],
    *,
    format: Format = None,  # noqa: A002 - the option's name
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="native or beir.")] = "native",
) -> int:
    """Write a data set in another format.

    The native format keeps everything; a BEIR folder keeps which documents answer a question, not where.
    Rankings for trec_eval and answers for ragas stand in the folder of each run.
    """
    from ragwright.eval.writers import write_beir, write_native

    session = open_session(options)
    writers = {"native": write_native, "beir": write_beir}
    if to not in writers:
        raise InputError(f'--to is "{to}"; wanted native or beir')
    refuse_full(folder)
    loaded = load(dataset, format=format)
    writers[to](loaded, folder)
    if options.json:
        session.console.emit_json({"folder": folder, "format": to, "questions": len(loaded.items)})
    session.console.out(
        f"{len(loaded.items):,} questions and {len(loaded.texts):,} documents as {to} in ",
        escape_control(str(folder), keep=""),
    )
    return 0


def refuse_full(folder: Path) -> None:
    """Let nothing be overwritten.

    Raises:
        InputError: The folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already and not empty; name a new folder")
