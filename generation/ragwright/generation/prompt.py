"""The prompt: rules, earlier turns, numbered evidence and the question, put together by concatenation.

    system     the template
    user       earlier turns, oldest first
    assistant
    user       <documents> <document 1> title, section, page, evidence </document 1> ... </documents>
               <instruction> of the caller, if there is one </instruction>
               <question> </question>

No text passes through a template engine, and everything but the template is neutralised first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragwright.core.types import AnswerRequest, Evidence, Hit, Message, Prompt, Span, Turn
from ragwright.generation.counting import Count, counter, known_length
from ragwright.generation.history import alternating, trim
from ragwright.generation.language_model import LanguageModel
from ragwright.generation.neutralise import Neutraliser
from ragwright.generation.passages import Numbered, Standing, reading_order

GAP = "[...]"
"""Stands for text of a document that is left out."""

_LONGEST_HEADER = 200  # characters of a title, or of a heading path


@dataclass(frozen=True, slots=True)
class Made:
    """A prompt, and what its numbers stand for.

    Attributes:
        prompt: What a model is given.
        documents: Numbered from 1, in order.
    """

    prompt: Prompt
    documents: tuple[Numbered, ...]


class PromptMaker:
    """Makes prompts for one model."""

    def __init__(
        self, model: LanguageModel, *, system: str, context_tokens: int, history_tokens: int
    ) -> None:
        """Make a maker.

        Args:
            model: Counts tokens, and names its special ones.
            system: The system prompt.
            context_tokens: The most tokens of evidence, headers and delimiters included.
            history_tokens: The most tokens of earlier turns.
        """
        self._model = model
        self._system = system
        self._harmless = Neutraliser(model.special_tokens)
        self._evidence = _EvidenceBlock(counter(model), self._harmless, context_tokens)
        self._history_tokens = history_tokens

    def make(self, request: AnswerRequest, found: Sequence[Standing]) -> Made:
        """A prompt within the budgets. The system prompt, the instruction and the question are never cut.

        Args:
            request: What is asked.
            found: Evidence that stands, best first.
        """
        documents = self._evidence.chosen(found)
        history = self._history(request.history)
        user = [self._evidence.text(documents)]
        if request.instruction:
            user.append(f"<instruction>\n{self._harmless(request.instruction)}\n</instruction>")
        user.append(f"<question>\n{self._harmless(request.question)}\n</question>")
        messages = (Message("system", self._system), *alternating(history, "\n\n".join(user)))
        hits = {each.hit.chunk.id for each in found}
        prompt = Prompt(
            messages=messages,
            tokens=known_length(self._model, messages),
            dropped_hits=len(hits) - len(documents),
            dropped_turns=len(request.history) - len(history),
        )
        return Made(prompt, documents)

    def _history(self, turns: Sequence[Turn]) -> tuple[Turn, ...]:
        """The turns that there is room for, from a question of the user on."""
        count = counter(self._model)
        kept = trim(turns, tokens=self._history_tokens, count=count)  # the others are not even read
        harmless = [Turn(turn.role, self._harmless(turn.text)) for turn in kept]
        kept = trim(harmless, tokens=self._history_tokens, count=count)
        first = next((place for place, turn in enumerate(kept) if turn.role == "user"), len(kept))
        return kept[first:]


class _EvidenceBlock:
    """The part of a prompt that holds the evidence."""

    def __init__(self, count: Count, harmless: Neutraliser, tokens: int) -> None:
        self._count = count
        self._harmless = harmless
        self._tokens = tokens
        self._longest_header = min(_LONGEST_HEADER, tokens // 2)

    def text(self, documents: Sequence[Numbered]) -> str:
        """The documents between their delimiters."""
        return "\n".join(("<documents>", *map(self._document, documents), "</documents>"))

    def chosen(self, found: Sequence[Standing]) -> tuple[Numbered, ...]:
        """The best evidence that there is room for; the start of the best where none fits whole."""
        room = self._tokens - self._count(self.text(()))
        kept: list[Standing] = []
        opened: set[str] = set()
        for each in found:
            cost = self._count(f"\n\n{GAP}\n\n{self._harmless(each.evidence.text)}")
            if each.hit.chunk.id not in opened:
                cost += self._count(self._document(Numbered(len(opened) + 1, replace(each.hit, evidence=()))))
            if cost <= room:
                room -= cost
                kept.append(each)
                opened.add(each.hit.chunk.id)
        while kept and not self._fits(kept):  # texts may have more tokens together than one by one
            kept.pop()
        return _numbered(kept or self._cut(found[:1]))

    def _fits(self, passages: Sequence[Standing]) -> bool:
        return self._count(self.text(_numbered(passages))) <= self._tokens

    def _cut(self, best: Sequence[Standing]) -> list[Standing]:
        """The longest start of a passage that fits and ends at white space, if there is one."""
        for each in best:
            text = each.evidence.text
            ends = [place for place, sign in enumerate(text) if sign.isspace() and place]
            low, high = 0, len(ends)  # the first `low` ends fit, those from `high` on do not
            while low < high:
                middle = (low + high) // 2
                if self._fits([_start_of(each, ends[middle])]):
                    low = middle + 1
                else:
                    high = middle
            if low:
                return [_start_of(each, ends[low - 1])]
        return []

    def _document(self, document: Numbered) -> str:
        hit = document.hit
        lines = [f"<document {document.number}>", *self._header(hit)]
        parts = [self._harmless(evidence.text) for evidence in hit.evidence]
        return "\n".join((*lines, "", f"\n\n{GAP}\n\n".join(parts), f"</document {document.number}>"))

    def _header(self, hit: Hit) -> list[str]:
        headings = hit.chunk.headings
        section = " > ".join(headings[1:] if headings[:1] == (hit.title,) else headings)
        lines = [f"Title: {self._harmless.line(hit.title, self._longest_header)}"]
        if section:
            lines.append(f"Section: {self._harmless.line(section, self._longest_header)}")
        if hit.chunk.page is not None:
            lines.append(f"Page: {hit.chunk.page}")
        return lines


def _start_of(passage: Standing, length: int) -> Standing:
    evidence = passage.evidence
    text = evidence.text[:length].rstrip()
    start = evidence.span.start
    span = Span(evidence.span.document_id, start, start + len(text))
    return Standing(passage.hit, Evidence(span, text, evidence.score))


def _numbered(passages: Sequence[Standing]) -> tuple[Numbered, ...]:
    """Passages by the hit that they are of, numbered in reading order.

    Args:
        passages: Best first.
    """
    evidence: dict[str, list[Standing]] = {}
    for each in reading_order(passages):
        evidence.setdefault(each.hit.chunk.id, []).append(each)
    return tuple(
        Numbered(number, replace(each[0].hit, evidence=tuple(one.evidence for one in each)))
        for number, each in enumerate(evidence.values(), 1)
    )
