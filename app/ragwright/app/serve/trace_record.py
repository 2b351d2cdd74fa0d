"""A trace as JSON: what is kept of it, how large it may be, and what each caller is shown of it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ragwright.app.serve.values import Ask, Caller, Trace
from ragwright.core.types import Answer, Citation, Evidence, Hit, Message, Prompt, Span, Turn

Record = dict[str, Any]

MOST_BYTES = 1_000_000
"""Of one trace in JSON, which holds ASCII only."""

# Characters of a text and items of a list that are left, one step after the other until a trace is small
# enough.
_STEPS = ((20_000, 1_000), (4_000, 200), (1_000, 50), (200, 10), (50, 3))
_SCORES = ("score", "scores")
_QUESTION_CHARACTERS = 300  # of a summary
_WORD = re.compile(r"\w+")


def trace_record(trace: Trace) -> Record:
    """Everything that is kept of a trace, in values that JSON has.

    Returns:
        `id`, `at`, `caller`, `tenant`, `collection`, `generator`, `request_id`, `ask`, `query`, `hits`,
        `prompt`, `answer`, `seconds` and `error`; spans are objects of `document_id`, `start` and `end`.
    """
    answer = trace.answer
    return {
        "id": trace.id,
        "at": trace.at,
        "caller": trace.caller,
        "tenant": trace.tenant,
        "collection": trace.collection,
        "generator": trace.generator,
        "request_id": trace.ask.request_id,
        "ask": _ask(trace.ask),
        "query": trace.query,
        "hits": [_hit(hit) for hit in answer.hits] if answer else [],
        "prompt": _prompt(trace.prompt),
        "answer": _answer(answer) if answer else None,
        "seconds": dict(trace.seconds),
        "error": trace.error,
    }


def _ask(ask: Ask) -> Record:
    return {
        "question": ask.question,
        "history": [_message(turn) for turn in ask.history],
        "instruction": ask.instruction,
        "filters": dict(ask.filters),
        "limit": ask.limit,
        "evidence": ask.evidence,
        "budget": ask.budget,
        "rewrite": ask.rewrite,
        "max_tokens": ask.max_tokens,
        "temperature": ask.temperature,
    }


def _message(message: Turn | Message) -> Record:
    """A message; of an earlier answer the length alone, since its text may be of a document long deleted."""
    if message.role == "assistant":
        return {"role": message.role, "text": "", "characters": len(message.text)}
    return {"role": message.role, "text": message.text}


def _hit(hit: Hit) -> Record:
    return {
        "chunk_id": hit.chunk.id,
        "span": span_record(hit.chunk.span),
        "source": hit.source,
        "title": hit.title,
        "headings": list(hit.chunk.headings),
        "page": hit.chunk.page,
        "text": hit.chunk.text,
        "score": hit.score,
        "scores": dict(hit.scores),
        "evidence": [_evidence(each) for each in hit.evidence],
        "duplicates": [{"span": span_record(each.span), "source": each.source} for each in hit.duplicates],
    }


def _evidence(evidence: Evidence) -> Record:
    return {"span": span_record(evidence.span), "text": evidence.text, "score": evidence.score}


def span_record(span: Span) -> Record:
    """A span as every JSON of the server says it."""
    return {"document_id": span.document_id, "start": span.start, "end": span.end}


def _prompt(prompt: Prompt | None) -> Record | None:
    if prompt is None:
        return None
    return {
        "messages": [_message(each) for each in prompt.messages],
        "tokens": prompt.tokens,
        "dropped_hits": prompt.dropped_hits,
        "dropped_turns": prompt.dropped_turns,
    }


def _answer(answer: Answer) -> Record:
    usage = answer.usage
    return {
        "text": answer.text,
        "refused": answer.refused,
        "support": answer.support,
        "finish": answer.finish,
        "citations": [_citation(each) for each in answer.citations],
        "marks": [{"start": mark.start, "end": mark.end, "marker": mark.marker} for mark in answer.marks],
        "dropped": list(answer.dropped),
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "seconds": usage.seconds,
        },
    }


def _citation(citation: Citation) -> Record:
    return {
        "marker": citation.marker,
        "span": span_record(citation.span),
        "quote": citation.quote,
        "state": citation.state,
        "source": citation.source,
        "title": citation.title,
        "headings": list(citation.headings),
        "page": citation.page,
    }


def documents_of(record: Mapping[str, Any]) -> set[str]:
    """Ids of the documents that a record names: those whose text it holds, and duplicates of them."""
    duplicates = [each for hit in record["hits"] for each in hit["duplicates"]]
    return _quoted(record) | {each["span"]["document_id"] for each in duplicates}


def _quoted(record: Mapping[str, Any]) -> set[str]:
    """Ids of the documents whose text a record holds."""
    citations = record["answer"]["citations"] if record["answer"] else []
    return {each["span"]["document_id"] for each in (*record["hits"], *citations)}


def may_quote_any(record: Mapping[str, Any]) -> bool:
    """Whether a record may hold text of documents that it does not name.

    So does a prompt whose answer never came, and a query with words of an earlier answer.
    """
    return (record["prompt"] is not None and record["answer"] is None) or _query_quotes_answers(record)


def _query_quotes_answers(record: Mapping[str, Any]) -> bool:
    """Whether the query has words that the user did not write, and there were answers to take them from."""
    history = record["ask"]["history"]
    if all(turn["role"] == "user" for turn in history):
        return False
    said = " ".join((record["ask"]["question"], *(turn["text"] for turn in history)))
    return not _words(record["query"]) <= _words(said)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def stored(record: Record) -> bytes:
    """A record as ASCII JSON of at most `MOST_BYTES` bytes; one that was cut says so by `shortened`."""
    text = json.dumps(record, separators=(",", ":"))
    for characters, items in _STEPS:
        if len(text) <= MOST_BYTES:
            break
        cut = {**_shortened(record, characters, items), "shortened": True}
        text = json.dumps(cut, separators=(",", ":"))
    return text.encode("ascii")


def _shortened(value: Any, characters: int, items: int) -> Any:
    """A value whose texts and lists are no longer than this; what is cut off is told in the text."""
    if isinstance(value, str) and len(value) > characters:
        return f"{value[:characters]}… ({len(value):,} characters)"
    if isinstance(value, Mapping):
        most = max(items, 32)  # the records' own fields are fewer
        pairs = list(value.items())[:most]
        return {
            _shortened(key, characters, items): _shortened(each, characters, items) for key, each in pairs
        }
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_shortened(each, characters, items) for each in value[:items]]
    return value


def without_documents(record: Record, document_ids: Collection[str]) -> Record:
    """A record without these documents; itself where it names none of them.

    Where one of them was among the hits, prompt, answer, earlier turns and a rewritten query may hold its
    text anywhere, so all are emptied. One that was only a duplicate of a hit is no longer named.
    """
    if documents_of(record).isdisjoint(document_ids):
        return record
    kept = [each for each in record["hits"] if each["span"]["document_id"] not in document_ids]
    hits = [{**each, "duplicates": _others(each["duplicates"], document_ids)} for each in kept]
    if _quoted(record).isdisjoint(document_ids):
        return {**record, "hits": hits}
    answer = record["answer"] and {
        **record["answer"],
        "text": "",
        "citations": [],
        "marks": [],
        "dropped": [],
    }
    return {**without_history(record), "hits": hits, "answer": answer}


def _others(spans: Sequence[Record], document_ids: Collection[str]) -> list[Record]:
    return [each for each in spans if each["span"]["document_id"] not in document_ids]


def without_history(record: Record) -> Record:
    """A record without earlier turns and what was made of them: the rewritten query and the prompt."""
    ask = {**record["ask"], "history": []}
    query = record["query"] if record["query"] == ask["question"] else ""
    return {**record, "ask": ask, "query": query, "prompt": None, "redacted": True}


def shown(record: Record, caller: Caller) -> Record:
    """What a caller is shown of a record.

    Prompts, scores, rejected quotes and an error's own words, which hold addresses, only where everything is.
    """
    if caller.sees_all:
        return record
    answer = record["answer"] and _without(record["answer"], ("support", "dropped"))
    hits = [_unscored(each) for each in record["hits"]]
    kept = _without(record, ("prompt",))
    return {**kept, "hits": hits, "answer": answer, "error": _general(record["error"])}


def shown_summary(summary: Record, caller: Caller) -> Record:
    """What a caller is shown of a summary; see `shown`."""
    return summary if caller.sees_all else {**summary, "error": _general(summary["error"])}


def _general(error: str | None) -> str | None:
    """What anybody may know of an error: `stopped` when the client left, else `failed`."""
    return error if error in (None, "stopped") else "failed"


def _unscored(hit: Record) -> Record:
    evidence = [_without(each, _SCORES) for each in hit["evidence"]]
    return {**_without(hit, _SCORES), "evidence": evidence}


def _without(record: Record, names: Collection[str]) -> Record:
    return {name: value for name, value in record.items() if name not in names}


def summary_of(record: Record) -> Record:
    """What a list of traces shows; it holds no text of a document."""
    answer = record["answer"] or {}
    same = ("id", "at", "caller", "collection", "generator", "error", "seconds")
    return {
        **{name: record[name] for name in same},
        "question": record["ask"]["question"][:_QUESTION_CHARACTERS],
        "query": "" if _query_quotes_answers(record) else record["query"][:_QUESTION_CHARACTERS],
        "refused": answer.get("refused"),
        "citations": len(answer.get("citations", ())),
    }


def exported(record: Record, ratings: list[Record]) -> Record:
    """A rated answer as training may take it once a person has reviewed it."""
    answer = record["answer"] or {}
    same = ("at", "tenant", "collection", "generator", "query", "hits")
    return {
        "trace_id": record["id"],
        **{name: record[name] for name in same},
        "question": record["ask"]["question"],
        "history": record["ask"]["history"],
        "answer": answer.get("text"),
        "refused": answer.get("refused"),
        "citations": answer.get("citations", []),
        "ratings": ratings,
        "redacted": record.get("redacted", False),
        "reviewed": False,
    }
