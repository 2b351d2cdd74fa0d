"""Answers written by a language model, shown once their citations are checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from ragwright.core.errors import ServiceError
from ragwright.core.protocols import DocumentStore
from ragwright.core.types import Answer, AnswerEvent, AnswerRequest, Delta, Usage
from ragwright.generation.citing import CitationReader
from ragwright.generation.counting import counter
from ragwright.generation.deltas import join
from ragwright.generation.gate import Gate
from ragwright.generation.language_model import Finish, LanguageModel
from ragwright.generation.markers import BEGIN_QUOTE
from ragwright.generation.passages import Standing, Texts, standing
from ragwright.generation.prompt import Made, PromptMaker
from ragwright.generation.refusal import refusal
from ragwright.generation.system import Knowledge, system_prompt

NOT_FROM_DOCUMENTS = "This is not from the documents."
"""Marks an answer without a citation, where such answers are wanted."""

_CHARACTERS_PER_TOKEN = 16  # more than an answer has; a model that goes on is cut off there


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How answers are written.

    Attributes:
        knowledge: See `GeneratorConfig.knowledge`.
        support: Below it nothing is asked of the model where it may use the documents alone, 0..1.
        nearest: Passages that a refusal lists.
        template: File with the system prompt; None: the packaged one.
        context_tokens: Of evidence in a prompt.
        history_tokens: Of earlier turns in a prompt.
        max_tokens: Of an answer, whatever a caller asks for.
        max_seconds: Of an answer.
        temperature: Where a caller asks for none.
    """

    knowledge: Knowledge
    support: float
    nearest: int
    template: Path | None = None
    context_tokens: int = 3000
    history_tokens: int = 1000
    max_tokens: int = 1024
    max_seconds: float = 120.0
    temperature: float = 0.0


@dataclass(slots=True)
class _Writing:
    """An answer while it is written."""

    request: AnswerRequest
    found: Sequence[Standing]
    made: Made
    reader: CitationReader
    gate: Gate
    room: int  # characters that the model may still write
    started: float = field(default_factory=time.perf_counter)
    raw: list[str] = field(default_factory=list)  # what the model wrote
    shown: list[Delta] = field(default_factory=list)
    end: Finish | None = None
    late: bool = False

    def show(self, delta: Delta | None) -> Iterator[Delta]:
        """What may be shown now that a piece is there."""
        passed = self.gate.pass_on(delta, verified=self.reader.verified) if delta else None
        if passed:
            self.shown.append(passed)
            yield passed

    def take(self, piece: str) -> str:
        """A piece of the model's text, as much of it as there is room for."""
        piece = piece[: self.room]
        self.room -= len(piece)
        self.raw.append(piece)
        if self.room == 0:
            self.end = Finish("length")
        return piece


class ModelGenerator:
    """Has a language model answer from the evidence, and shows what it writes once that is checked.

    - Only evidence that stands in its document is given to the model.
    - Nothing is shown before the first citation that stands in the evidence (the states `exact` and
      `normalised`); behind it, text flows, and is held back only where a quote or a marker is open.
    - With `context-only`, an answer without such a citation is a refusal with the nearest passages, and the
      model is not asked at all where no evidence reaches the wanted support.
    - With `context-first`, an answer without any citation is shown when it is complete, behind the sentence
      `NOT_FROM_DOCUMENTS`.
    - With `open`, text flows at once, and that sentence ends an answer without citations.
    - A limit of tokens or seconds that is reached after the first text ends the answer with `length`.
    """

    def __init__(
        self, model: LanguageModel, documents: DocumentStore, *, settings: ModelSettings, name: str = ""
    ) -> None:
        """Make a generator.

        Args:
            model: Writes.
            documents: Canonical texts.
            settings: How.
            name: Names the generator; "": as its model.

        Raises:
            ConfigError: The template cannot be read.
        """
        self.name = name or model.name
        self._model = model
        self._documents = documents
        self._settings = settings
        self._count = counter(model)
        self._maker = PromptMaker(
            model,
            system=system_prompt(settings.knowledge, settings.template),
            context_tokens=settings.context_tokens,
            history_tokens=settings.history_tokens,
        )

    async def stream(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        """The prompt, the answer piece by piece, and the answer as a whole; or a refusal.

        Raises:
            ServiceError: The model does not answer, broke off, also after some text, or wrote nothing that
                can be shown in the time it has.
        """
        writing = await asyncio.to_thread(self._begin, request)
        if self._lacks_support(writing):
            for event in self._refusal(writing):
                yield event
            return
        yield writing.made.prompt
        async with aclosing(self._written(writing)) as deltas:
            async for delta in deltas:
                yield delta
        for event in await asyncio.to_thread(lambda: list(self._ended(writing))):
            yield event

    def _begin(self, request: AnswerRequest) -> _Writing:
        texts = Texts(self._documents)
        found = standing(request.hits, texts)
        made = self._maker.make(request, found)
        return _Writing(
            request=request,
            found=found,
            made=made,
            reader=CitationReader(made.documents, texts),
            gate=Gate(until_cited=self._settings.knowledge != "open"),
            room=self._max_tokens(request) * _CHARACTERS_PER_TOKEN,
        )

    def _max_tokens(self, request: AnswerRequest) -> int:
        most = self._settings.max_tokens
        return most if request.max_tokens is None else max(1, min(request.max_tokens, most))

    def _lacks_support(self, writing: _Writing) -> bool:
        if self._settings.knowledge != "context-only":
            return False
        best = writing.found[0].evidence.score if writing.found else 0.0
        return not writing.made.documents or best < self._settings.support

    async def _written(self, writing: _Writing) -> AsyncGenerator[Delta, None]:
        """The text as it may be shown, until the model ends, refuses, or has used its room."""
        request = writing.request
        wanted = request.temperature
        pieces = self._model.stream(
            writing.made.prompt.messages,
            max_tokens=self._max_tokens(request),
            temperature=self._settings.temperature if wanted is None else wanted,
        )
        deadline = asyncio.get_running_loop().time() + self._settings.max_seconds
        async with aclosing(pieces):
            while writing.end is None and not writing.gate.refuses():
                piece = await self._next(pieces, writing, deadline)
                for delta in writing.show(await _read(writing.reader, piece)):
                    yield delta

    async def _next(
        self, pieces: AsyncGenerator[str | Finish, None], writing: _Writing, deadline: float
    ) -> str:
        """The next piece of the model's text; at its end "", and `writing.end` is set."""
        try:
            # Nothing else ends a model that never waits for anything.
            if asyncio.get_running_loop().time() >= deadline:
                raise TimeoutError
            async with asyncio.timeout_at(deadline):
                piece = await anext(pieces)
        except TimeoutError:
            writing.late, writing.end = True, Finish("length")
            return ""
        except StopAsyncIteration as error:
            raise ServiceError(f"the model {self._model.name} broke off its answer; ask again") from error
        if isinstance(piece, Finish):
            writing.end = piece
            return ""
        if not piece:
            await asyncio.sleep(0)  # others take their turn, whatever the model does
        return writing.take(piece)

    def _ended(self, writing: _Writing) -> Iterator[AnswerEvent]:
        """What is left to be shown, and the answer; or a refusal."""
        if writing.late and not writing.gate.shown:
            raise ServiceError(
                f"the model {self._model.name} wrote nothing that can be shown in "
                f"{self._settings.max_seconds:g} s; raise generator.max_seconds, or take a quicker model"
            )
        yield from writing.show(writing.reader.finish())
        if writing.gate.refuses(ended=True):
            yield from self._refusal(writing)
        elif writing.gate.shown or self._settings.knowledge != "context-only":
            yield from self._rest(writing)
        else:
            yield from self._refusal(writing, dropped=tuple(writing.reader.dropped))

    def _rest(self, writing: _Writing) -> Iterator[AnswerEvent]:
        """The answer, marked where it cites nothing; a refusal where there is no text."""
        held = [] if writing.gate.shown else [writing.gate.open()]
        rest = [delta for delta in held if delta]
        if not writing.shown and not rest:
            yield from self._refusal(writing, dropped=tuple(writing.reader.dropped))
            return
        if not writing.reader.citations:
            rest = (
                [Delta(f"\n\n{NOT_FROM_DOCUMENTS}")]
                if writing.shown
                else [join([Delta(f"{NOT_FROM_DOCUMENTS}\n\n"), *rest])]
            )
        yield from rest
        yield self._answer(writing, join([*writing.shown, *rest]))

    def _answer(self, writing: _Writing, whole: Delta) -> Answer:
        cites = bool(writing.reader.citations) and bool(writing.found)
        return Answer(
            text=whole.text,
            citations=whole.citations,
            hits=writing.request.hits,
            refused=False,
            support=writing.found[0].evidence.score if cites else 0.0,
            usage=self._usage(writing),
            finish=writing.end.reason if writing.end else "stop",
            dropped=tuple(writing.reader.dropped),
            marks=whole.marks,
        )

    def _refusal(self, writing: _Writing, *, dropped: tuple[str, ...] = ()) -> Iterator[AnswerEvent]:
        return refusal(
            writing.request,
            writing.found,
            nearest=self._settings.nearest,
            usage=self._usage(writing),
            dropped=dropped,
        )

    def _usage(self, writing: _Writing) -> Usage:
        """What the model says it cost; else counted, or estimated. Nothing where it was not asked."""
        seconds = time.perf_counter() - writing.started
        if not writing.raw and writing.end is None:
            return Usage(seconds=seconds)
        end = writing.end or Finish("stop")
        read, written = end.prompt_tokens, end.completion_tokens
        if read is None:
            read = sum(self._count(message.text) for message in writing.made.prompt.messages)
        return Usage(read, self._count("".join(writing.raw)) if written is None else written, seconds)


async def _read(reader: CitationReader, piece: str) -> Delta | None:
    """What a piece lets show; in a thread where a quote may have to be looked up in whole documents."""
    if reader.holds or BEGIN_QUOTE in piece.lower():
        return await asyncio.to_thread(reader.feed, piece)
    return reader.feed(piece)
