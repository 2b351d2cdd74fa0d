"""Every setting: its meaning, its unit, its range, its default, and where its value comes from.

`load_config` reads them once, in `app`; a stage is given its own section, never the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo

from ragwright.core.config_serving import ConversationConfig, GeneratorConfig, ServerConfig
from ragwright.core.config_stages import (
    AnswerConfig,
    CatalogConfig,
    ChunkConfig,
    EncoderConfig,
    IndexConfig,
    IngestConfig,
    JudgeConfig,
    ReaderConfig,
    RerankerConfig,
    SearchConfig,
)
from ragwright.core.config_tuning import NegativesConfig, QuestionsConfig, TuneConfig
from ragwright.core.errors import ConfigError
from ragwright.core.section import Section
from ragwright.core.settings_problems import misfits, refusal
from ragwright.core.settings_sources import (
    Given,
    Origin,
    anchored,
    find_file,
    from_assignments,
    from_environment,
    from_file,
    from_flags,
    outside_folder,
)
from ragwright.core.settings_text import toml_text


class Config(Section):
    """Every setting of Ragwright."""

    workspace: Path = Field(
        default=Path(".ragwright"),
        strict=False,
        description="Folder that holds the catalog, the index and the models.",
    )
    domain: str = Field(
        default="general",
        min_length=1,
        description="Domain profile: the name of a built-in one, or the path of a TOML file.",
    )
    ingest: IngestConfig = Field(default=IngestConfig(), strict=False)
    chunk: ChunkConfig = Field(default=ChunkConfig(), strict=False)
    encoder: EncoderConfig = Field(default=EncoderConfig(), strict=False)
    index: IndexConfig = Field(default=IndexConfig(), strict=False)
    catalog: CatalogConfig = Field(default=CatalogConfig(), strict=False)
    search: SearchConfig = Field(default=SearchConfig(), strict=False)
    reranker: RerankerConfig = Field(default=RerankerConfig(), strict=False)
    reader: ReaderConfig = Field(default=ReaderConfig(), strict=False)
    answer: AnswerConfig = Field(default=AnswerConfig(), strict=False)
    generator: GeneratorConfig = Field(default=GeneratorConfig(), strict=False)
    conversation: ConversationConfig = Field(default=ConversationConfig(), strict=False)
    server: ServerConfig = Field(default=ServerConfig(), strict=False)
    judge: JudgeConfig = Field(default=JudgeConfig(), strict=False)
    questions: QuestionsConfig = Field(default=QuestionsConfig(), strict=False)
    negatives: NegativesConfig = Field(default=NegativesConfig(), strict=False)
    tune: TuneConfig = Field(default=TuneConfig(), strict=False)

    def value(self, key: str) -> Any:
        """The value of a dotted key, such as `search.limit`."""
        section, _, name = key.rpartition(".")
        return getattr(getattr(self, section) if section else self, name)


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """The settings of one run.

    Attributes:
        config: The values.
        origins: Every dotted key, in the order of `Config`, and where its value came from.
        file: The configuration file that was read, or None.
    """

    config: Config
    origins: Mapping[str, Origin]
    file: Path | None


def settings() -> dict[str, FieldInfo]:
    """Every setting by its dotted key, sections in the order of `Config`."""
    found: dict[str, FieldInfo] = {}
    for name, field in Config.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found |= {f"{name}.{key}": part for key, part in kind.model_fields.items()}
        else:
            found[name] = field
    return found


def load_config(
    *,
    flags: Mapping[str, Any],
    file: Path | None,
    environ: Mapping[str, str],
    assignments: Sequence[str] = (),
) -> LoadedConfig:
    """Read every setting: command line over environment over file over default.

    Args:
        flags: Values by dotted key; None means that the option was not given.
        file: The file to read; None looks at RAGWRIGHT_CONFIG, then for ragwright.toml in the current folder
            and the folders above it. Relative paths in it, and the default workspace, count from its folder.
        environ: Environment variables: RAGWRIGHT_SEARCH__LIMIT is `search.limit`. An empty one is not set.
        assignments: What the command line sets by key, as `search.limit=5`; a command's own option wins.

    Returns:
        The values and where each came from.

    Raises:
        ConfigError: One line for each setting that is unknown, of the wrong type or out of range.
    """
    known = settings()
    path = find_file(file, environ)
    line = [*from_assignments(assignments, known), *from_flags(flags)]
    layers = [*from_file(path), *from_environment(environ, known), *line]
    problems = [problem for given in layers if (problem := refusal(given, known))]
    given = {each.key: anchored(each, path, known[each.key]) for each in layers if each.key in known}
    values: dict[str, Any] = {"workspace": outside_folder(path) / str(Config().workspace)}
    for key, each in given.items():
        section, _, name = key.rpartition(".")
        (values.setdefault(section, {}) if section else values)[name] = each.value
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        problems += misfits(error, given, known)
    if problems:
        raise ConfigError("\n".join(problems))
    default = Origin("default", "")
    return LoadedConfig(config, {key: given[key].origin if key in given else default for key in known}, path)


def with_settings(config: Config, changed: Mapping[str, Any]) -> Config:
    """The settings with some of them changed, checked as a whole.

    Args:
        config: Every setting.
        changed: Values by dotted key.

    Raises:
        ConfigError: A key is unknown, or a value is of the wrong type or out of range.
    """
    values = {name: dict(part) if isinstance(part, Section) else part for name, part in config}
    for key, value in changed.items():
        if key not in settings():
            raise ConfigError(f'unknown setting "{key}"')
        section, _, name = key.rpartition(".")
        (values[section] if section else values)[name] = value
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        given = {key: Given(key, value, Origin("flag", "--vary")) for key, value in changed.items()}
        raise ConfigError("\n".join(misfits(error, given, settings()))) from error


def default_toml(chosen: Mapping[str, Any] | None = None) -> str:
    """A configuration file with every setting, its meaning and its default, commented out.

    Args:
        chosen: Values by dotted key that are written in force.

    Returns:
        TOML that loads to the defaults and the chosen values.
    """
    return toml_text(settings(), chosen=chosen or {})
