"""What every command shares: its five common options, and the settings they lead to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragwright.app.console import Console

if TYPE_CHECKING:
    from ragwright.core.config import Config
    from ragwright.core.settings_sources import Origin


@dataclass(frozen=True, slots=True)
class Options:
    """The options that every command takes; the command line is made from these fields."""

    config: Annotated[
        Path | None, typer.Option("--config", help="Configuration file; else the nearest ragwright.toml.")
    ] = None
    workspace: Annotated[
        Path | None, typer.Option("--workspace", help="Workspace folder; else the configured one.")
    ] = None
    json: Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks.")] = False
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting, such as search.limit=5; repeatable."),
    ] = None

    @property
    def console(self) -> Console:
        """Where to write."""
        return Console(json=self.json, quiet=self.quiet)


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with.

    Attributes:
        config: Every setting.
        origins: Where each setting came from, by dotted key.
        file: The configuration file that was read, or None.
        console: Where to write.
    """

    config: Config
    origins: Mapping[str, Origin]
    file: Path | None
    console: Console


def open_session(options: Options, *, flags: Mapping[str, Any] | None = None) -> Session:
    """Load the settings for one command.

    Args:
        options: The common options.
        flags: The command's own options by dotted key, such as `search.limit`; None: not given.

    Raises:
        ConfigError: A setting is unknown, of the wrong type or out of range.
    """
    from ragwright.core.config import load_config

    given = {"workspace": options.workspace, **(flags or {})}
    loaded = load_config(flags=given, file=options.config, environ=os.environ, assignments=options.set or ())
    return Session(loaded.config, loaded.origins, loaded.file, options.console)
