"""What requests may hold, and what comes back: the bodies of the routes that OpenAI's clients call.

Fields of OpenAI's that mean nothing here are accepted and passed over, since clients send many. Fields of our
own are not: a filter with a slip in its name would otherwise show what it was to keep out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LONGEST_QUESTION = 32_768
"""Characters of a question; longer ones are documents, not questions."""

LONGEST_TEXT = 200_000
"""Characters of any other text of a request."""

MOST_HITS = 100
MOST_MESSAGES = 4_000


def whole_characters(text: str) -> str:
    """The text itself.

    Raises:
        ValueError: It holds half a character: JSON can hold a lone surrogate, and no encoding has one.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text holds half a character (a lone surrogate)") from None
    return text


Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(whole_characters)]
Question = Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION), AfterValidator(whole_characters)]
ModelName = Annotated[str, Field(max_length=300), AfterValidator(whole_characters)]


def _whole_number(value: object) -> object:
    """A number without a fraction as JSON has it: 2.0 is one, too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_WHOLE = BeforeValidator(_whole_number)  # behind the bounds, which the schema else would not tell
Count = Annotated[int, Field(ge=1), _WHOLE]
_Key = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(whole_characters)]
_Value = Annotated[str, Field(max_length=2_000), AfterValidator(whole_characters)]
Filters = Annotated[
    dict[_Key, _Value | Annotated[int, _WHOLE]],
    Field(
        max_length=20,
        description="Field and value that every hit must have: `source`, `title`, `page`, `document`, or a"
        " fact of the document's metadata.",
        examples=[{"type": "manual"}],
    ),
]
TopK = Annotated[int, Field(ge=1, le=MOST_HITS, description="Most hits; unset: `search.limit`."), _WHOLE]
EvidenceShare = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Share of the best sentence's score that evidence must reach: 0 generous, 1 precise.",
    ),
]
Budget = Annotated[int, Field(ge=1, le=1_000_000, description="Tokens of evidence in all."), _WHOLE]
CollectionName = Annotated[
    str,
    Field(min_length=1, max_length=100, description="Unset: the model's."),
    AfterValidator(whole_characters),
]


class Lenient(BaseModel):
    """What a client of another maker writes."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, allow_inf_nan=False)


class Exact(BaseModel):
    """What is only ours."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Part(Lenient):
    """One part of a message's content; only text is read."""

    type: Annotated[
        str, Field(max_length=100, json_schema_extra={"enum": ["text"]}), AfterValidator(whole_characters)
    ]
    text: Text | None = None


class ChatMessage(Lenient):
    """One message. Those of tools are passed over."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | Annotated[list[Part], Field(max_length=1_000)] | None = None


class StreamOptions(Lenient):
    """What a stream tells besides."""

    include_usage: bool | None = None


class RagOptions(Exact):
    """Ragwright's own part of a request; the official client sends it by `extra_body={"rag": {...}}`."""

    collection: CollectionName | None = None
    top_k: TopK | None = None
    filters: Filters | None = None
    evidence: EvidenceShare | None = None
    budget: Budget | None = None
    citations: Literal["markers", "links", "footer", "none"] | None = Field(
        default=None, description="What the text shows of citations; unset: `server.citations`."
    )
    rewrite: bool | None = Field(
        default=None, description="Whether a follow-up question is made to stand alone before the search."
    )
    trace: bool | None = Field(default=None, description="Whether the answer's hits come with it.")
    side_calls: Literal["auto", "rule", "model", "answer"] | None = Field(
        default=None,
        description="Who answers a chat front end that asks for a title, tags or follow-up questions: `rule`,"
        " `model` (the generator's), `auto` (the model where there is one) or `answer` (they are questions"
        " like any other).",
    )


class ChatRequest(Lenient):
    """A chat completion as OpenAI's clients ask for one; other fields are accepted and passed over."""

    model: ModelName | None = Field(
        default=None,
        description="`ragwright/COLLECTION` or `ragwright/COLLECTION:GENERATOR`; see /v1/models.",
    )
    messages: list[ChatMessage] = Field(
        min_length=1,
        max_length=MOST_MESSAGES,
        description="The last one of the user is the question, earlier ones are the conversation, and those"
        " of system and developer the instruction.",
        examples=[[{"role": "user", "content": "How often is the filter replaced?"}]],
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, json_schema_extra={"maximum": 1}), _WHOLE] | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    rag: RagOptions | None = None


class UrlCitation(BaseModel):
    """A citation at its place in the text."""

    url: str = Field(description="Shows the document with the cited characters marked.")
    title: str
    start_index: int = Field(description="First character of the marker or link in the content.")
    end_index: int
    file_id: str = Field(description="The document's id.")
    filename: str
    marker: int
    quote: str
    state: Literal["exact", "normalised", "elsewhere", "missing"]
    start: int = Field(description="First character of the quote in the document's text.")
    end: int
    source: str
    headings: list[str]
    page: int | None


class Annotation(BaseModel):
    """OpenAI's annotation of a message."""

    type: Literal["url_citation"]
    index: int
    url_citation: UrlCitation


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"]
    content: str
    refusal: None
    annotations: list[Annotation]
    context: dict[str, Any] | None = Field(default=None, description="Azure's: `citations` and `intent`.")


class Choice(BaseModel):
    """The one choice."""

    index: int
    message: AssistantMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None


class TokenUsage(BaseModel):
    """What it cost, in tokens of the model behind it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: TokenUsage
    citations: list[str] = Field(description="Addresses, in marker order; empty for a refusal.")
    rag: dict[str, Any] = Field(description="`refused`, `collection`, `generator`, `query`, `citations`, ...")
