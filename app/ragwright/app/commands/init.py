"""`ragwright init`: write a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragwright.app.session import Options
from ragwright.core.errors import InputError


def init(
    options: Options,
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> int:
    """Write a configuration file, ragwright.toml.

    Every setting stands in it with its meaning and its default.
    """
    from ragwright.core.config import default_toml
    from ragwright.core.settings_sources import FILE_NAME

    path = options.config or Path(FILE_NAME)
    # Absolute, since a path in the file counts from the file's folder, and this one from the current folder.
    chosen = {"workspace": options.workspace.absolute()} if options.workspace else {}
    _write(path, default_toml(chosen), force=force)
    if options.json:
        options.console.emit_json({"file": path})
    options.console.out(f"wrote {path}; nothing in it has to be changed")
    options.console.note("next: ragwright ingest FOLDER")
    return 0


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        content = text.encode("utf-8")
        with path.open("wb" if force else "xb") as file:
            file.write(content)
    except UnicodeEncodeError as error:
        raise InputError("the workspace path is not UTF-8, which TOML wants; choose another") from error
    except FileExistsError as error:
        raise InputError(
            f"{path} exists; use --force to overwrite it, or --config to write elsewhere"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
