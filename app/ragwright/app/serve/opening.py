"""Opening the workspaces that are served, and loading what they need before the first question."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.app.serve.collections import Collection, Collections
from ragwright.app.workspace import Workspace
from ragwright.core.errors import ConfigError, ServiceError
from ragwright.core.lock import workspace_lock

if TYPE_CHECKING:
    from ragwright.app.session import Session
    from ragwright.core.config import Config

PURPOSE = "ragwright serve"
_FILE_NAME = "ragwright.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Named:
    """A workspace to be served.

    Attributes:
        name: Of the collection.
        config: Its settings.
    """

    name: str
    config: Config


def named_workspaces(session: Session, further: Sequence[str] = ()) -> list[Named]:
    """The workspaces to be served: the configured one, those of `server.collections`, and further ones.

    A workspace with a ragwright.toml beside its folder is served with that, so that it is asked as it was
    ingested; one without, with the settings of the session. The environment goes before both.

    Args:
        session: Of the command.
        further: NAME=FOLDER; relative folders count from the current one.

    Raises:
        ConfigError: One is not of that form, a name is used twice, or two share one catalog.
    """
    config = session.config
    found = [Named(config.server.collection, config)]
    in_file = session.origins["server.collections"].layer == "file" and session.file is not None
    base = session.file.parent if in_file and session.file else Path()
    given = [(text, base) for text in config.server.collections] + [(text, Path()) for text in further]
    for text, folder in given:
        name, equals, place = (part.strip() for part in text.partition("="))
        if not equals or not place or not _NAME.fullmatch(name):
            raise ConfigError(f"collection {text!r}; wanted NAME=FOLDER, such as law=../law/.ragwright")
        found.append(Named(name, _config_of(session, folder / Path(place).expanduser())))
    _check_distinct(found)
    return found


def _config_of(session: Session, folder: Path) -> Config:
    from ragwright.core.config import load_config

    beside = folder.resolve().parent / _FILE_NAME
    file = beside if beside.is_file() else session.file
    flags: Mapping[str, object] = {"workspace": folder}
    return load_config(flags=flags, file=file, environ=os.environ).config


def _check_distinct(found: Sequence[Named]) -> None:
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two collections are called {name}; give each a name of its own")
    places = [each.config.catalog.url or str(each.config.workspace.resolve()) for each in found]
    for place, name in zip(places, names, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"collection {name} shares its catalog with another one; leave one of them out")


@contextmanager
def opened(named: Sequence[Named], *, purpose: str = PURPOSE) -> Iterator[Collections]:
    """The collections, their parts made when they are first asked for.

    With the embedded engine a workspace is held as long as it is served, since the engine belongs to one
    process; with a Qdrant server it is free, and others may ingest into it.

    Args:
        named: What is served; at least one.
        purpose: What for, as a command; told to whoever finds a workspace held.

    Raises:
        WorkspaceBusy: Another process holds one.
        ConfigError, MissingExtra, ModelError: What writes answers cannot be opened.
    """
    with ExitStack() as stack:
        collections = {}
        for each in named:
            workspace = Workspace(each.config)
            if each.config.index.url is None:
                stack.enter_context(workspace_lock(workspace.folder, purpose=purpose))
            stack.callback(workspace.close)
            generators = workspace.generators
            collections[each.name] = Collection(
                name=each.name,
                workspace=workspace,
                generators=generators.by_name,
                rewriter=generators.rewriter,
                models=generators.models,
            )
        yield Collections(collections)


def warm_up(collections: Collections) -> list[str]:
    """Load models and open indexes, so that the first question waits for neither.

    Returns:
        What does not answer yet, a sentence each: a service that is not up may come up later.

    Raises:
        IndexDamaged: An index is broken, or was made with other settings.
        ModelError: A model's files cannot be used.
    """
    problems = []
    for each in collections:
        each.workspace.encoder.load()
        try:
            if each.workspace.existing_live() is not None:
                each.workspace.retriever.find("warm up")
        except ServiceError as error:
            problems.append(f"collection {each.name}: {error}")
    gc.collect()
    gc.freeze()  # what is loaded stays, and need not be looked at again and again
    return problems
