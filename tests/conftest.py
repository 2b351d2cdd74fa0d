"""What every test shares: where converted models are kept, the encoder, and a quick folder."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from tests.collecting import OnlyExamples

if TYPE_CHECKING:
    from ragwright.retrieval.encoder import TransformerEncoder

# `make test-all` tries more examples of every property than `make test` has the time for. No example has a
# deadline: on a busy machine any may take long.
settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=200, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


MEMORY = Path("/dev/shm")
ROOM = 4_000_000_000  # bytes; a whole run writes less


def pytest_configure(config: pytest.Config) -> None:
    """Test folders lie in memory where there is room; workers that share the cores have one thread each."""
    config.pluginmanager.register(OnlyExamples())
    gc.disable()  # until everything is collected: what is imported stays
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if "PYTEST_XDIST_WORKER" in os.environ:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The files of `--dist loadfile` go out so that each worker needs few libraries; see `FromBothEnds`."""
    from tests.scheduling import FromBothEnds

    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return FromBothEnds(config, log)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look at it again and again."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


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
