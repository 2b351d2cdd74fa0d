"""Small models in folders of their own, opened as a user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragwright.core.config_serving import GeneratorConfig
from ragwright.generation.language_model import open_language_model
from ragwright.generation.local_model import LocalModel


def model_of(folder: Path, **options: Any) -> LocalModel:
    """The model of a folder."""
    model = open_language_model(GeneratorConfig(kind="local", model=str(folder), **options))
    assert isinstance(model, LocalModel)
    return model
