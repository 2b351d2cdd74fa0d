"""The one flow of the server: a question becomes a query, hits, a checked answer, and a trace.

    rewrite -> search -> write -> trace

Routes, the page and the MCP server all call `AnswerService`; nothing else asks retriever or generator.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from ragwright.app.serve.collections import Collection, Collections
from ragwright.app.serve.values import Ask, Caller, Finished, ServiceEvent, Status, Trace
from ragwright.core.errors import RagwrightError
from ragwright.core.types import Answer, AnswerRequest, Delta, Hit, Prompt, Turn

if TYPE_CHECKING:
    from ragwright.retrieval.finding import Finding

Keep = Callable[[Trace], None]
T = TypeVar("T")


@dataclass(slots=True)
class _Progress:
    """What is known of an answer so far; its trace is made of it, however it ends."""

    ask: Ask
    caller: Caller
    collection: Collection
    generator: str
    started: float = field(default_factory=time.perf_counter)
    at: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    query: str = ""
    prompt: Prompt | None = None
    answer: Answer | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    error: str | None = None

    def trace(self) -> Trace:
        """The trace of what has happened."""
        return Trace(
            id=self.id,
            at=self.at,
            caller=self.caller.name,
            tenant=self.caller.access.tenant,
            collection=self.collection.name,
            generator=self.generator,
            ask=self.ask,
            query=self.query or self.ask.question,
            prompt=self.prompt,
            answer=self.answer,
            seconds={**self.seconds, "all": time.perf_counter() - self.started},
            error=self.error,
        )


class AnswerService:
    """Answers questions from collections, in the callers' scopes."""

    def __init__(
        self,
        collections: Collections,
        *,
        threads: int,
        rewrite: bool = True,
        turns: int = 12,
        keep: Keep = lambda trace: None,
    ) -> None:
        """Make a service; call it in an event loop.

        Args:
            collections: What is asked.
            threads: Searches at once; those that run together share the encoder's and reranker's batches.
            rewrite: Whether follow-up questions are made to stand alone, when a question says nothing else.
            turns: Earlier messages that are looked at.
            keep: Takes every trace, in a thread, once an answer ends in whatever way.
        """
        self.collections = collections
        self._threads = anyio.CapacityLimiter(threads)
        self._rewrite = rewrite
        self._turns = turns
        self._keep = keep

    async def stream(self, ask: Ask, caller: Caller) -> AsyncGenerator[ServiceEvent, None]:
        """Answer a question; closing the generator stops whatever runs for it.

        Raises:
            InputError: There is no such collection or generator, the question holds no word, or a filter is
                none.
            ServiceError: The index or the model behind the generator does not answer, or broke off.
        """
        collection = self.collections.get(ask.collection)
        generator = collection.generator(ask.generator)
        progress = _Progress(ask, caller, collection, generator.name)
        try:
            # Closed here: else a client that leaves would have it closed later, by the garbage collector.
            async with aclosing(self._events(progress)) as events:
                async for event in events:
                    yield event
        except RagwrightError as error:
            progress.error = str(error)
            raise
        except BaseException as error:
            left = isinstance(error, asyncio.CancelledError | GeneratorExit)
            progress.error = "stopped" if left else f"failed: {type(error).__name__}"
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._keep, progress.trace())

    async def _events(self, progress: _Progress) -> AsyncGenerator[ServiceEvent, None]:
        ask = progress.ask
        history = ask.history[-self._turns :] if self._turns else ()
        started = time.perf_counter()
        progress.query = await self._standalone(progress, history)
        progress.seconds["rewrite"] = time.perf_counter() - started
        yield Status("searching", progress.query)
        hits = await self._hits(progress)
        yield Status("writing", progress.query, sum(len(hit.evidence) for hit in hits))
        request = AnswerRequest(
            question=progress.query,
            hits=tuple(hits),
            history=history,
            instruction=ask.instruction,
            max_tokens=ask.max_tokens,
            temperature=ask.temperature,
        )
        started = time.perf_counter()
        generator = progress.collection.generator(ask.generator)
        async with aclosing(generator.stream(request)) as events:
            async for event in events:
                if isinstance(event, Prompt):
                    progress.prompt = event
                elif isinstance(event, Delta):
                    progress.seconds.setdefault("first", time.perf_counter() - progress.started)
                    yield event
                else:
                    progress.answer = event
        progress.seconds["answer"] = time.perf_counter() - started
        if progress.answer is None:
            raise RuntimeError(f"generator {generator.name} ended without an answer")
        yield Finished(progress.answer, progress.id)

    async def _standalone(self, progress: _Progress, history: tuple[Turn, ...]) -> str:
        wanted = self._rewrite if progress.ask.rewrite is None else progress.ask.rewrite
        if not wanted or not history:
            return progress.ask.question
        return await progress.collection.rewriter.rewrite(progress.ask.question, history)

    async def _hits(self, progress: _Progress) -> list[Hit]:
        ask = replace(progress.ask, question=progress.query)

        def search() -> tuple[list[Hit], dict[str, float]]:
            found = _found(ask, progress.caller, progress.collection)
            if found is None:
                return [], {}
            started = time.perf_counter()
            hits = found.hits(share=ask.evidence, budget=ask.budget)
            return hits, {**found.seconds, "evidence": time.perf_counter() - started}

        hits, seconds = await self.in_thread(search)
        progress.seconds |= seconds
        return hits

    async def find(self, ask: Ask, caller: Caller, collection: Collection | None = None) -> Finding | None:
        """What a question finds within the caller's scope; None where nothing has been ingested yet.

        Raises:
            InputError, ServiceError: As `stream`.
        """
        chosen = collection or self.collections.get(ask.collection)
        return await self.in_thread(lambda: _found(ask, caller, chosen))

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What a call returns that keeps the processor busy, made in one of the service's threads."""
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)


def _found(ask: Ask, caller: Caller, collection: Collection) -> Finding | None:
    """What a question finds, asked in the thread that calls; see `AnswerService.find`."""
    with collection.workspace.asked() as retriever:
        if retriever is None:
            return None
        return retriever.within(caller.scope).find(ask.question, limit=ask.limit, filters=ask.filters)
