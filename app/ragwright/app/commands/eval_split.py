"""`ragwright eval split`: parts of a data set that share no document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.commands.eval_convert import refuse_full
from ragwright.app.commands.eval_run import DatasetPath, Format, Seed, load
from ragwright.app.console import Styled, escape_control
from ragwright.app.session import Options, open_session
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.eval.split import Leak

_DEFAULT = ("train=0.6", "dev=0.2", "test=0.2")
_LEAKS_SHOWN = 10


def eval_split(
    options: Options,
    dataset: DatasetPath,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the parts go.", show_default=False)],
    *,
    format: Format = None,  # noqa: A002 - the option's name
    part: Annotated[
        list[str] | None,
        typer.Option("--part", metavar="NAME=SHARE", help="A part; repeatable. [default: 0.6, 0.2, 0.2]"),
    ] = None,
    seed: Seed = 0,
) -> int:
    """Split a data set by document, never by question.

    Each part becomes a native folder. What the parts still share, such as equal questions and documents that
    are nearly equal, is listed, and the exit code is then 1.
    """
    from ragwright.eval.split import leaks, split
    from ragwright.eval.writers import write_native

    session = open_session(options)
    refuse_full(folder)
    parts = split(load(dataset, format=format), _shares(part or _DEFAULT), seed=seed)
    found = leaks(parts)
    for name, each in parts.items():
        write_native(each, folder / name)
    counts = {name: {"questions": len(p.items), "documents": len(p.texts)} for name, p in parts.items()}
    if options.json:
        session.console.emit_json({"folder": folder, "parts": counts, "leaks": found})
    rows = [(name, f"{each['questions']:,}", f"{each['documents']:,}") for name, each in counts.items()]
    session.console.table(["part", "questions", "documents"], rows)
    for leak in found[:_LEAKS_SHOWN]:
        session.console.complain(Styled("leak ", "red"), escape_control(_told(leak), keep=""))
    if len(found) > _LEAKS_SHOWN:
        session.console.complain(f"and {len(found) - _LEAKS_SHOWN:,} more leaks; --json lists each")
    return 1 if found else 0


def _shares(parts: Sequence[str]) -> dict[str, float]:
    shares = {}
    for each in parts:
        name, equals, share = each.partition("=")
        if name in shares:
            raise InputError(f"--part {each}: there is a part {name} already")
        try:
            shares[name] = float(share)
        except ValueError:
            equals = ""
        if not name or not equals or name.strip("._") != name or "/" in name:
            raise InputError(f"--part {each}: wanted a name and a share, such as train=0.8")
    if sum(shares.values()) > 1.0 + 1e-9:
        raise InputError(f"the shares of the parts add up to {sum(shares.values()):g}; wanted at most 1")
    return shares


def _told(leak: Leak) -> str:
    kinds = {"document": "the same document", "question": "equal questions", "text": "nearly equal documents"}
    return f"{kinds[leak.kind]} in {leak.parts[0]} and {leak.parts[1]}: {leak.items[0]} and {leak.items[1]}"
