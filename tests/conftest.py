"""What every test shares: where converted models are kept, the encoder, and a quick folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from ragwright.retrieval.encoder import TransformerEncoder

# `make test-all` tries more examples of every property than `make test` has the time for.
settings.register_profile("quick", max_examples=40)
settings.register_profile("thorough", max_examples=200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


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
    from ragwright.retrieval.forward import Compute
    from ragwright.retrieval.model import DEFAULT_MODEL

    return load_encoder(DEFAULT_MODEL, Compute(cache=model_cache))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, in memory where the system offers it: there, making writes durable costs nothing."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="ragwright-test-") as folder:
        yield Path(folder)
