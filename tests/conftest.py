"""What every test shares: where converted models are kept, the encoder, and a quick folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ragwright.retrieval.encoder import TransformerEncoder


@pytest.fixture(scope="session")
def model_cache(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Folder of converted models: that of RAGWRIGHT_ENCODER__CACHE, else one that pytest keeps between runs.

    The variable names it while the session lasts, so that child processes convert nothing again.
    """
    given = os.environ.get("RAGWRIGHT_ENCODER__CACHE")
    folder = Path(given) if given else request.config.cache.mkdir("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGWRIGHT_ENCODER__CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def _heavy_parsers_are_loaded_once() -> None:
    """Whichever test parses first, the process that forks parsers has loaded the heavy ones."""
    from ragwright.ingest.sandbox import ParseLimits, parse_files

    assert not list(parse_files([], jobs=1, limits=ParseLimits(), heavy=True))


@pytest.fixture(scope="session")
def encoder(model_cache: Path) -> TransformerEncoder:
    """The real default model as it is configured by default."""
    from ragwright.retrieval.encoder import load_encoder
    from ragwright.retrieval.model import DEFAULT_MODEL

    return load_encoder(
        DEFAULT_MODEL, backend="auto", precision="auto", cache=model_cache, batch_tokens=1024, threads=0
    )


@pytest.fixture
def project(quick_folder: Path) -> Iterator[Path]:
    """An empty folder, in memory where the system offers it."""
    with tempfile.TemporaryDirectory(dir=quick_folder) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the whole session, in memory where the system offers it: there, durability is free."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("quick")
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="ragwright-test-") as folder:
        yield Path(folder)
