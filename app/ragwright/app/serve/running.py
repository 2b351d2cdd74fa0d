"""Running the server until it is told to end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Self

import uvicorn

from ragwright.app.serve.connections import HEAD_BYTES, ConnectionLimits, limited_protocol, look_at
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from ragwright.app.serve.authentication import Keyring
    from ragwright.app.serve.collections import Collections
    from ragwright.app.serve.limits import Limits
    from ragwright.core.config import Config
    from ragwright.core.config_serving import ServerConfig

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_KEEP_ALIVE_SECONDS = 15
_LOOK_EVERY = 5  # ticks, of 0.1 s
_AT_ONCE_SECONDS = 1.0
_LAST_SECONDS = 2.0  # beyond the grace time, after which the process ends whatever still runs


class Watchdog:
    """Ends the process when its time is up, whatever hangs; what was acknowledged is written by then.

    Leaving the `with` block calls it off.
    """

    def __init__(self) -> None:
        self._timers: list[threading.Timer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for timer in self._timers:
            timer.cancel()

    def end_process_in(self, seconds: float) -> None:
        """End the process after a time, with exit code 0: being told to end is no error."""
        timer = threading.Timer(seconds, os._exit, (0,))
        timer.daemon = True
        timer.start()
        self._timers.append(timer)


class Server(uvicorn.Server):
    """Serves an application; being told to end drains it, being told twice ends it at once."""

    def __init__(self, app: FastAPI, *, watchdog: Watchdog, ready: Callable[[], None] = lambda: None) -> None:
        """Make a server that is not running yet.

        Args:
            app: Of `create_app`.
            watchdog: Ends the process where ending takes too long.
            ready: Called in the event loop once requests are taken.
        """
        limits: Limits = app.state.limits
        super().__init__(_uvicorn_config(app, limits.settings))
        self._limits = limits
        self._ready = ready
        self._watchdog = watchdog
        self._told = False

    def end(self) -> None:
        """Drain, from any thread."""
        self._limits.draining.begin()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests, then say so."""
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Look after connections and the end, ten times a second; true when it is time to close."""
        if counter % _LOOK_EVERY == 0:
            look_at(self.server_state.connections)
        if self._limits.draining.is_over(at_work=self._limits.places.inside):
            self.should_exit = True
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end the server while it runs; unlike uvicorn's own, none is raised again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in _SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                # Once told to end, what is left is closing; being told again is not an interruption of it.
                signal.signal(each, end_at_once if self._told else handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal, end at once at the second."""
        if not self._told:
            self._told = True
            self.end()
            self._watchdog.end_process_in(self._limits.settings.grace_seconds + _LAST_SECONDS)
        else:
            self.force_exit = self.should_exit = True
            self._watchdog.end_process_in(_AT_ONCE_SECONDS)


def run(
    collections: Collections,
    config: Config,
    *,
    keyring: Keyring,
    listening: socket.socket,
    watchdog: Watchdog,
    ready: Callable[[], None],
    routes: Sequence[Callable[[], APIRouter]] | None = None,
) -> None:
    """Serve open collections until told to end.

    Args:
        collections: What is served.
        config: Every setting.
        keyring: Who may ask.
        listening: Bound, see `bound_socket`.
        watchdog: Ends the process where ending takes too long.
        ready: Called once requests are taken.
        routes: What is answered; None: everything.
    """
    from ragwright.app.serve.application import ROUTES, create_app
    from ragwright.app.serve.observations import Observations
    from ragwright.app.serve.telemetry import telemetry_from

    folder = next(iter(collections)).workspace.folder
    with contextlib.ExitStack() as closing:
        observations = Observations.in_folder(folder, traces=config.server.traces)
        closing.callback(observations.close)
        if telemetry := telemetry_from(os.environ):
            closing.callback(telemetry.close)
        app = create_app(
            collections,
            config,
            keyring=keyring,
            observations=observations,
            telemetry=telemetry,
            routes=routes or ROUTES,
        )
        Server(app, watchdog=watchdog, ready=ready).run(sockets=[listening])


def end_at_once(sig: int, frame: FrameType | None) -> None:
    """End the process; what was acknowledged is written."""
    os._exit(0)


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that is bound, and does not listen yet: whoever connects too early is turned away.

    Raises:
        InputError: The address is not this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named; else answers wait 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise InputError(
            f"{host} port {port} cannot be listened at ({error.strerror or error}); choose others with"
            " --host and --port"
        ) from None
    return bound


def _uvicorn_config(app: FastAPI, settings: ServerConfig) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=limited_protocol(ConnectionLimits.of(settings)),
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the peer is who connects, whatever a header says
        server_header=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
