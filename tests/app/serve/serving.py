"""A real server in a thread, over a small real workspace, for tests to talk to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from ragwright.app.serve.application import create_app
from ragwright.app.serve.authentication import Keyring
from ragwright.app.serve.collections import Collections
from ragwright.app.serve.key_file import KeyFile
from ragwright.app.serve.keys import Key, digest_of, new_secret
from ragwright.app.serve.observations import Observations
from ragwright.app.serve.opening import Named, opened
from ragwright.app.serve.running import Server, Watchdog, bound_socket
from ragwright.core.config import Config, with_settings


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs.

    Attributes:
        url: Where, as `http://127.0.0.1:41234`.
        folder: The first workspace.
        app: What it serves; `app.state` holds its parts.
        collections: What is asked.
    """

    url: str
    folder: Path
    app: FastAPI
    collections: Collections

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for raw sockets."""
        parts = httpx.URL(self.url)
        return parts.host, parts.port or 80

    def key(self, name: str, **rights: Any) -> str:
        """A new key, as `ragwright keys add` makes one; from now on the server wants keys."""
        return add_key(self.folder, name, **rights)

    def client(self, key: str | None = None, **options: Any) -> httpx.Client:
        """A client of the server, to be closed."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        # Loading certificates, which no address here needs, takes longer than many of the tests.
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=False, **options)


def add_key(workspace: Path, name: str, **rights: Any) -> str:
    """Add a key to a workspace; the rights are fields of `Key`."""
    secret = new_secret()
    KeyFile.in_folder(workspace).add(Key(name, digest_of(secret), **rights))
    return secret


@contextmanager
def serving(
    config: Config,
    *further: Named,
    adapted: Callable[[Collections], Collections] = lambda collections: collections,
    **changed: Any,
) -> Iterator[Served]:
    """A server over the workspace of a config, on a free port of 127.0.0.1.

    Args:
        config: Of the first workspace; see the fixture `small_config`.
        further: More collections.
        adapted: Makes what is served of what was opened.
        changed: Of the `[server]` section, such as `concurrency=2`.
    """
    config = with_settings(config, {f"server.{name}": value for name, value in changed.items()})
    named = [Named(config.server.collection, config), *further]
    own = config.server.api_key
    keyring = Keyring(KeyFile.in_folder(config.workspace), own=own.get_secret_value() if own else None)
    listening = bound_socket("127.0.0.1", 0)
    with closing(listening), opened(named) as found:
        collections = adapted(found)
        kept = Observations.in_folder(config.workspace, traces=config.server.traces)
        with closing(kept):
            app = create_app(collections, config, keyring=keyring, observations=kept)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            ready = threading.Event()
            server = Server(app, watchdog=Watchdog(), ready=ready.set)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            try:
                assert ready.wait(20), "the server did not start"
                yield Served(url, config.workspace, app, collections)
            finally:
                server.end()
                thread.join(20)
            assert not thread.is_alive(), "the server did not end"
