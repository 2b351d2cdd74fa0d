"""An answer of a language model is shown once it is supported, and otherwise refused or marked."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generation.manual import BOLTS, HITS, MARK, OIL, STORE, documents
from tests.generation.scripted_model import ScriptedModel, Step

from ragwright.core.answering import answered
from ragwright.core.errors import ServiceError
from ragwright.core.types import Answer, AnswerEvent, AnswerRequest, Delta, Prompt, Usage
from ragwright.generation.deltas import join
from ragwright.generation.language_model import Finish
from ragwright.generation.model_generator import NOT_FROM_DOCUMENTS, ModelGenerator, ModelSettings
from ragwright.generation.refusal import REFUSAL

REQUEST = AnswerRequest("What torque do the bolts get?", HITS)
QUOTED = f"##begin_quote##{BOLTS}##end_quote## [1]"
CITED = f"“{BOLTS}” [1]"
SETTINGS = ModelSettings(knowledge="context-only", support=0.3, nearest=2)


def generator(*steps: Step, model: ScriptedModel | None = None, **settings: Any) -> ModelGenerator:
    chosen = model or ScriptedModel(*steps)
    return ModelGenerator(chosen, STORE, settings=replace(SETTINGS, **settings))


async def collected(made: ModelGenerator, request: AnswerRequest = REQUEST) -> list[AnswerEvent]:
    async with aclosing(made.stream(request)) as stream:
        return [event async for event in stream]


def events(*steps: Step, **settings: Any) -> list[AnswerEvent]:
    return asyncio.run(collected(generator(*steps, **settings)))


def answer(*steps: Step, **settings: Any) -> Answer:
    """The answer; that the deltas are its text, its citations and its marks is checked on the way."""
    first, *deltas, last = events(*steps, **settings)
    assert isinstance(first, Prompt)
    assert isinstance(last, Answer)
    whole = join(delta for delta in deltas if isinstance(delta, Delta))
    assert (whole.text, len(deltas)) == (last.text, sum(isinstance(delta, Delta) for delta in deltas))
    assert last.refused or (whole.citations, whole.marks) == (last.citations, last.marks)
    return last


def test_a_supported_answer_comes_with_its_citations_cost_and_support() -> None:
    made = answer("The manual says: ", QUOTED, " So it is.")
    assert made.text == f"The manual says: {CITED} So it is."
    assert [(each.quote, each.source, each.page) for each in made.citations] == [(BOLTS, "bogie.md", 3)]
    assert (made.refused, made.support, made.finish, made.hits) == (False, 0.9, "stop", HITS)
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (70, 7)
    assert made.usage.seconds > 0


def test_nothing_is_shown_before_the_first_citation_that_stands() -> None:
    model = ScriptedModel(
        "One. ", "Two [9]. ", "##begin_quote##", BOLTS, "##end_quote##", " ", "Three. ", "Four."
    )
    taken = [
        (event.text, model.given)
        for event in asyncio.run(collected(generator(model=model)))
        if isinstance(event, Delta)
    ]
    assert [text for text, _ in taken] == [f"One. Two. {CITED} Three.", " Four."]


def test_behind_it_text_flows_and_is_held_only_where_a_quote_is_open() -> None:
    model = ScriptedModel(
        f"{QUOTED}.", " One", " two", " ##begin_", "quote##The", " mark##end_quote##", " three."
    )

    async def flow() -> list[tuple[str, int]]:
        stream = generator(model=model).stream(REQUEST)
        return [(event.text, model.given) async for event in stream if isinstance(event, Delta)]

    assert asyncio.run(flow()) == [(f"{CITED}.", 1), (" One", 2), (" two", 3), (" three.", 7)]


@pytest.mark.parametrize(
    "steps",
    [
        ("The bolts get 215 Nm.",),
        ("The bolts get 216 Nm [1].",),
        ("##begin_quote##The bolts get 215 Nm.##end_quote## [1]",),
        ("See [1].",),
        (f"##begin_quote##{MARK}##end_quote##",),  # stands in the document, not in what the model was given
        (f"```\n{QUOTED}\n```",),
        (f"##begin_quote##{BOLTS}",),
        ("<think>", QUOTED, "</think>"),
        ("",),
        (" \n ",),
        (REFUSAL,),
        ("the documents do not answer", "  this. But ", QUOTED),
        (f"{REFUSAL[:-1]}",),
    ],
)
def test_an_answer_without_support_is_a_refusal_with_the_nearest_passages(steps: tuple[str, ...]) -> None:
    made = answer(*steps)
    assert (made.text, made.refused, made.marks) == (REFUSAL, True, ())
    assert [each.quote for each in made.citations] == [BOLTS, OIL]
    assert made.support == 0.9


def test_dropped_quotes_are_told_also_with_a_refusal() -> None:
    assert answer("##begin_quote##216 Nm##end_quote##").dropped == ("216 Nm",)
    assert answer("##begin_quote##216 Nm##end_quote##", QUOTED).dropped == ("216 Nm",)


@pytest.mark.parametrize(
    ("hits", "store", "support"),
    [
        ((), STORE, 0.3),
        (tuple(replace(hit, evidence=()) for hit in HITS), STORE, 0.0),
        (HITS, STORE, 0.91),
        (HITS, documents(), 0.91),
        (HITS, documents(bogie="changed", crane="changed"), 0.0),
        (HITS, documents(other="x"), 0.0),
    ],
)
def test_without_supported_evidence_the_model_is_not_even_asked(
    hits: Any, store: Any, support: float
) -> None:
    model = ScriptedModel(QUOTED)
    made = ModelGenerator(model, store, settings=replace(SETTINGS, support=support))
    refused = answered(made, AnswerRequest("?", hits))
    assert (refused.refused, refused.text, model.asked) == (True, REFUSAL, [])
    assert refused.usage == Usage(seconds=refused.usage.seconds)


@pytest.mark.parametrize("knowledge", ["context-first", "open"])
@pytest.mark.parametrize("hits", [(), HITS])
def test_where_memory_may_help_an_uncited_answer_is_marked(knowledge: str, hits: Any) -> None:
    model = ScriptedModel("They get ", "216 Nm", " [1].")
    made = generator(model=model, knowledge=knowledge)
    _, *deltas, last = asyncio.run(collected(made, AnswerRequest("?", hits)))
    text = "They get 216 Nm."
    marked = (
        f"{NOT_FROM_DOCUMENTS}\n\n{text}"
        if knowledge == "context-first"
        else f"{text}\n\n{NOT_FROM_DOCUMENTS}"
    )
    assert isinstance(last, Answer)
    assert (last.text, last.refused, last.citations, last.support) == (marked, False, (), 0.0)
    assert [delta.text for delta in deltas if isinstance(delta, Delta)] == (
        [marked]
        if knowledge == "context-first"
        else ["They get", " 216 Nm", ".", f"\n\n{NOT_FROM_DOCUMENTS}"]
    )


@pytest.mark.parametrize("knowledge", ["context-first", "open"])
def test_where_memory_may_help_a_cited_answer_is_not_marked_and_a_refusal_is_one(knowledge: str) -> None:
    assert answer("So: ", QUOTED, knowledge=knowledge).text == f"So: {CITED}"
    assert answer("The documents do", " not answer this.", " x", knowledge=knowledge).refused
    assert answer("", knowledge=knowledge).refused
    assert answer("The documents", knowledge=knowledge).text != REFUSAL


def test_limits_of_a_request_never_rise_above_the_settings() -> None:
    model = ScriptedModel(QUOTED)
    for asked, passed in ((None, 50), (10, 10), (5000, 50), (0, 1)):
        answered(generator(model=model, max_tokens=50), replace(REQUEST, max_tokens=asked))
        assert model.asked[-1][1] == passed
    answered(generator(model=model, temperature=0.5), REQUEST)
    answered(generator(model=model, temperature=0.5), replace(REQUEST, temperature=0.0))
    assert [call[2] for call in model.asked[-2:]] == [0.5, 0.0]


def test_a_length_limit_is_told() -> None:
    made = answer(QUOTED, " and", Finish("length", None, None))
    assert (made.finish, made.text) == ("length", f"{CITED} and")
    assert made.usage.completion_tokens == len(f"{QUOTED} and".split())
    assert made.usage.prompt_tokens > 50


@pytest.mark.parametrize("pause", [(), (0.0,)])
def test_a_model_that_never_ends_is_cut_off_by_characters(pause: tuple[float, ...]) -> None:
    model = ScriptedModel(QUOTED, " word" * 50, *pause, endless=True)
    made = answered(generator(model=model, max_tokens=100), REQUEST)
    assert (made.finish, model.closed) == ("length", 1)
    assert 1000 < len(made.text) < 1700


def test_a_model_that_never_ends_and_says_nothing_is_cut_off_by_seconds() -> None:
    model = ScriptedModel("", endless=True)
    with pytest.raises(ServiceError, match=r"scripted wrote nothing that can be shown in 0.1 s; raise"):
        answered(generator(model=model, max_seconds=0.1), REQUEST)
    assert model.closed == 1


@pytest.mark.parametrize("knowledge", ["context-only", "context-first", "open"])
def test_time_that_runs_out_ends_a_shown_answer_and_is_an_error_before(knowledge: str) -> None:
    started = time.perf_counter()
    made = answer(QUOTED, " and", 30.0, " more", knowledge=knowledge, max_seconds=0.2)
    assert (made.finish, made.text) == ("length", f"{CITED} and")
    with pytest.raises(ServiceError):
        events(30.0, knowledge=knowledge, max_seconds=0.1)
    assert time.perf_counter() - started < 5


def test_an_error_before_the_first_text_and_one_amid_it_are_raised() -> None:
    with pytest.raises(ServiceError, match="gone"):
        events(ServiceError("gone"))

    async def broken() -> list[str]:
        shown = []
        with pytest.raises(ServiceError, match="gone"):
            async for event in generator(QUOTED, " and", ServiceError("gone")).stream(REQUEST):
                if isinstance(event, Delta):
                    shown.append(event.text)
        return shown

    assert asyncio.run(broken()) == [CITED, " and"]


def test_a_stream_without_an_end_is_an_error() -> None:
    class Cut(ScriptedModel):
        async def stream(self, *args: Any, **more: Any) -> Any:
            yield QUOTED

    with pytest.raises(ServiceError, match="broke off"):
        answered(generator(model=Cut()), REQUEST)


def test_closing_the_stream_stops_the_model_at_once() -> None:
    model = ScriptedModel(QUOTED, 0.0, " word", 0.0, endless=True)

    async def leave() -> None:
        stream = generator(model=model).stream(REQUEST)
        async for event in stream:
            if isinstance(event, Delta):
                await stream.aclose()

    asyncio.run(leave())
    assert (model.closed, model.given) == (1, 1)


def test_a_stream_that_waits_for_the_model_is_stopped_at_once() -> None:
    model = ScriptedModel(60.0)

    async def leave() -> None:
        task = asyncio.ensure_future(collected(generator(model=model)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started = time.perf_counter()
    asyncio.run(leave())
    assert (model.closed, time.perf_counter() - started < 2) == (1, True)


def test_a_refusing_model_is_stopped() -> None:
    model = ScriptedModel(f"{REFUSAL} ", " word", endless=True)
    assert answered(generator(model=model), REQUEST).refused
    assert (model.closed, model.given) == (1, 1)


def test_a_model_that_repeats_its_prompt_is_refused() -> None:
    (prompt, *_) = events(QUOTED)
    assert isinstance(prompt, Prompt)
    for message in prompt.messages:
        assert answer(message.text).refused


def test_where_the_documents_cannot_be_read_the_model_is_not_asked() -> None:
    class Down:
        def document(self, document_id: str) -> None:
            raise ServiceError("the catalog does not answer")

    model = ScriptedModel(QUOTED)
    with pytest.raises(ServiceError, match="catalog"):
        answered(ModelGenerator(model, Down(), settings=SETTINGS), REQUEST)
    assert model.asked == []


def test_the_prompt_tells_what_there_was_no_room_for() -> None:
    (prompt, *_) = events(QUOTED, context_tokens=64)
    assert isinstance(prompt, Prompt)
    assert prompt.tokens is not None
    assert prompt.messages[0].role == "system"
    assert generator(model=ScriptedModel(counts=False)).name == "scripted"


TEXTS = st.lists(
    st.sampled_from(
        [QUOTED, "One. ", " [2]", REFUSAL, "The documents", " ", "`", "##begin_quote##x##end_quote##"]
    ),
    max_size=5,
).map("".join)


@given(
    TEXTS,
    st.lists(st.integers(0, 500), max_size=6),
    st.sampled_from(["context-only", "context-first", "open"]),
)
def test_however_a_model_splits_its_text_the_answer_is_the_same(
    text: str, cuts: list[int], knowledge: str
) -> None:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(places)]
    whole, parts = answer(text, knowledge=knowledge), answer(*pieces, knowledge=knowledge)
    assert replace(parts, usage=whole.usage) == whole
    for citation in parts.citations:
        span = citation.span
        assert STORE[span.document_id].text[span.start : span.end] == citation.quote
