"""Small real workspaces, and servers over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.app.conftest import copy, loaded_once
from tests.app.serve.openai_world import World, world_in
from tests.app.serve.serving import Served, serving

from ragwright.core.config import Config, with_settings


@pytest.fixture(scope="session")
def one_encoder() -> Iterator[None]:
    """Every workspace of this process has the same real encoder, loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragwright.retrieval.encoder.load_encoder", loaded_once)
        yield


@pytest.fixture(scope="session")
def new_config(
    tmp_path_factory: pytest.TempPathFactory, ingested: Path, model_cache: Path, one_encoder: None
) -> Callable[[], Config]:
    """Makes settings over a new copy of the workspace of `ingested`, with its three documents."""

    def make() -> Config:
        project = tmp_path_factory.mktemp("served")
        copy(ingested / "docs", project)
        copy(ingested / ".ragwright", project)
        encoder = {"encoder.cache": model_cache, "encoder.threads": 1}
        return with_settings(Config(), {"workspace": project / ".ragwright", **encoder})

    return make


@pytest.fixture(scope="module")
def small_config(new_config: Callable[[], Config]) -> Config:
    """Settings over a workspace with three documents, of one module's tests."""
    return new_config()


@pytest.fixture(scope="module")
def served(small_config: Config) -> Iterator[Served]:
    """A server without keys over three documents; a test that adds keys closes it for the others."""
    with serving(small_config) as running:
        yield running


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, model_cache: Path, one_encoder: None) -> Iterator[World]:
    """A server with keys, as the official client meets it."""
    with world_in(tmp_path_factory.mktemp("world"), model_cache) as running:
        yield running
