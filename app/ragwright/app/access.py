"""Holding a workspace: one writer, or one reader of the embedded engine, at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragwright.app.console import Console
from ragwright.app.workspace import Workspace
from ragwright.core.errors import WorkspaceBusy
from ragwright.core.lock import workspace_lock

if TYPE_CHECKING:
    from ragwright.core.config import Config

# A search waits this long for another one to end; an ingest takes longer and is named instead.
_SEARCH_WAITS_SECONDS = 10.0


@contextmanager
def open_workspace(
    folder: Path | str | None = None, *, settings: Mapping[str, Any] | None = None, write: bool = False
) -> Iterator[Workspace]:
    """A workspace for searching and asking from Python, or for writing.

    Args:
        folder: The workspace; None takes the configured one.
        settings: Values by dotted key, such as `search.limit`; what is not named comes from environment,
            file and defaults, as for the command line.
        write: Whether documents are brought in or removed; the workspace is made when absent.

    Raises:
        ConfigError: A setting is unknown, of the wrong type or out of range.
        WorkspaceBusy: Another process holds it: for writing at all, else for longer than a search waits.
    """
    from ragwright.core.config import load_config

    flags = {"workspace": folder, **(settings or {})}
    config = load_config(flags=flags, file=None, environ=os.environ).config
    purpose = "a Python program"
    held = (
        writing(config, purpose=purpose, make=True)
        if write
        else reading(config, purpose=purpose, console=Console(quiet=True))
    )
    with held as workspace:
        yield workspace


@contextmanager
def writing(
    config: Config, *, purpose: str, make: bool = False, project: Path | None = None
) -> Iterator[Workspace]:
    """A workspace held for writing; another holder is an error at once. For `project` see `Workspace`.

    The text of documents that are removed meanwhile leaves the traces of the workspace, too.

    Raises:
        InputError: It does not exist yet, and `make` does not allow to make it.
        WorkspaceBusy: Another process holds it.
    """
    from ragwright.app.serve.forgetting import traces_follow

    workspace = Workspace(config, project=project)
    if not make and not workspace.exists():
        raise workspace.nothing_ingested()
    with workspace_lock(workspace.folder, purpose=purpose):
        try:
            with workspace.catalog.held(), traces_follow(workspace):
                yield workspace
        finally:
            workspace.close()


@contextmanager
def reading(config: Config, *, purpose: str, console: Console) -> Iterator[Workspace]:
    """A workspace for searching; it waits its turn, as the embedded engine serves one process at a time.

    Raises:
        WorkspaceBusy: Another process holds it for longer than a search waits; the console was told whom we
            wait for.
    """
    workspace = Workspace(config)
    with ExitStack() as stack:
        stack.callback(workspace.close)
        if config.index.url is None and workspace.existing_live() is not None:
            try:
                stack.enter_context(workspace_lock(workspace.folder, purpose=purpose))
            except WorkspaceBusy as busy:
                console.note(f"{str(busy).partition(';')[0]}; waiting up to {_SEARCH_WAITS_SECONDS:.0f} s")
                stack.enter_context(
                    workspace_lock(workspace.folder, purpose=purpose, wait_seconds=_SEARCH_WAITS_SECONDS)
                )
        yield workspace
