"""`ragwright config show`: every setting, and where it came from."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from ragwright.app.console import Styled
from ragwright.app.session import Options, Session, open_session
from ragwright.core.settings_sources import Origin

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


def show(
    options: Options,
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Tell where each value came from.")] = False,
) -> int:
    """Show every setting in force; secrets are masked."""
    session = open_session(options)
    if options.json:
        session.console.emit_json({"file": session.file, "settings": _document(session)})
        return 0
    columns = ["setting", "value", *(["from"] if origin else [])]
    session.console.table(columns, [_row(session, key, origin=origin) for key in session.origins])
    return 0


def _document(session: Session) -> dict[str, Any]:
    return {
        key: {"value": _masked(session.config.value(key)), "layer": origin.layer, "where": origin.where}
        for key, origin in session.origins.items()
    }


def _row(session: Session, key: str, *, origin: bool) -> list[str | Styled]:
    value, source = _masked(session.config.value(key)), session.origins[key]
    return [key, _told_value(value), *([_told(source)] if origin else [])]


def _told_value(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "unset" if value is None else str(value)


def _told(source: Origin) -> str | Styled:
    return Styled("default", "dim") if source.layer == "default" else source.where


def _masked(value: Any) -> Any:
    """The value as it may be shown: no key, and no password inside a URL."""
    if hasattr(value, "get_secret_value"):
        return "********"
    return _PASSWORD.sub(r"\1:********@", value) if isinstance(value, str) else value
