"""Chat front ends ask for titles, tags and follow-up questions; no document is searched for them."""

from __future__ import annotations

import asyncio
import json

import pytest
from openai import OpenAI
from tests.app.serve.openai_world import ScriptedModel, World
from tests.app.serve.questions import SCRIPTED, ask, chunks, content, said

from ragwright.app.serve.side_calls import NO_TITLE, by_model, by_rule, short_title, side_call

HISTORY = "USER: How often is the **filter** replaced?\nASSISTANT: Every six months [1].\nUSER: And the oil?"


def task(words: str, shape: str, history: str = HISTORY) -> str:
    """A task as Open WebUI writes one."""
    return (
        f"### Task:\n{words}\n### Guidelines:\n- Be brief.\n### Output:\nJSON format: {shape}\n"
        f"### Chat History:\n<chat_history>\n{history}\n</chat_history>"
    )


TITLE = task("Generate a concise, 3-5 word title with an emoji.", '{ "title": "your concise title here" }')
TAGS = task("Generate 1-3 broad tags.", '{ "tags": ["tag1", "tag2"] }')
FOLLOW_UPS = task("Suggest 3-5 relevant follow-up questions.", '{ "follow_ups": ["Question 1?"] }')
QUERIES = task("Analyze the chat history.", '{ "queries": ["query1"] }')
AUTOCOMPLETE = task("You are an autocompletion system.", '`{ "text": "<your_completion>" }`')
IMAGE = task("Generate a detailed prompt for an image.", '{\n    "prompt": "Your description here."\n}')
LIBRECHAT = (
    "Provide a concise, 5-word-or-less title for the conversation, using title case conventions. Only return"
    " the title itself.\n\nConversation:\nUser: How often is the filter replaced?\nAI: Every six months."
)
LIBRECHAT_STRUCTURED = (
    "Analyze this conversation and provide:\n1. The detected language of the conversation\n2. A concise title"
    " in the detected language\n\nUser: How often is the filter replaced?\nAI: Every six months."
)
NOT_TASKS = (
    "How often is the filter replaced?",
    "Generate a title for my report about pumps",
    # Open WebUI's own retrieval puts the question into a task, too.
    '### Task:\nRespond to the user query using the context.\n<context>\n{ "title": 1 }\n</context>\nWhy?',
    "### Task:\nSay what <chat_history> means",
    "Explain: " + TITLE,
    task("Do as the user says.", "text", history='USER: { "title": "x" }'),
)


@pytest.fixture
def client(world: World) -> OpenAI:
    world.model.writes = ""
    return world.client()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (TITLE, {"title": "How often is the filter replaced?"}),
        (TAGS, {"tags": []}),
        (FOLLOW_UPS, {"follow_ups": []}),
        (QUERIES, {"queries": []}),
        (AUTOCOMPLETE, {"text": ""}),
        (IMAGE, {"prompt": ""}),
        (LIBRECHAT_STRUCTURED, {"title": "How often is the filter replaced?"}),
    ],
)
def test_a_task_is_answered_in_the_shape_it_asks_for(text: str, answer: object) -> None:
    call = side_call(text)
    assert call is not None
    assert json.loads(by_rule(call)) == answer


def test_librechat_gets_the_title_alone() -> None:
    call = side_call(LIBRECHAT)
    assert call is not None
    assert by_rule(call) == "How often is the filter replaced?"


@pytest.mark.parametrize("text", NOT_TASKS)
def test_a_question_of_a_person_is_no_task(text: str) -> None:
    assert side_call(text) is None


def test_a_title_is_short_and_never_empty() -> None:
    long = "word " * 40
    assert len(short_title(long)) <= 61
    assert short_title(long).endswith("word…")
    assert short_title("\n ** ") == NO_TITLE
    assert len(short_title("法" * 100)) == 61


@pytest.mark.parametrize(
    ("text", "writes", "answer"),
    [
        (TITLE, '```json\n{"title": "Filter Change"}\n```', {"title": "Filter Change"}),
        (TAGS, '{"tags": ["Pumps", 3]}', {"tags": ["Pumps"]}),
        (TITLE, "I would rather write a poem.", {"title": "How often is the filter replaced?"}),
        (TITLE, json.dumps({"title": "x" * 500}), {"title": "How often is the filter replaced?"}),
        (FOLLOW_UPS, json.dumps({"follow_ups": ["x" * 500]}), {"follow_ups": []}),
        (FOLLOW_UPS, '{"follow_ups": "no list"}', {"follow_ups": []}),
        (TITLE, "", {"title": "How often is the filter replaced?"}),
    ],
)
def test_a_models_words_are_taken_only_in_the_shape_that_was_asked_for(
    text: str, writes: str, answer: object
) -> None:
    """Else the rule answers: nobody has the model write at length by calling it a title."""
    call, model = side_call(text), ScriptedModel()
    assert call is not None
    model.writes = writes
    assert json.loads(asyncio.run(by_model(call, model))) == answer


def test_nothing_is_searched_and_no_trace_is_kept(client: OpenAI, world: World) -> None:
    asked_before = len(world.scripted.requests)
    answer = ask(client, TITLE, model=SCRIPTED)
    assert json.loads(content(answer)) == {"title": "How often is the filter replaced?"}
    assert (said(answer, "rag")["trace_id"], said(answer, "citations")) == (None, [])
    assert len(world.scripted.requests) == asked_before
    streamed = "".join(each.choices[0].delta.content or "" for each in chunks(client, TITLE))
    assert streamed == content(answer)


def test_the_request_says_who_answers_a_task(client: OpenAI, world: World) -> None:
    world.model.writes = '{"title": "By The Model"}'

    def title(how: str) -> str:
        return content(ask(client, TITLE, model=SCRIPTED, extra_body={"rag": {"side_calls": how}}))

    assert json.loads(title("auto")) == json.loads(title("model")) == {"title": "By The Model"}
    assert json.loads(title("rule")) == {"title": "How often is the filter replaced?"}
    assert "Tighten to 35 Nm" in title("answer")
