"""What tests of language models share: an endpoint that says what it is told, and a small model's folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.openai_server import OpenAIServer, openai_server
from tests.small_language_model import small_adapter, small_language_model


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    """A scripted endpoint, which is asked again soon."""
    from ragwright.generation import openai_model

    with openai_server() as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_model, "PAUSE_SECONDS", 0.01)
        yield running


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model; not to be changed."""
    return small_language_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def adapter_folder(model_folder: Path) -> Path:
    """A LoRA adapter for it; not to be changed."""
    return small_adapter(model_folder.parent / "adapter", model_folder)


@pytest.fixture
def model_copy(model_folder: Path, tmp_path: Path) -> Path:
    """The same model, to be changed."""
    return Path(shutil.copytree(model_folder, tmp_path / "copied"))


@pytest.fixture
def adapter_copy(adapter_folder: Path, tmp_path: Path) -> Path:
    """The same adapter, to be changed."""
    return Path(shutil.copytree(adapter_folder, tmp_path / "copied-adapter"))
