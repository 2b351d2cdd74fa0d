"""What can write answers, as the settings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragwright.app.workspace import Workspace
from ragwright.core.config import Config, with_settings
from ragwright.core.errors import ConfigError
from ragwright.generation.conversation import ModelRewriter, RuleRewriter
from ragwright.generation.extractive import ExtractiveGenerator
from ragwright.generation.model_generator import ModelGenerator

ENDPOINT = {"generator.kind": "openai", "generator.url": "http://127.0.0.1:9/v1"}


def workspace(folder: Path, **settings: Any) -> Workspace:
    changed = {key.replace("__", "."): value for key, value in settings.items()}
    return Workspace(with_settings(Config(), {"workspace": folder, **changed}))


def test_without_a_model_the_evidence_itself_answers(tmp_path: Path) -> None:
    made = workspace(tmp_path).generators
    assert list(made.by_name) == ["extractive"] and not made.models
    assert isinstance(made.configured, ExtractiveGenerator) and isinstance(made.rewriter, RuleRewriter)


class Model:
    """A language model, as far as opening it goes; real ones are tested where they are made."""

    name = "model"
    special_tokens = frozenset[str]()
    closed = False

    def count_tokens(self, text: str) -> int | None:
        return None

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """What every kind of language model is opened as."""
    made = Model()
    monkeypatch.setattr("ragwright.generation.language_model.open_language_model", lambda settings: made)
    return made


@pytest.mark.parametrize(
    ("kind", "given", "name"),
    [
        ("openai", "llama3.1:8b", "llama3.1:8b"),
        ("openai", "org/model", "org/model"),
        ("openai", "extractive", "openai"),
        ("local", "./models/small", "small"),
        ("llama-index", "", "llama-index"),
    ],
)
def test_a_model_goes_first_under_its_name_and_rewrites_questions(
    tmp_path: Path, model: Model, kind: str, given: str, name: str
) -> None:
    settings = {"generator.kind": kind, "generator.model": given, "generator.llm_class": "a.B"}
    opened = workspace(tmp_path, **{**ENDPOINT, **settings})
    made = opened.generators
    models: dict[str, Any] = dict(made.models)
    assert list(made.by_name) == [name, "extractive"] and models == {name: model}
    assert isinstance(opened.generator, ModelGenerator) and opened.generator.name == name
    assert isinstance(made.rewriter, ModelRewriter)
    opened.close()
    assert model.closed


def test_the_settings_reach_the_generator(tmp_path: Path, model: Model) -> None:
    missing = {"generator.template": tmp_path / "no.txt"}
    with pytest.raises(ConfigError, match=r"no\.txt"):
        _ = workspace(tmp_path, **{**ENDPOINT, "generator.model": "m", **missing}).generators
