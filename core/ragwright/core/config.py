"""Every setting: its meaning, its unit, its range, its default, and where its value comes from.

`load_config` reads them once, in `app`; a stage is given its own section, never the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo

from ragwright.core.errors import ConfigError
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


class Section(BaseModel):
    """Settings of one stage: frozen, and nothing unknown, converted or infinite is let in."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class IngestConfig(Section):
    """Which files are read, and how much a single file may cost."""

    jobs: int = Field(default=0, ge=0, le=1024, description="Files parsed at once; 0 means one per core.")
    prune: bool = Field(default=True, description="Whether documents whose files are gone are forgotten.")
    exclude: tuple[str, ...] = Field(
        default=(".git", "node_modules", "__pycache__", ".venv"),
        strict=False,
        description="Names or glob patterns of files and folders that are passed over.",
    )
    include_hidden: bool = Field(default=False, description="Whether names that start with a dot are read.")
    file_megabytes: int = Field(
        default=300, ge=1, le=1_000_000, description="Largest file read, in megabytes."
    )
    parse_memory_megabytes: int = Field(
        default=2048, ge=128, le=1_000_000, description="Memory that parsing one file may take, in megabytes."
    )
    parse_cpu_seconds: int = Field(
        default=120, ge=1, le=86_400, description="CPU time that parsing one file may take, in seconds."
    )
    parse_wall_seconds: int = Field(
        default=180,
        ge=1,
        le=86_400,
        description="Clock time that parsing one file may take, in seconds.",
    )
    free_megabytes: int = Field(
        default=512,
        ge=0,
        le=1_000_000,
        description="Free disk space that must be left, in megabytes; checked before each batch.",
    )


class ChunkConfig(Section):
    """How documents are cut. What is not set here, the domain profile decides."""

    strategy: Literal["structure", "semantic", "recursive", "sentence", "fixed"] | None = Field(
        default=None,
        examples=["structure"],
        description="Where documents are cut: structure, semantic, recursive, sentence or fixed.",
    )
    tokens: int | None = Field(
        default=None, ge=16, le=32_768, examples=[256], description="Longest chunk, in tokens of the encoder."
    )
    overlap: int | None = Field(
        default=None, ge=0, le=16_384, examples=[0], description="Tokens that neighbouring chunks share."
    )

    @model_validator(mode="after")
    def _overlap_is_shorter(self) -> Self:
        if self.tokens is not None and self.overlap is not None and self.overlap >= self.tokens:
            raise ValueError(
                f"chunk.overlap is {self.overlap}; wanted less than chunk.tokens ({self.tokens})"
            )
        return self


class EncoderConfig(Section):
    """The model that turns text into vectors, and what runs it."""

    model: str = Field(
        default="all-MiniLM-L6-v2",
        min_length=1,
        description="The packaged model's name, a model folder (a relative one starts with ./), or the id of"
        " a sentence-transformers model in the local hub cache. Nothing is downloaded.",
    )
    dimension: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        examples=[256],
        description="Numbers of a vector that are kept, for models trained to be cut; unset keeps what the"
        " model declares.",
    )
    backend: Literal["auto", "openvino", "torch"] = Field(
        default="auto",
        description="What runs the model: auto, openvino or torch; auto takes the fastest here.",
    )
    precision: Literal["auto", "bf16", "fp32", "int8"] = Field(
        default="auto",
        description="Number format: auto, bf16 (faster), fp32, or int8 (fastest on a processor; wants a model"
        " that ragwright quantize accepted); auto takes bf16 where it is native.",
    )
    batch_tokens: int = Field(
        default=0, ge=0, le=4_194_304, description="Tokens in one batch; 0 lets the backend choose."
    )
    threads: int = Field(
        default=0, ge=0, le=1024, description="Processor threads; 0 lets the backend choose."
    )
    cache: Path | None = Field(
        default=None,
        strict=False,
        examples=[".ragwright/models"],
        description="Folder for compiled models; unset means models in the workspace.",
    )


class IndexConfig(Section):
    """Where chunks and vectors are kept."""

    url: str | None = Field(
        default=None,
        min_length=1,
        examples=["http://localhost:6333"],
        description="Address of a Qdrant server; unset means the embedded engine in the workspace.",
    )
    collection: str = Field(
        default="ragwright", min_length=1, description="Name of the collection on the server."
    )
    quantization: Literal["none", "int8"] = Field(
        default="none",
        description="What a graph is searched by: none (the vectors) or int8 (a copy a quarter as large, in"
        " memory; the vectors score what it finds). An index takes a change over at the next ingest that"
        " writes to it.",
    )
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=3600, description="How long one call to the server may take, in seconds."
    )
    api_key: SecretStr | None = Field(
        default=None, description="Key of the server, never in a file: set RAGWRIGHT_INDEX__API_KEY."
    )


class CatalogConfig(Section):
    """Where documents and their texts are kept."""

    url: str | None = Field(
        default=None,
        min_length=1,
        examples=["postgresql+psycopg://localhost/ragwright"],
        description="SQLAlchemy URL of the database; unset means catalog.sqlite3 in the workspace.",
    )


class SearchConfig(Section):
    """How chunks are found, and how much of them is evidence."""

    mode: Literal["hybrid", "dense", "lexical"] = Field(
        default="hybrid",
        description="What is searched: hybrid (meaning and words), dense (meaning), lexical (words).",
    )
    limit: int = Field(default=10, ge=1, le=1000, description="Most hits of one search.")
    candidates: int = Field(default=50, ge=1, le=10_000, description="Chunks that each half puts forward.")
    fusion: Literal["rrf", "weighted"] = Field(
        default="weighted", description="How both halves are joined: rrf (by rank) or weighted (by score)."
    )
    rrf_k: int = Field(
        default=60,
        ge=1,
        le=10_000,
        description="The constant of rank fusion; higher makes the first ranks count less.",
    )
    dense_weight: float = Field(default=0.5, ge=0, le=1, description="Share of the dense half, 0 to 1.")
    expansion_weight: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Weight of words the domain adds to a query, 0 (none) to 1 (as its own).",
    )
    rerank: Literal["none", "evidence", "late", "cross"] = Field(
        default="none",
        description="What orders the best candidates anew: none, evidence (by their best sentence; costs no"
        " model), late (late interaction) or cross (a cross-encoder).",
    )
    rerank_candidates: int = Field(
        default=50, ge=1, le=1000, description="Chunks that are reranked; search.limit at the least."
    )
    evidence: float = Field(
        default=0.77,
        ge=0,
        le=1,
        description="Share of the best sentence's score that a sentence must reach to be evidence, 0 to 1;"
        " higher is more precise.",
    )
    budget: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        examples=[600],
        description="Most tokens of evidence in all; unset means any.",
    )


class RerankerConfig(Section):
    """The model behind search.rerank; it runs as the encoder does."""

    model: str | None = Field(
        default=None,
        min_length=1,
        examples=["./models/cross-encoder"],
        description="For cross: a CrossEncoder folder (a relative one starts with ./) or the id of one in the"
        " local hub cache. For late: a MultiVectorEncoder or an embedder; unset means encoder.model.",
    )
    cache_megabytes: int = Field(
        default=256,
        ge=0,
        le=1_000_000,
        description="Memory for token vectors of recent chunks, in megabytes; used by late.",
    )


class AnswerConfig(Section):
    """When a question is answered, and with how much."""

    spans: int = Field(default=5, ge=1, le=100, description="Most evidence spans shown in an answer.")
    support: float = Field(
        default=0.38, ge=0, le=1, description="Support below which an answer is refused, 0 to 1."
    )
    nearest: int = Field(default=3, ge=0, le=100, description="Nearest passages shown with a refusal.")


class JudgeConfig(Section):
    """The language model that judges answers in evaluations; nothing else asks it."""

    url: str | None = Field(
        default=None,
        min_length=1,
        examples=["http://localhost:8000/v1"],
        description="Address of an OpenAI-compatible endpoint, up to and with /v1; unset means no judge.",
    )
    model: str = Field(default="", description="Name of the model there.")
    timeout_seconds: float = Field(
        default=120.0, gt=0, le=3600, description="How long one call may take, in seconds."
    )
    concurrency: int = Field(default=4, ge=1, le=256, description="Calls at once.")
    api_key: SecretStr | None = Field(
        default=None, description="Key of the endpoint, never in a file: set RAGWRIGHT_JUDGE__API_KEY."
    )


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
    answer: AnswerConfig = Field(default=AnswerConfig(), strict=False)
    judge: JudgeConfig = Field(default=JudgeConfig(), strict=False)

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
