"""What a rule looks at, and what it drafts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from string import Formatter

from ragwright.core.types import Chunk
from ragwright.finetune.questions.asking import Range, Subject
from ragwright.finetune.questions.english import singular
from ragwright.finetune.questions.loosening import Loosener
from ragwright.finetune.questions.surface import Sentence, heading_text, sentences_of
from ragwright.finetune.questions.vocabulary import Vocabulary
from ragwright.finetune.questions.wording import worded


@dataclass(frozen=True, slots=True)
class Draft:
    """A question that a rule has made.

    Attributes:
        text: The question.
        ranges: Half-open character ranges of the document that answer it.
        task: What kind of question it is.
        rule: Name of the rule and its version.
        answer: A short answer, or "".
        weight: How good the rule takes it to be; 1 is usual.
    """

    text: str
    ranges: tuple[Range, ...]
    task: str
    rule: str
    answer: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the sentences under it, as far as they stand in one chunk.

    Attributes:
        heading: The nearest title above, or one that stands in a line with the first sentence; or "".
        sentences: In text order.
    """

    heading: str
    sentences: list[Sentence] = field(default_factory=list)


@dataclass(frozen=True)
class Scene:
    """A chunk with all that rules need of its document and collection.

    Attributes:
        subject: The document.
        chunk: What is asked about.
        vocabulary: Of the collection.
        loosener: Of the document's domain.
        templates: The profile's question templates, by what they ask about.
        chance: Draws; equal seeds give equal questions.
        english: Whether the document is English, as far as its profile says.
    """

    subject: Subject
    chunk: Chunk
    vocabulary: Vocabulary
    loosener: Loosener
    templates: Mapping[str, tuple[str, ...]]
    chance: Random
    english: bool = True

    @cached_property
    def sentences(self) -> list[Sentence]:
        """The sentences of the chunk that say something."""
        return sentences_of(self.subject, self.chunk)

    @cached_property
    def sections(self) -> list[Section]:
        """The sections of the chunk that say something, in text order."""
        titles = _titles(self.subject, self.chunk, self.title)
        found = [Section(self.headings[-1] if self.headings else "")]
        for sentence in self.sentences:
            while titles and titles[0][0] < sentence.start:
                found.append(Section(titles.pop(0)[1]))
            if sentence.heading:
                found.append(Section(sentence.heading))
            found[-1].sentences.append(sentence)
        return [section for section in found if section.sentences]

    @cached_property
    def title(self) -> str:
        """The document's title as a question can name it; "" for a file's name."""
        title = self.subject.document.title
        return "" if title == self.subject.source or "/" in title or len(title) > 90 else heading_text(title)

    @cached_property
    def sign(self) -> str:
        """The words of the title that tell the document from others, or ""."""
        return self.vocabulary.sign_of(self.subject.document.title)

    @cached_property
    def headings(self) -> tuple[str, ...]:
        """Titles above the chunk, the document's own left out, without numbers."""
        title = self.subject.document.title
        return tuple(text for each in self.chunk.headings if each != title and (text := heading_text(each)))

    def template(self, kind: str, /, **values: str) -> str:
        """One of the templates of a kind, drawn, with its fields filled; "" where none can be.

        A template whose field has no value is not drawn.
        """
        known = {name: value for name, value in values.items() if value}
        fitting = [each for each in self.templates.get(kind, ()) if _fields(each) <= known.keys()]
        if not fitting:
            return ""
        text = self.chance.choice(fitting).format(**known)
        for value in known.values():
            text = _agreeing(text, value)
        return worded(text)


Rule = Callable[[Scene], Iterator[Draft]]


def _titles(subject: Subject, chunk: Chunk, title: str) -> list[tuple[int, str]]:
    """Where titles begin in a chunk, and what they say; "" for that of the document."""
    blocks = subject.blocks_in(chunk.span.start, chunk.span.end)
    inside = (block for block in blocks if block.kind == "title")
    found = ((block.start, heading_text(subject.text(block.start, block.end))) for block in inside)
    return [(start, "" if text == title else text) for start, text in found]


def _agreeing(text: str, noun: str) -> str:
    """A question whose verb before a noun has its number."""
    last = noun.rpartition(" ")[2]
    if singular(last) == last or not last.islower():
        return text
    for one, many in (("does", "do"), ("is", "are"), ("was", "were"), ("has", "have")):
        text = re.sub(rf"\b{one} {re.escape(noun)}", f"{many} {noun}", text, flags=re.IGNORECASE)
    return text[:1].upper() + text[1:]


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}
