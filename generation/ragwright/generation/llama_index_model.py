"""Any language model of LlamaIndex, by the path of its class."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from ragwright.core.config_serving import GeneratorConfig
from ragwright.core.errors import ConfigError, MissingExtra, ServiceError
from ragwright.core.types import Message
from ragwright.generation.language_model import USUAL_SPECIAL_TOKENS, Finish
from ragwright.generation.model_stream import Part, bounded, from_thread, part_of

_PACKAGES = "llama_index.llms."
_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")


class LlamaIndexModel:
    """A `LanguageModel` of LlamaIndex.

    The class is made with those of the settings that it has fields for: model, api_key, api_base or base_url,
    temperature, max_tokens and a time-out. A class without an asynchronous stream of its own is read in a
    thread; there, closing an answer ends it at its next piece.
    """

    special_tokens = USUAL_SPECIAL_TOKENS

    def __init__(self, settings: GeneratorConfig) -> None:
        """Make one.

        Args:
            settings: With the path of a class.

        Raises:
            ConfigError: There is no such class, it is no language model, or it refuses the settings.
            MissingExtra: LlamaIndex is not installed.
        """
        path = settings.llm_class or ""
        self._settings = settings
        kind = _class_at(path)
        try:
            self._llm = kind(**_options(kind, settings))
        except Exception as error:  # noqa: BLE001 - code of others: it may raise anything
            raise ConfigError(
                f"{path} cannot be made ({_told(error, settings)}); set generator.model, or what else it "
                "needs in its own environment variables"
            ) from None
        self.name = settings.model or kind.__name__

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[str | Finish, None]:
        """See `LanguageModel.stream`; there is one attempt, beside those that the class makes itself."""
        most = min(max_tokens, self._settings.max_tokens)
        until = asyncio.get_running_loop().time() + self._settings.max_seconds
        llm = _with(self._llm, max_tokens=most, max_new_tokens=most, temperature=temperature)
        bounds = bounded(
            self._parts(llm, messages),
            name=self.name,
            max_tokens=most,
            until=until,
            silence=self._settings.timeout_seconds,
        )
        async with aclosing(bounds) as pieces:
            async for piece in pieces:
                yield piece

    async def _parts(self, llm: Any, messages: Sequence[Message]) -> AsyncGenerator[Part, None]:
        text, ended = "", False
        try:
            async with aclosing(_responses(llm, messages)) as responses:
                async for response in responses:
                    part = part_of(response, before=text)
                    text += part.text
                    ended = ended or part.reason is not None
                    yield part
        except ServiceError:
            raise
        except Exception as error:  # noqa: BLE001 - code of others: it may raise anything
            raise ServiceError(
                f"{self.name} broke off ({_told(error, self._settings)}); look at its log"
            ) from None
        if not ended:
            yield Part(reason="stop")  # most classes tell no reason

    def count_tokens(self, text: str) -> int | None:
        """None: the tokenizer is not known."""
        return None

    def close(self) -> None:
        """Nothing of ours is open."""


def _class_at(path: str) -> Any:
    """The class that a path names.

    Raises:
        ConfigError: There is none, or it is no language model.
        MissingExtra: LlamaIndex is not installed.
    """
    try:
        from llama_index.core.llms import LLM
    except ImportError:
        raise MissingExtra("llama-index-core", "llm") from None
    if not _PATH.fullmatch(path):
        raise ConfigError(
            f"generator.llm_class is {path!r}, wanted one such as llama_index.llms.ollama.Ollama"
        )
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ConfigError(
            f"generator.llm_class {path} cannot be imported ({error}); {_hint(module)}"
        ) from None
    except AttributeError:
        raise ConfigError(
            f"generator.llm_class: {module} has no {name}; set it to the path of one of its classes"
        ) from None
    if not isinstance(found, type) or not issubclass(found, LLM):
        raise ConfigError(
            f"generator.llm_class {path} is no language model of LlamaIndex; set it to the path of a class "
            "such as llama_index.llms.ollama.Ollama"
        )
    return found


def _hint(module: str) -> str:
    if not module.startswith(_PACKAGES):
        return "install the package that holds it, or correct the path"
    package = module.removeprefix(_PACKAGES).partition(".")[0].replace("_", "-")
    return f"run: .venv/bin/pip install --constraint constraints.txt llama-index-llms-{package}"


def _options(kind: Any, settings: GeneratorConfig) -> dict[str, Any]:
    """Those of the settings that a class has fields for, and can be made with."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    known: dict[str, Any] = {
        "model": settings.model or None,
        "model_name": settings.model or None,
        "api_key": key,
        "api_base": settings.url,
        "base_url": settings.url,
        "temperature": settings.temperature,
        "max_tokens": settings.max_tokens,
        "max_new_tokens": settings.max_tokens,
        "timeout": settings.timeout_seconds,
        "request_timeout": settings.timeout_seconds,
    }
    taken = inspect.signature(kind).parameters
    anything = any(each.kind is each.VAR_KEYWORD for each in taken.values())
    return {
        name: value
        for name, value in known.items()
        if value is not None and name in kind.model_fields and (anything or name in taken)
    }


def _with(llm: Any, **values: Any) -> Any:
    """A model with other values in those fields that it has; it shares everything else."""
    known = {name: value for name, value in values.items() if name in type(llm).model_fields}
    return llm.model_copy(update=known)


async def _responses(llm: Any, messages: Sequence[Message]) -> AsyncGenerator[Any, None]:
    """What a model gives for a conversation, one response after the other."""
    from llama_index.core.llms import ChatMessage, CustomLLM

    chat = [ChatMessage(role=each.role, content=each.text) for each in messages]

    def blocking() -> Iterator[Any]:
        yield from llm.stream_chat(chat)

    # What `CustomLLM` offers as asynchronous would stop the event loop between two pieces.
    if inspect.unwrap(type(llm).astream_chat) is inspect.unwrap(CustomLLM.astream_chat):
        found = from_thread(blocking)
    else:
        try:
            found = await llm.astream_chat(chat)
        except NotImplementedError:
            found = from_thread(blocking)
    async with aclosing(found) as responses:
        async for response in responses:
            yield response


def _told(error: Exception, settings: GeneratorConfig) -> str:
    """An error in one short line, without the key."""
    said = (str(error).strip().splitlines() or [""])[0][:200]
    if settings.api_key and settings.api_key.get_secret_value() in said:
        said = ""
    return f"{type(error).__name__}{': ' if said else ''}{said}"
