"""What travels through the server: who asks, what is asked, and what comes back while it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ragwright.core.types import OPEN, OWNER, Access, Answer, Delta, Prompt, Scope, Turn


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the request's key says.

    Attributes:
        name: Names the key, and no other that was or will be, in traces and logs; never the key itself.
        scope: What may be seen. It is the only way to documents: every query of the index states it.
        access: Who may see what this caller uploads.
        may_write: Whether documents may be uploaded and deleted.
        sees_all: Whether scores, prompts and everybody's traces are shown: the workspace's owner.
        requests_per_minute: None leaves it to the settings.
    """

    name: str
    scope: Scope
    access: Access = OPEN
    may_write: bool = False
    sees_all: bool = False
    requests_per_minute: int | None = None


LOCAL = Caller("local", OWNER, may_write=True, sees_all=True)
"""Who asks over this machine's own address while no keys are set."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question with everything a request may say about it.

    Attributes:
        question: The last message.
        history: Earlier turns, oldest first.
        instruction: System and developer messages, joined by blank lines.
        collection: Where is searched; None: the first.
        generator: What writes; None: the configured one.
        filters: Field and value that every hit must have.
        limit: Most hits; None leaves it to the settings, as with all that follow.
        evidence: Share of the best sentence's score that evidence must reach, 0..1.
        budget: Tokens of evidence in all.
        rewrite: Whether a follow-up question is made to stand alone.
        max_tokens: Of the answer.
        temperature: Of the model.
        request_id: Names the request in headers, logs and traces.
    """

    question: str
    history: tuple[Turn, ...] = ()
    instruction: str = ""
    collection: str | None = None
    generator: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    evidence: float | None = None
    budget: int | None = None
    rewrite: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What is being done, told before there is text.

    Attributes:
        stage: `searching` begins the search, `writing` the answer.
        query: What is searched for: the question, or what it was rewritten to.
        passages: How many evidence spans were found, once they are.
    """

    stage: Literal["searching", "writing"]
    query: str
    passages: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer.

    Attributes:
        answer: The whole answer.
        trace_id: Names its trace; it exists also where none is kept.
    """

    answer: Answer
    trace_id: str


ServiceEvent = Status | Delta | Finished
"""Any number of statuses, then deltas, then one end."""


@dataclass(frozen=True, slots=True)
class Trace:
    """How one answer came about.

    Attributes:
        id: 32 hex digits; an OpenTelemetry trace id as well.
        at: When it began, seconds since 1970.
        caller: Name and id of the key; see `Caller.name`.
        tenant: Of the caller's uploads: who else may look at the trace.
        collection: What was searched.
        generator: What wrote.
        ask: What was asked.
        query: What was searched for.
        prompt: What the model was given; None without a model.
        answer: What came out, with its hits; None when it failed or was stopped.
        seconds: Wall time by step: `rewrite`, those of `Finding.seconds`, `evidence`, `first` (from the start
            until the first delta), `answer` and `all`.
        error: What went wrong, in one sentence; `stopped` when the client left.
    """

    id: str
    at: float
    caller: str
    tenant: str
    collection: str
    generator: str
    ask: Ask
    query: str
    prompt: Prompt | None
    answer: Answer | None
    seconds: Mapping[str, float]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person says of an answer, or of one of its citations.

    Attributes:
        trace_id: Of the answer.
        rating: 1 good, -1 bad.
        marker: Of the citation; None: the answer as a whole.
        reasons: From a fixed list, see `feedback.REASONS`.
        text: Free words.
        at: When, seconds since 1970.
        caller: Name and id of the key; see `Caller.name`.
        id: 32 hex digits.
        extra: Anything a client adds, kept as it is.
    """

    trace_id: str
    rating: Literal[1, -1]
    marker: int | None
    reasons: tuple[str, ...]
    text: str
    at: float
    caller: str
    id: str
    extra: Mapping[str, Any] = field(default_factory=dict)
