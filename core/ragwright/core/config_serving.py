"""Settings of answering and serving: the generator, the conversation, the server and its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from ragwright.core.section import Section


class GeneratorConfig(Section):
    """What writes answers."""

    kind: Literal["extractive", "openai", "local", "llama-index"] = Field(
        default="extractive",
        description="What writes answers: extractive (the evidence itself; no language model), openai (any"
        " OpenAI-compatible endpoint), local (a transformers folder) or llama-index (a class of LlamaIndex).",
    )
    url: str | None = Field(
        default=None,
        min_length=1,
        examples=["http://localhost:8000/v1"],
        description="For openai: address of the endpoint, up to and with /v1.",
    )
    model: str = Field(
        default="",
        description="For openai and llama-index: name of the model there. For local: its folder, holding"
        " safetensors (a relative one starts with ./).",
    )
    adapter: str | None = Field(
        default=None,
        min_length=1,
        examples=["./adapters/raft"],
        description="For local: folder of a LoRA adapter.",
    )
    llm_class: str | None = Field(
        default=None,
        min_length=1,
        examples=["llama_index.llms.ollama.Ollama"],
        description="For llama-index: path of the class; it is made with the model's name.",
    )
    api_key: SecretStr | None = Field(
        default=None, description="Key of the endpoint, never in a file: set RAGWRIGHT_GENERATOR__API_KEY."
    )
    knowledge: Literal["context-only", "context-first", "open"] = Field(
        default="context-only",
        description="What an answer may rest on: context-only (the documents), context-first (the documents,"
        " then what the model remembers, marked as such) or open.",
    )
    template: Path | None = Field(
        default=None,
        strict=False,
        examples=["prompt.txt"],
        description="File with the system prompt; unset takes the one that comes with Ragwright.",
    )
    context_tokens: int = Field(
        default=3000, ge=64, le=1_000_000, description="Most tokens of evidence in a prompt."
    )
    history_tokens: int = Field(
        default=1000, ge=0, le=1_000_000, description="Most tokens of earlier turns in a prompt."
    )
    max_tokens: int = Field(
        default=1024, ge=1, le=1_000_000, description="Most tokens of an answer, whatever a caller asks for."
    )
    max_seconds: float = Field(
        default=120.0, gt=0, le=3600, description="Longest time for an answer, in seconds."
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="Longest silence of the endpoint, in seconds."
    )
    retries: int = Field(
        default=2, ge=0, le=10, description="How often a call that has not answered yet is tried again."
    )
    temperature: float = Field(default=0.0, ge=0, le=2, description="Randomness of the model, 0 to 2.")

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        needs = {"openai": ("url", "model"), "local": ("model",), "llama-index": ("llm_class",)}
        for name in needs.get(self.kind, ()):
            if not getattr(self, name):
                raise ValueError(f"generator.kind is {self.kind}, which needs generator.{name}; set it")
        return self


class ConversationConfig(Section):
    """How earlier turns take part."""

    rewrite: bool = Field(
        default=True, description="Whether a follow-up question is made to stand alone before the search."
    )
    turns: int = Field(default=12, ge=0, le=1000, description="Earlier messages that are looked at.")


class ServerConfig(Section):
    """What is served, to whom, and how much of it at once."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen at; any other than this machine's own wants API keys.",
    )
    port: int = Field(default=8080, ge=0, le=65_535, description="Port to listen at; 0 takes a free one.")
    collection: str = Field(
        default="documents",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Name of this workspace among the models: ragwright/NAME.",
    )
    collections: tuple[str, ...] = Field(
        default=(),
        strict=False,
        examples=[["law=../law/.ragwright"]],
        description="Further workspaces to serve, each as NAME=FOLDER.",
    )
    citations: Literal["markers", "links", "footer", "none"] = Field(
        default="footer",
        description="What a plain client's text shows: markers ([1]), links (markers that lead to the"
        " documents), footer (markers and a list of sources at the end) or none.",
    )
    public_url: str | None = Field(
        default=None,
        min_length=1,
        examples=["https://docs.example.org"],
        description="Address under which clients reach the server, for links; unset takes the request's.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        strict=False,
        examples=[["docs.example.org"]],
        description="Host names that requests may name beside this machine's own.",
    )
    allowed_origins: tuple[str, ...] = Field(
        default=(),
        strict=False,
        examples=[["https://chat.example.org"]],
        description="Pages of other origins that may call the server from a browser.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="A key that may do everything, beside those of ragwright keys, for containers; never in"
        " a file: set RAGWRIGHT_SERVER__API_KEY.",
    )
    user_secret: SecretStr | None = Field(
        default=None,
        description="Secret of the signed user header (JWT, HS256) of a chat front end, whose groups then"
        " narrow what a key may see; never in a file: set RAGWRIGHT_SERVER__USER_SECRET.",
    )
    body_megabytes: int = Field(
        default=4, ge=1, le=10_000, description="Largest request, in megabytes; uploads have their own limit."
    )
    upload_megabytes: int = Field(
        default=100, ge=1, le=100_000, description="Largest uploaded file, in megabytes."
    )
    upload_kilobytes_per_second: int = Field(
        default=16,
        ge=1,
        le=1_000_000,
        description="Slowest upload, in kilobytes a second on the average, after server.body_seconds.",
    )
    json_depth: int = Field(
        default=64, ge=4, le=500, description="How deep lists and objects of a request may be nested."
    )
    header_seconds: float = Field(
        default=10.0, gt=0, le=600, description="Longest time for a request's header, in seconds."
    )
    body_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Longest time for a request's body, in seconds; an upload has as much for each"
        " server.body_megabytes of it.",
    )
    write_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="Longest time a client may take no data, in seconds."
    )
    request_seconds: float = Field(
        default=180.0, gt=0, le=3600, description="Longest time for one request, in seconds."
    )
    concurrency: int = Field(default=32, ge=1, le=10_000, description="Requests answered at once.")
    queue: int = Field(
        default=64, ge=0, le=100_000, description="Requests that wait; one more is answered with 503."
    )
    queue_seconds: float = Field(
        default=10.0, gt=0, le=3600, description="Longest wait of a request, in seconds; then it gets 503."
    )
    connections: int = Field(default=1000, ge=1, le=100_000, description="Open connections.")
    requests_per_minute: int = Field(
        default=600, ge=1, le=1_000_000, description="Requests of one key a minute, when it names no own."
    )
    streams: int = Field(default=16, ge=1, le=10_000, description="Answers of one key at once.")
    grace_seconds: float = Field(
        default=10.0, ge=0, le=600, description="Time for running answers when the server is told to end."
    )
    keep_alive_seconds: float = Field(
        default=15.0, gt=0, le=600, description="Longest silence of a stream before a comment is sent."
    )
    log: Literal["text", "json"] = Field(
        default="text", description="Form of the log, a line for each request: text or json."
    )
    log_questions: bool = Field(
        default=False, description="Whether the log holds what was asked, on a line of its own."
    )
    traces: int = Field(
        default=10_000, ge=0, le=10_000_000, description="Traces of answers that are kept; 0 keeps none."
    )
