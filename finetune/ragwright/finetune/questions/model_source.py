"""Questions that a language model writes: few examples, then an excerpt, and quotes that are located.

The few-shot prompt is that of Bonifacio et al. 2022, "InPars" (arXiv:2202.05144); references of several
spans are those of Smith and Troynikov 2024, "Evaluating chunking strategies for retrieval". What is quoted
must stand in the document, or the row is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ragwright.core.protocols import Writer
from ragwright.core.types import Message
from ragwright.finetune.questions.asking import Range, Reply, Request, Subject, labelled
from ragwright.finetune.questions.quoting import QuoteFinder
from ragwright.finetune.values import Audited, LabelledQuestion, Origin

VERSION = "ask-1"
"""Names the prompt; it changes with its words."""

_EXAMPLES = "examples-1"
_MOST_CONTEXT = 1_500  # characters of a neighbouring chunk
_SHORTEST_QUOTE = 12  # characters
_MOST_TOKENS_EACH = 220
_TASKS = ("how many", "how much", "how long", "how often", "how", "why", "when", "where", "who", "what")
_TASK_OF = {
    "how many": "number", "how much": "number", "how long": "number", "how often": "number",
    "how": "procedure", "why": "reason", "when": "condition", "where": "place", "who": "who", "what": "what",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """An example that a model is shown: an excerpt and one question of it."""

    title: str
    section: str
    text: str
    question: str
    quotes: tuple[str, ...]
    answer: str = ""


def own_examples(questions: Iterable[LabelledQuestion], text_of: Callable[[str], str | None]) -> list[Shown]:
    """Examples of questions of one's own: the text around their references is the excerpt.

    Args:
        questions: With references in documents.
        text_of: The canonical text of a source; a question of another document is passed over.
    """
    found = []
    for question in questions:
        span = question.references[0]
        text = text_of(span.document_id)
        if text is None or len(question.sources) > 1:
            continue
        last = max(each.end for each in question.references)
        start, end = max(0, span.start - 300), min(len(text), last + 300)
        found.append(
            Shown(span.document_id, "", text[start:end], question.text, question.quotes, question.answer)
        )
    return found


class ModelSource:
    """Has a language model ask about chunks, each with what stands before and behind it."""

    origin: Origin = "model"

    def __init__(
        self,
        writer: Writer,
        *,
        examples: Sequence[Shown] = (),
        harmless: Callable[[str], str] = str,
        temperature: float = 0.7,
    ) -> None:
        """Make a source.

        Args:
            writer: The language model.
            examples: Shown to it; none: those that come with Ragwright.
            harmless: Takes the power from text of documents that could steer the model.
            temperature: Randomness, from 0.
        """
        self._writer = writer
        self._harmless = harmless
        self._temperature = temperature
        self._shown = [turn for example in examples or _packaged_examples() for turn in self._turns(example)]

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Questions for each request, whose quotes are located in the document.

        Raises:
            ServiceError: The model does not answer at all.
        """
        prompts = [self.prompt(request) for request in requests]
        most = max((request.wanted for request in requests), default=0)
        written = self._writer.write(
            prompts, max_tokens=_MOST_TOKENS_EACH * most + 100, temperature=self._temperature
        )
        finders: dict[str, QuoteFinder] = {}
        replies = []
        for request, text in zip(requests, written, strict=True):
            subject = request.subject
            if subject.source not in finders:
                finders = {subject.source: QuoteFinder(subject.document.text)}  # requests come by document
            replies.append(self._reply(request, text, finders[subject.source]))
        return replies

    def prompt(self, request: Request) -> list[Message]:
        """What the model is given for a request."""
        title = request.subject.document.title
        section = " > ".join(request.chunk.headings)
        wanted = self._wanted(title, section, excerpt(request), request.wanted)
        if request.asked:
            known = "\n".join(f"- {self._harmless(text)}" for text in sorted(request.asked))
            wanted += f"\n\nThese were asked before; ask for something else:\n{known}"
        return [Message("system", _system()), *self._shown, Message("user", wanted)]

    def _wanted(self, title: str, section: str, text: str, count: int) -> str:
        parts = [f"Title: {self._harmless(title)}"]
        if section:
            parts.append(f"Section: {self._harmless(section)}")
        asked = f"Questions wanted: {count}"
        return "\n".join((*parts, "<excerpt>", self._harmless(text), "</excerpt>", asked))

    def _turns(self, example: Shown) -> Iterator[Message]:
        row = {"question": example.question, "quotes": list(example.quotes), "answer": example.answer}
        yield Message("user", self._wanted(example.title, example.section, example.text, 1))
        yield Message("assistant", json.dumps(row, ensure_ascii=False))

    def _reply(self, request: Request, text: str, finder: QuoteFinder) -> Reply:
        questions: list[LabelledQuestion] = []
        audit: list[Audited] = []
        for row in rows_of(text):
            found = _located(row, request, finder)
            if isinstance(found, str):
                audit.append(_dropped(row, request, self._writer.name, found))
            else:
                questions.append(_labelled(row, found, request.subject))
        if not questions and not audit:
            reason = "the model wrote no JSON object with a question" if text else "the model did not answer"
            audit.append(_dropped({"text": text[:500]}, request, self._writer.name, reason))
        return Reply(tuple(questions[: request.wanted]), tuple(audit))


def excerpt(request: Request) -> str:
    """What the model reads: the chunk, and as much of its neighbours as gives it a context."""
    chunks = request.subject.chunks
    place = next((number for number, each in enumerate(chunks) if each.id == request.chunk.id), None)
    if place is None:
        return request.chunk.text
    before = chunks[place - 1].text[-_MOST_CONTEXT:] if place else ""
    after = chunks[place + 1].text[:_MOST_CONTEXT] if place + 1 < len(chunks) else ""
    return "\n\n".join(part for part in (before, request.chunk.text, after) if part)


def rows_of(text: str) -> list[dict[str, Any]]:
    """The JSON objects with a question in a text, whatever else stands around them."""
    decoder, rows, place = json.JSONDecoder(), list[dict[str, Any]](), text.find("{")
    while place >= 0:
        try:
            row, end = decoder.raw_decode(text, place)
        except ValueError:
            place = text.find("{", place + 1)
            continue
        if isinstance(row, dict) and isinstance(row.get("question"), str) and row["question"].strip():
            rows.append(row)
        place = text.find("{", end)
    return rows


def _located(row: Mapping[str, Any], request: Request, finder: QuoteFinder) -> list[Range] | str:
    """Where the quotes of a row stand, or why the row falls."""
    quotes = row.get("quotes")
    if not isinstance(quotes, list) or not quotes or not all(isinstance(quote, str) for quote in quotes):
        return 'it has no list of "quotes"'
    span = request.chunk.span
    found: list[Range] = []
    for quote in quotes:
        place = finder.find(quote, preferred=(span.start, span.end))
        if place is None:
            return f'the quote "{quote[:80]}" does not stand in the document, or in several places of it'
        if place[1] - place[0] < _SHORTEST_QUOTE and len(quotes) == 1:
            return f'the quote "{quote}" is too short to tell its place'
        found.append(place)
    if not any(start < span.end and span.start < end for start, end in found):
        return "none of its quotes stands in the chunk that was asked about"
    return found


def _labelled(row: Mapping[str, Any], ranges: Sequence[Range], subject: Subject) -> LabelledQuestion:
    text = " ".join(str(row["question"]).split())
    answer = row.get("answer")
    return labelled(
        subject,
        text,
        ranges,
        origin="model",
        recipe=VERSION,
        task=task_of(text),
        answer=answer.strip() if isinstance(answer, str) else "",
    )


def task_of(question: str) -> str:
    """What kind of question the words of one say it is; `yes_no` where it begins with none of them.

    >>> task_of("How many people does it take?"), task_of("Can I renew it?")
    ('number', 'yes_no')
    """
    small = question.lower()
    return next(
        (_TASK_OF[word] for word in _TASKS if small.startswith(word) or f" {word} " in small[:40]), "yes_no"
    )


def _dropped(row: Mapping[str, Any], request: Request, model: str, reason: str) -> Audited:
    facts = {"model": model, "recipe": VERSION, "source": request.subject.source, "chunk": request.chunk.id}
    return Audited("", "not_located" if "question" in row else "not_written", reason, True, {**facts, **row})


@cache
def _system() -> str:
    return (files(__package__) / "templates" / f"{VERSION}.txt").read_text("utf-8").strip()


@cache
def _packaged_examples() -> tuple[Shown, ...]:
    lines = (files(__package__) / "templates" / f"{_EXAMPLES}.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return tuple(
        Shown(row["title"], row["section"], row["text"], row["question"], tuple(row["quotes"]), row["answer"])
        for row in rows
    )
