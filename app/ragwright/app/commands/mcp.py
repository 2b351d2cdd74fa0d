"""`ragwright mcp`: let an assistant search the documents, over the Model Context Protocol."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.commands.search import caller_scope
from ragwright.app.commands.serve import Further, keyring_of, url_of, warn_of_rights
from ragwright.app.console import Styled
from ragwright.app.session import Options, Session, open_session
from ragwright.core.errors import InputError, MissingExtra, RagwrightError

if TYPE_CHECKING:
    from ragwright.app.serve.citing import Addresses
    from ragwright.app.serve.collections import Collection, Collections
    from ragwright.app.serve.opening import Named
    from ragwright.core.types import Scope

PURPOSE = "ragwright mcp"
_LAST_SECONDS = 1.0  # for what still runs when the command is told to end

_Http = Annotated[bool, typer.Option("--http", help="Serve over HTTP, not stdin and stdout.")]
_Host = Annotated[
    str | None, typer.Option("--host", metavar="ADDRESS", help="With --http: address to listen at.")
]
_Port = Annotated[
    int | None, typer.Option("--port", metavar="PORT", help="With --http: port; 0 takes a free one.")
]
_Tenant = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        metavar="NAME",
        help="Without --http: tell only what this tenant may see; without this and --group everything.",
    ),
]
_Groups = Annotated[
    list[str] | None,
    typer.Option("--group", metavar="NAME", help="A group of the tenant that is in; repeatable."),
]


def mcp(
    options: Options,
    *,
    http: _Http = False,
    host: _Host = None,
    port: _Port = None,
    tenant: _Tenant = None,
    groups: _Groups = None,
    collection: Further = None,
) -> int:
    """Let an assistant search the documents (MCP).

    Assistants start it as a program, talk to it over stdin and stdout, and may search and read, nothing else.
    With --http it serves /mcp, under the keys of ragwright keys.
    """
    from ragwright.app.serve.logs import start_log, stop_log

    _check(options, http=http, over_http=(host, port), over_stdio=(tenant, groups))
    _check_installed()
    session = open_session(options, flags={"server.host": host, "server.port": port})
    log = start_log(sys.stderr, form=session.config.server.log, quiet=options.quiet or not http)
    try:
        named = _searching(session, collection or ())
        if http:
            return _serve_http(session, named)
        return _serve_stdio(session, named, caller_scope(tenant, groups))
    finally:
        stop_log(log)


def _check(
    options: Options, *, http: bool, over_http: Sequence[object], over_stdio: Sequence[object]
) -> None:
    """Refuse options that would do nothing: whoever gives --tenant counts on it."""
    if http and any(over_stdio):
        raise InputError("with --http each key names its tenant and groups; leave --tenant and --group out")
    if not http and any(each is not None for each in over_http):
        raise InputError("--host and --port are for --http; add it, or leave them out")
    if not http and options.json:
        raise typer.BadParameter("--json does not go with it: stdout belongs to the protocol")


def _check_installed() -> None:
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        raise MissingExtra("mcp", "mcp")


def _searching(session: Session, further: Sequence[str]) -> list[Named]:
    """The workspaces, without what writes answers: no language model is opened for a search."""
    from ragwright.app.serve.opening import named_workspaces
    from ragwright.core.config_serving import GeneratorConfig

    plain = {"generator": GeneratorConfig()}
    return [
        replace(each, config=each.config.model_copy(update=plain))
        for each in named_workspaces(session, further)
    ]


def _serve_stdio(session: Session, named: Sequence[Named], scope: Scope) -> int:
    import anyio

    from ragwright.app.serve.opening import opened

    with opened(named, purpose=PURPOSE) as collections:
        _end_when_told()
        with suppress(KeyboardInterrupt):  # being told to end is no error
            anyio.run(_talk, session, collections, scope)
    return 0


def _end_when_told() -> None:
    """Let signals end the process even while a thread of it waits for a line that never comes."""
    from ragwright.app.serve.running import Watchdog

    def end(number: int, frame: FrameType | None) -> None:
        Watchdog().end_process_in(_LAST_SECONDS)  # never called off: the thread outlives everything else
        raise KeyboardInterrupt

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, end)


async def _talk(session: Session, collections: Collections, scope: Scope) -> None:
    """Serve the client at once, and load models meanwhile."""
    import anyio
    import anyio.to_thread

    from ragwright.app.serve.answering import AnswerService
    from ragwright.app.serve.mcp_server import create_server, serve_stdio
    from ragwright.app.serve.mcp_tools import ToolCaller
    from ragwright.app.serve.values import Caller

    service = AnswerService(collections, threads=session.config.server.concurrency)
    caller = ToolCaller(service, Caller("stdio", scope), _addresses_of(session))
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, _warm_up, session, collections)
        await serve_stdio(create_server(lambda request: caller))


def _warm_up(session: Session, collections: Collections) -> None:
    from ragwright.app.serve.opening import warm_up

    try:
        problems = warm_up(collections)
    except RagwrightError as error:  # every search raises it again
        problems = [str(error)]
    for problem in problems:
        session.console.complain(Styled("not ready: ", "yellow"), problem)


def _addresses_of(session: Session) -> Callable[[Collection], Addresses]:
    """Of the server's page where the settings name one; else names that only `fetch` understands."""
    from ragwright.app.serve.citing import viewer_addresses

    base = session.config.server.public_url

    def addresses(collection: Collection) -> Addresses:
        return viewer_addresses(base.rstrip("/") if base else "ragwright://local", collection.name)

    return addresses


def _serve_http(session: Session, named: Sequence[Named]) -> int:
    from ragwright.app.serve import health, mcp_route
    from ragwright.app.serve.authentication import Authentication
    from ragwright.app.serve.opening import opened
    from ragwright.app.serve.running import Watchdog, bound_socket, run

    settings, keyring = session.config.server, keyring_of(session)
    Authentication(keyring, settings)  # refuses before anything is loaded
    warn_of_rights(session, named, has_keys=keyring.needed)
    with (
        Watchdog() as watchdog,
        closing(bound_socket(settings.host, settings.port)) as listening,
        opened(named, purpose=PURPOSE) as collections,
    ):
        _warm_up(session, collections)
        run(
            collections,
            session.config,
            keyring=keyring,
            listening=listening,
            watchdog=watchdog,
            ready=_teller(session, listening),
            routes=(mcp_route.router, health.router),
        )
    return 0


def _teller(session: Session, listening: socket.socket) -> Callable[[], None]:
    """Tells, once called, where the server is."""
    url = f"{session.config.server.public_url or url_of(listening)}/mcp"

    def tell() -> None:
        if session.console.json:
            session.console.emit_json({"url": url})
        session.console.out("MCP server  ", Styled(url, "bold"))
        session.console.note("Ctrl-C ends the server")

    return tell
