"""Settings of the stages: what is ingested, how it is found, when it is answered and judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, SecretStr, model_validator

from ragwright.core.errors import InputError
from ragwright.core.section import Section

if TYPE_CHECKING:
    from ragwright.core.types import Access


class IngestConfig(Section):
    """Which files are read, and how much a single file may cost."""

    jobs: int = Field(default=0, ge=0, le=1024, description="Files parsed at once; 0 means one per core.")
    prune: bool = Field(default=True, description="Whether documents whose files are gone are forgotten.")
    exclude: tuple[str, ...] = Field(
        default=(".git", "node_modules", "__pycache__", ".venv"),
        strict=False,
        description="Names or glob patterns of files and folders that are passed over.",
    )
    tenant: str = Field(default="", description="Whose the documents are; empty where nobody is told apart.")
    groups: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Who of the tenant may see the documents; empty means everyone of it.",
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

    @model_validator(mode="after")
    def _names_can_be_used(self) -> Self:
        if self.tenant or self.groups:
            try:
                _ = self.access
            except InputError as error:
                raise ValueError(str(error)) from error
        return self

    @property
    def access(self) -> Access:
        """Who may see the documents."""
        from ragwright.core.types import Access  # brings numpy, which most commands can do without

        return Access(self.tenant, self.groups)


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
    task: str | None = Field(
        default=None,
        min_length=1,
        examples=["table"],
        description="The one of the model's prompts that stands before questions; unset takes its prompt for"
        " all of them.",
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
    query_adapter: Path | None = Field(
        default=None,
        strict=False,
        examples=[".ragwright/tuned/adapter"],
        description="Folder of a query adapter, trained for this model; it moves the vectors of queries, and"
        " the index stays as it is.",
    )
    router: Path | None = Field(
        default=None,
        strict=False,
        examples=[".ragwright/tuned/router.json"],
        description="Table of experts that queries are routed to, as ragwright tune routing writes it; where"
        " query_adapter is set, that moves every query instead.",
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
    rerank: Literal["none", "evidence", "late", "cross", "reader"] = Field(
        default="none",
        description="What orders the best candidates anew: none, evidence (by their best sentence; costs no"
        " model), late (late interaction), cross (a cross-encoder) or reader.",
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
    expert: str | None = Field(
        default=None,
        min_length=1,
        examples=["policies"],
        description="Expert of encoder.router that encodes queries; unset lets the router choose for each.",
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


class ReaderConfig(Section):
    """The model that chooses evidence by reading the hits; it runs as the encoder does."""

    model: str | None = Field(
        default=None,
        min_length=1,
        examples=["./.ragwright/tuned/reader/model"],
        description="A reader's folder (a relative one starts with ./), as ragwright tune reader writes it;"
        " unset means that sentences are scored by meaning and words.",
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
