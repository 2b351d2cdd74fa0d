"""Language models of LlamaIndex by the path of their class."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import pytest
from tests.generation.model_asking import ask, asked

from ragwright.core.config_serving import GeneratorConfig
from ragwright.core.errors import ConfigError, MissingExtra, ServiceError
from ragwright.generation.language_model import Finish, LanguageModel, open_language_model
from ragwright.generation.model_stream import CHARACTERS_PER_TOKEN

KEY = "sk-canary-5f3A9b"


def model_of(name: str, **options: Any) -> LanguageModel:
    path = name if "." in name else f"tests.llama_index_llms.{name}"
    return open_language_model(GeneratorConfig(kind="llama-index", llm_class=path, **options))


def ask_class(name: str, *, max_tokens: int = 20, **options: Any) -> list[str | Finish]:
    return ask(model_of(name, **options), max_tokens=max_tokens, temperature=0.5)


def test_a_class_is_made_with_what_it_has_fields_for_and_given_the_messages() -> None:
    found = ask_class("Scripted", model="mine", api_key=KEY, timeout_seconds=3)
    assert found == [
        "mine",
        f" 0.5 20 {KEY} 3.0",
        " system=be short",
        " user=where has the cat been?",
        Finish("stop", 9, 4),
    ]
    assert model_of("Scripted", model="mine").name == "mine"


def test_a_class_keeps_its_own_model_where_none_is_set() -> None:
    assert ask_class("Scripted")[0] == "nobody"
    assert model_of("Scripted").name == "Scripted"


def test_a_class_that_takes_only_a_model_is_made_with_that() -> None:
    assert ask_class("Strict", model="mine")[:2] == ["mine", " 0.5 20  1.0"]


def test_no_caller_gets_more_tokens_than_the_settings_allow() -> None:
    assert ask_class("Scripted", max_tokens=99)[1] == " 0.5 99  30.0"
    settings = GeneratorConfig(kind="llama-index", llm_class="tests.llama_index_llms.Scripted", max_tokens=7)
    assert ask(open_language_model(settings), max_tokens=99)[1] == " 0.0 7  30.0"


def test_the_reason_for_the_end_is_taken_from_it() -> None:
    assert ask_class("Cut") == ["Half", Finish("length")]


def test_a_class_that_tells_the_whole_text_every_time_gives_pieces_as_well() -> None:
    assert ask_class("Whole") == ["a", " b", " c", Finish("stop")]


@pytest.mark.parametrize("name", ["InThread", "Unfinished"])
def test_a_class_that_blocks_does_not_stop_the_event_loop(name: str) -> None:
    async def beside() -> tuple[list[str | Finish], int]:
        task = asyncio.create_task(asked(model_of(name)))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        return task.result(), turns

    found, turns = asyncio.run(beside())
    assert found == ["0 ", "1 ", "2 ", "3 ", "4 ", Finish("stop")]
    assert turns >= 5


def test_the_mock_of_llama_index_repeats_the_prompt() -> None:
    text = "".join(map(str, ask_class("llama_index.core.llms.MockLLM", max_tokens=3)[:-1]))
    assert text == "text text text"


def test_an_answer_that_never_ends_is_cut() -> None:
    found = ask_class("Endless", max_tokens=10)
    assert found[-1] == Finish("length")
    assert sum(len(piece) for piece in found if isinstance(piece, str)) == 10 * CHARACTERS_PER_TOKEN
    assert ask_class("Endless", max_tokens=1_000_000, max_seconds=0.2)[-1] == Finish("length")


def test_silence_ends_in_an_error() -> None:
    with pytest.raises(ServiceError, match=r"Silent was silent for 0\.1 seconds"):
        ask_class("Silent", timeout_seconds=0.1)


def test_closing_an_answer_closes_the_stream_at_once() -> None:
    from tests import llama_index_llms

    async def leave() -> bool:
        await asked(model_of("Endless"), pieces=3)
        return llama_index_llms.closed.wait(2)

    assert asyncio.run(leave())


def test_leaving_a_class_that_blocks_returns_at_once() -> None:
    started = time.monotonic()
    assert ask(model_of("InThread"), pieces=1) == ["0 "]
    assert time.monotonic() - started < 2


def test_any_error_of_a_class_becomes_a_service_error_without_the_key() -> None:
    with pytest.raises(ServiceError, match=r"^mine broke off \(Odd\); look at its log$"):
        ask_class("Broken", model="mine", api_key=KEY)
    with pytest.raises(ServiceError, match=r"\(Odd: no good: \)"):
        ask_class("Broken")


def test_a_class_that_cannot_be_made_is_told_without_the_key() -> None:
    with pytest.raises(ConfigError, match=r"Refusing cannot be made \(Odd\)"):
        model_of("Refusing", api_key=KEY)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("Ollama", "wanted one such as llama_index.llms.ollama.Ollama"),
        ("..os.system", "wanted one such as"),
        ("a b.C", "wanted one such as"),
        ("llama_index.llms.no_such_maker.Model", "run: .* llama-index-llms-no-such-maker"),
        ("nowhere.at.all.Model", r"cannot be imported \(No module named 'nowhere'\); install the package"),
        ("tests.llama_index_llms.Nobody", "has no Nobody"),
        ("tests.llama_index_llms.Odd", "is no language model of LlamaIndex"),
        ("tests.llama_index_llms.not_a_class", "is no language model of LlamaIndex"),
        ("pathlib.Path", "is no language model of LlamaIndex"),
    ],
)
def test_a_path_that_names_no_language_model_is_told(path: str, says: str) -> None:
    settings = GeneratorConfig(kind="llama-index", llm_class=path)
    with pytest.raises(ConfigError, match=says):
        open_language_model(settings)


def test_without_llama_index_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_index.core.llms", None)
    with pytest.raises(MissingExtra, match=r"llama-index-core .*'\.\[llm\]'"):
        model_of("Scripted")
