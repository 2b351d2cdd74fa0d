"""What OpenTelemetry is told of a trace: a span for each step, with two sets of attribute names.

`gen_ai.*` are those of OpenTelemetry's semantic conventions for generative AI (in development), the others
those of OpenInference, which Phoenix and Langfuse read. Without content there are only numbers and ids.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ragwright.app.serve.values import Trace
from ragwright.core.types import Hit, Message

Value = str | bool | int | float | list[str]

_SEARCHES = ("encode", "search", "rerank", "score", "evidence")


@dataclass(frozen=True, slots=True)
class SpanFacts:
    """One span.

    Attributes:
        name: The operation, and what it works on.
        kind: OpenTelemetry's.
        start: Seconds after the trace began.
        end: Likewise.
        attributes: What is said of it.
        error: Why it failed; "" where that is not told; None where it did not.
    """

    name: str
    kind: Literal["SERVER", "INTERNAL", "CLIENT"]
    start: float
    end: float
    attributes: Mapping[str, Value]
    error: str | None = None


def spans_of(trace: Trace, *, content: bool) -> list[SpanFacts]:
    """The spans of a trace: that of the whole first, then those inside it, in order.

    Steps follow one another, so that each begins where the last one ended; the answer's ends with the trace.

    Args:
        trace: As it was kept.
        content: Whether questions, documents, prompts and answers are told.
    """
    seconds = trace.seconds
    rewritten = seconds.get("rewrite", 0.0)
    searched = rewritten + sum(seconds.get(step, 0.0) for step in _SEARCHES)
    spans = [_whole(trace, content=content)]
    if "rewrite" in seconds and trace.query != trace.ask.question:
        spans.append(_rewrite(trace, rewritten, content=content))
    if "search" in seconds:
        spans.append(_retrieval(trace, rewritten, searched, content=content))
    if "rerank" in seconds:
        spans.append(_rerank(trace, rewritten, content=content))
    if trace.answer is not None or trace.prompt is not None:
        spans.append(_generation(trace, searched, content=content))
    return spans


def _whole(trace: Trace, *, content: bool) -> SpanFacts:
    answer = trace.answer
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": trace.collection,
        "openinference.span.kind": "CHAIN",
        "ragwright.generator": trace.generator,
    }
    if trace.ask.request_id:
        attributes["ragwright.request_id"] = trace.ask.request_id
    if answer is not None:
        attributes |= {"ragwright.refused": answer.refused, "ragwright.citations": len(answer.citations)}
        attributes["ragwright.support"] = answer.support
    if content:
        attributes |= {"input.value": trace.ask.question, "user.id": trace.caller}
    if content and answer is not None:
        attributes["output.value"] = answer.text
    error = None if trace.error is None else trace.error if content else ""
    if error is not None:
        attributes["error.type"] = "stopped" if trace.error == "stopped" else "failed"
    name = f"invoke_workflow {trace.collection}"
    return SpanFacts(name, "SERVER", 0.0, trace.seconds.get("all", 0.0), attributes, error)


def _rewrite(trace: Trace, end: float, *, content: bool) -> SpanFacts:
    attributes: dict[str, Value] = {"openinference.span.kind": "CHAIN"}
    if content:
        attributes |= {"input.value": trace.ask.question, "output.value": trace.query}
    return SpanFacts("rewrite", "INTERNAL", 0.0, end, attributes)


def _retrieval(trace: Trace, start: float, end: float, *, content: bool) -> SpanFacts:
    hits = trace.answer.hits if trace.answer else ()
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.provider.name": "ragwright",
        "gen_ai.data_source.id": trace.collection,
        "gen_ai.retrieval.documents": json.dumps([{"id": hit.chunk.id, "score": hit.score} for hit in hits]),
        "openinference.span.kind": "RETRIEVER",
        **_documents("retrieval.documents", hits, content=content),
    }
    if trace.ask.limit is not None:
        attributes["gen_ai.request.top_k"] = trace.ask.limit
    if content:
        attributes |= {"gen_ai.retrieval.query.text": trace.query, "input.value": trace.query}
    return SpanFacts(f"retrieval {trace.collection}", "INTERNAL", start, end, attributes)


def _rerank(trace: Trace, start: float, *, content: bool) -> SpanFacts:
    seconds, hits = trace.seconds, trace.answer.hits if trace.answer else ()
    begin = start + seconds.get("encode", 0.0) + seconds.get("search", 0.0)
    attributes: dict[str, Value] = {
        "openinference.span.kind": "RERANKER",
        "reranker.top_k": len(hits),
        **_documents("reranker.output_documents", hits, content=content),
    }
    if content:
        attributes["reranker.query"] = trace.query
    return SpanFacts("rerank", "INTERNAL", begin, begin + seconds["rerank"], attributes)


def _documents(prefix: str, hits: Sequence[Hit], *, content: bool) -> dict[str, Value]:
    told: dict[str, Value] = {}
    for place, hit in enumerate(hits):
        document = f"{prefix}.{place}.document"
        told |= {f"{document}.id": hit.chunk.id, f"{document}.score": hit.score}
        if content:
            about = {"source": hit.source, "title": hit.title, "page": hit.chunk.page}
            told |= {f"{document}.content": hit.chunk.text, f"{document}.metadata": json.dumps(about)}
    return told


def _generation(trace: Trace, searched: float, *, content: bool) -> SpanFacts:
    """The span of what wrote the answer; that of no model is no `chat`."""
    answer, asked, end = trace.answer, trace.ask, trace.seconds.get("all", 0.0)
    start = end - trace.seconds["answer"] if "answer" in trace.seconds else min(searched, end)
    by_model = trace.prompt is not None
    attributes: dict[str, Value] = {"openinference.span.kind": "LLM" if by_model else "CHAIN"}
    if by_model:
        attributes |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "ragwright",
            "gen_ai.request.model": trace.generator,
            "llm.model_name": trace.generator,
            "llm.invocation_parameters": json.dumps(
                {"max_tokens": asked.max_tokens, "temperature": asked.temperature}
            ),
        }
        attributes |= _given("gen_ai.request.max_tokens", asked.max_tokens)
        attributes |= _given("gen_ai.request.temperature", asked.temperature)
    if "first" in trace.seconds:
        attributes["gen_ai.response.time_to_first_chunk"] = max(0.0, trace.seconds["first"] - start)
    if answer is not None:
        read, written = answer.usage.prompt_tokens, answer.usage.completion_tokens
        attributes |= {
            "gen_ai.usage.input_tokens": read,
            "gen_ai.usage.output_tokens": written,
            "gen_ai.response.finish_reasons": [answer.finish],
            "llm.token_count.prompt": read,
            "llm.token_count.completion": written,
            "llm.token_count.total": read + written,
        }
    if content:
        attributes |= _messages(trace)
    name = f"chat {trace.generator}" if by_model else f"write {trace.generator}"
    return SpanFacts(name, "CLIENT" if by_model else "INTERNAL", start, end, attributes)


def _given(name: str, value: float | None) -> dict[str, Value]:
    return {} if value is None else {name: value}


def _messages(trace: Trace) -> dict[str, Value]:
    told: dict[str, Value] = {}
    if trace.prompt is not None:
        told["gen_ai.input.messages"] = json.dumps([_message(each) for each in trace.prompt.messages])
        for place, message in enumerate(trace.prompt.messages):
            told[f"llm.input_messages.{place}.message.role"] = message.role
            told[f"llm.input_messages.{place}.message.content"] = message.text
    if trace.answer is not None:
        written = {**_message(Message("assistant", trace.answer.text)), "finish_reason": trace.answer.finish}
        told["gen_ai.output.messages"] = json.dumps([written])
        told["llm.output_messages.0.message.role"] = "assistant"
        told["llm.output_messages.0.message.content"] = trace.answer.text
        told["output.value"] = trace.answer.text
    return told


def _message(message: Message) -> dict[str, object]:
    return {"role": message.role, "parts": [{"type": "text", "content": message.text}]}
