"""What can write answers, made from the settings: the evidence itself, and beside it a language model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragwright.core.config import Config
    from ragwright.core.config_serving import GeneratorConfig
    from ragwright.core.protocols import DocumentStore, Generator, Rewriter
    from ragwright.generation.language_model import LanguageModel

EXTRACTIVE = "extractive"


@dataclass(frozen=True, slots=True)
class Generators:
    """What can write answers in one workspace.

    Attributes:
        by_name: Every generator, the configured one first; `extractive` is always there.
        models: The language models behind them, by the generator's name; extractive has none.
        rewriter: Makes follow-up questions stand alone.
    """

    by_name: Mapping[str, Generator]
    models: Mapping[str, LanguageModel]
    rewriter: Rewriter

    @property
    def configured(self) -> Generator:
        """The one that the settings name."""
        return next(iter(self.by_name.values()))


def make_generators(config: Config, documents: DocumentStore) -> Generators:
    """What the settings say can write answers.

    Args:
        config: Every setting.
        documents: Canonical texts, which quotes are checked against.

    Raises:
        ConfigError: The address, the class path or the template of the model cannot be used.
        MissingExtra: The packages for it are not installed.
        ModelError: The folder of a local model or of its adapter cannot be used.
    """
    from ragwright.generation.conversation import ModelRewriter, RuleRewriter
    from ragwright.generation.extractive import ExtractiveGenerator

    answer = config.answer
    extractive = ExtractiveGenerator(
        documents, spans=answer.spans, support=answer.support, nearest=answer.nearest
    )
    if config.generator.kind == EXTRACTIVE:
        return Generators({EXTRACTIVE: extractive}, {}, RuleRewriter())
    from ragwright.generation.language_model import open_language_model

    model = open_language_model(config.generator)
    writing = _model_generator(config, documents, model)
    by_name: dict[str, Generator] = {writing.name: writing, EXTRACTIVE: extractive}
    return Generators(by_name, {writing.name: model}, ModelRewriter(model))


def _model_generator(config: Config, documents: DocumentStore, model: LanguageModel) -> Generator:
    from ragwright.generation.model_generator import ModelGenerator, ModelSettings

    settings, answer = config.generator, config.answer
    how = ModelSettings(
        knowledge=settings.knowledge,
        support=answer.support,
        nearest=answer.nearest,
        template=settings.template,
        context_tokens=settings.context_tokens,
        history_tokens=settings.history_tokens,
        max_tokens=settings.max_tokens,
        max_seconds=settings.max_seconds,
        temperature=settings.temperature,
    )
    return ModelGenerator(model, documents, settings=how, name=_name(settings))


def _name(settings: GeneratorConfig) -> str:
    """What lists of models call the generator: its model's name, without the folder that it lies in.

    A colon in it does not matter: a model id is cut at its first one.
    """
    name = Path(settings.model).name if settings.kind == "local" else settings.model
    return settings.kind if name in ("", EXTRACTIVE) else name
