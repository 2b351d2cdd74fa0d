"""`ragwright serve`: answer questions over HTTP, on a page and for any OpenAI client."""

from __future__ import annotations

import socket
import sys
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.console import Styled
from ragwright.app.session import Options, Session, open_session

if TYPE_CHECKING:
    from ragwright.app.serve.authentication import Keyring
    from ragwright.app.serve.opening import Named

_KEY = "needed; ragwright keys list shows their names"
_NO_KEY = "none needed on this machine, and no other is served; ragwright keys add NAME makes one"
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}

Further = Annotated[
    list[str] | None,
    typer.Option("--collection", metavar="NAME=FOLDER", help="A further workspace; repeatable."),
]


def serve(
    options: Options,
    *,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen at.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", help="Port to listen at; 0 takes a free one.")
    ] = None,
    collection: Further = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> int:
    """Answer questions over HTTP.

    There is a page for people, and an OpenAI-compatible API for programs. Without API keys only users of this
    machine are served; ragwright keys add makes keys. Being told to end, the server lets answers that are
    being written finish.
    """
    from ragwright.app.serve.logs import start_log, stop_log

    session = open_session(options, flags={"server.host": host, "server.port": port})
    log = start_log(sys.stderr, form=session.config.server.log, quiet=options.quiet)
    try:
        return _serve(session, collection or (), open_page=open_page)
    finally:
        stop_log(log)


def _serve(session: Session, further: Sequence[str], *, open_page: bool) -> int:
    from ragwright.app.serve.authentication import Authentication
    from ragwright.app.serve.opening import named_workspaces, opened, warm_up
    from ragwright.app.serve.running import Watchdog, bound_socket, run

    settings, keyring = session.config.server, keyring_of(session)
    Authentication(keyring, settings)  # refuses before anything is loaded
    named = named_workspaces(session, further)
    warn_of_rights(session, named, has_keys=keyring.needed)
    with (
        Watchdog() as watchdog,
        closing(bound_socket(settings.host, settings.port)) as listening,
        opened(named) as collections,
    ):
        for problem in warm_up(collections):
            session.console.complain(Styled("not ready: ", "yellow"), problem)
        ready = _teller(session, listening, needs_key=keyring.needed, open_page=open_page)
        run(
            collections,
            session.config,
            keyring=keyring,
            listening=listening,
            watchdog=watchdog,
            ready=ready,
        )
    return 0


def keyring_of(session: Session) -> Keyring:
    """The keys of the server: those of the workspace, and `server.api_key`."""
    from ragwright.app.serve.authentication import Keyring
    from ragwright.app.serve.key_file import KeyFile

    own = session.config.server.api_key
    file = KeyFile.in_folder(session.config.workspace)
    return Keyring(file, own=own.get_secret_value() if own else None)


def warn_of_rights(session: Session, named: Sequence[Named], *, has_keys: bool) -> None:
    """Tell of every workspace that other users of the machine can read past the keys."""
    from ragwright.app.serve.folder_rights import open_folder

    for each in named:
        if problem := open_folder(each.config.workspace, has_keys=has_keys):
            session.console.complain(Styled("warning: ", "yellow"), problem)


def _teller(
    session: Session, listening: socket.socket, *, needs_key: bool, open_page: bool
) -> Callable[[], None]:
    """Tells, once called, where the server is and what to do there."""
    url = session.config.server.public_url or url_of(listening)

    def tell() -> None:
        if session.console.json:
            session.console.emit_json({"url": url, "base_url": f"{url}/v1", "needs_key": needs_key})
        session.console.out("page      ", Styled(url, "bold"))
        session.console.out("base URL  ", Styled(f"{url}/v1", "bold"), "  for OpenAI clients")
        session.console.out("API key   ", _KEY if needs_key else _NO_KEY)
        session.console.note("Ctrl-C ends the server")
        if open_page:
            webbrowser.open(url)

    return tell


def url_of(listening: socket.socket) -> str:
    """The address to reach the server at from this machine."""
    host, port = listening.getsockname()[:2]
    host = _ANY_ADDRESS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
