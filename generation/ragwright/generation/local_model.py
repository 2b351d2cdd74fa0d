"""A model of a transformers folder, through LlamaIndex's `HuggingFaceLLM`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

from ragwright.core.config_serving import GeneratorConfig
from ragwright.core.errors import MissingExtra, ServiceError
from ragwright.core.types import Message
from ragwright.generation.chat_template import as_dicts, plain_prompt, without_system
from ragwright.generation.language_model import USUAL_SPECIAL_TOKENS, Finish
from ragwright.generation.local_weights import LocalWeights, load_weights
from ragwright.generation.model_stream import Part, bounded, from_thread, part_of


class LocalModel:
    """A `LanguageModel` in this process. It writes one answer at a time, in the order of asking."""

    def __init__(self, settings: GeneratorConfig) -> None:
        """Load the model.

        Args:
            settings: With a model's folder.

        Raises:
            ModelError: The folder of the model or of the adapter cannot be used.
            MissingExtra: LlamaIndex's Hugging Face package or peft is not installed.
        """
        folder = Path(settings.model).expanduser()
        adapter = Path(settings.adapter).expanduser() if settings.adapter else None
        self.name = folder.resolve().name
        self._settings = settings
        self._weights = load_weights(folder, adapter)
        try:
            from llama_index.llms.huggingface import HuggingFaceLLM
        except ImportError:
            raise MissingExtra("llama-index-llms-huggingface", "local-llm") from None
        self._class: Any = HuggingFaceLLM
        self.special_tokens = USUAL_SPECIAL_TOKENS | self._weights.special_tokens()
        # One thread: one answer at a time, and whoever came first is served first.
        self._turns = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ragwright local model")
        self._running: set[_Run] = set()
        self._closed = False

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[str | Finish, None]:
        """See `LanguageModel.stream`; the time that other answers take counts as well."""
        most = min(max_tokens, self._settings.max_tokens)
        until = asyncio.get_running_loop().time() + self._settings.max_seconds
        parts = self._parts(messages, max_tokens=most, temperature=temperature)
        bounds = bounded(parts, name=self.name, max_tokens=most, until=until)
        async with aclosing(bounds) as pieces:
            async for piece in pieces:
                yield piece

    async def _parts(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[Part, None]:
        from jinja2 import TemplateError

        run = _Run(self._weights, self._turns)
        self._running.add(run)
        failures = (RuntimeError, ValueError, TypeError, LookupError, MemoryError, TemplateError)
        try:
            responses = from_thread(
                lambda: run.responses(self._class, messages, max_tokens=max_tokens, temperature=temperature)
            )
            async with aclosing(responses):
                async for response in responses:
                    yield part_of(response)
            yield run.end()
        except (*failures, _StoppedError, CancelledError) as error:
            raise self._failed(error) from None
        finally:
            run.left.set()
            self._running.discard(run)

    def _failed(self, error: Exception) -> ServiceError:
        if self._closed:
            return ServiceError(f"{self.name} was closed; open it again")
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return ServiceError(
                f"{self.name} ran out of memory; lower generator.context_tokens, or set generator.model to a "
                "smaller one"
            )
        seen = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return ServiceError(f"{self.name} failed ({seen}); look whether its folder is whole")

    def count_tokens(self, text: str) -> int | None:
        """Length of a text in the model's tokens, special ones left out."""
        encoded = self._weights.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        return len(encoded.ids)

    def close(self) -> None:
        """Give up the answers that are written or wait, and refuse further ones."""
        self._closed = True
        for run in list(self._running):
            run.left.set()
        self._turns.shutdown(wait=False, cancel_futures=True)


class _StoppedError(Exception):
    """Nobody waits for the answer any more."""


class _Run:
    """One answer.

    LlamaIndex is given this as its model and its tokenizer: so the prompt is what was counted, the answer is
    computed in its turn, and an error in it ends the stream instead of leaving it open for ever.

    Attributes:
        left: Set when nobody waits any more: what is computed ends within one layer of the network.
    """

    def __init__(self, weights: LocalWeights, turns: ThreadPoolExecutor) -> None:
        self.left = threading.Event()
        self._weights = weights
        self._turns = turns
        self._inputs: Any = None
        self._answer: Future[Any] = Future()
        self.config = weights.module.config
        self.device = weights.module.device
        self.name_or_path = str(weights.folder)

    def responses(
        self, kind: Any, messages: Sequence[Message], *, max_tokens: int, temperature: float
    ) -> Iterator[Any]:
        """What LlamaIndex gives for a conversation, one response after the other.

        Args:
            kind: `HuggingFaceLLM`.
            messages: In order.
            max_tokens: Of the answer.
            temperature: From 0, which takes the likeliest token.

        Raises:
            ServiceError: The prompt leaves no room for an answer.
        """
        from llama_index.core.llms import ChatMessage

        self._inputs = self._prompt(messages)
        llm = kind(
            model=self,
            tokenizer=_Prepared(self._weights.tokenizer, self._inputs, self.name_or_path),
            context_window=self._weights.window or self._length() + max_tokens,
            max_new_tokens=min(max_tokens, self._room()),
            generate_kwargs=_sampling(self._weights, temperature),
            messages_to_prompt=lambda _: "",  # the prompt is there already
            is_chat_model=True,
        )
        yield from llm.stream_chat([ChatMessage(role=each.role, content=each.text) for each in messages])

    def _prompt(self, messages: Sequence[Message]) -> Any:
        """Token ids of a conversation, shape (1, n), with their mask."""
        from jinja2 import TemplateError

        tokenizer, template = self._weights.tokenizer, self._weights.template
        if template is None:
            return tokenizer(plain_prompt(messages), return_tensors="pt")
        options = {
            "chat_template": template,
            "add_generation_prompt": True,
            "return_dict": True,
            "return_tensors": "pt",
            # what a message says is text, also where it is spelt like a special token
            "sanitize_control_tokens": True,
        }
        try:
            return tokenizer.apply_chat_template(as_dicts(messages), **options)
        except TemplateError:
            return tokenizer.apply_chat_template(as_dicts(without_system(messages)), **options)

    def _length(self) -> int:
        return int(self._inputs["input_ids"].shape[1])

    def _room(self) -> int:
        """Tokens that the model has left for an answer."""
        window = self._weights.window
        if window is None:
            return 1 << 30
        if self._length() >= window:
            raise ServiceError(
                f"{self._weights.folder.name} reads {window} tokens at most, and the prompt has "
                f"{self._length()}; lower generator.context_tokens or generator.history_tokens"
            )
        return window - self._length()

    def generate(self, *, streamer: Any, **inputs: Any) -> None:
        """What LlamaIndex calls to have the answer computed, in a thread of its own."""
        try:
            self._answer = self._turns.submit(self._compute, streamer, inputs)
        except RuntimeError as error:  # the model was closed
            self._answer.set_exception(error)
        self._answer.add_done_callback(lambda _: streamer.end())

    def _compute(self, streamer: Any, inputs: dict[str, Any]) -> list[int]:
        """The ids of prompt and answer, once it is this answer's turn."""
        with _stoppable(self._weights.module, self.left):
            found = self._weights.module.generate(streamer=streamer, **inputs)
        ids: list[int] = found[0].tolist()
        return ids

    def end(self) -> Part:
        """How the answer ended, once all of it was given.

        Raises:
            Exception: What computing it raised.
        """
        ids = self._answer.result()
        ends = self._weights.module.generation_config.eos_token_id
        stopped = ids[-1] in (ends if isinstance(ends, list) else [ends])
        written = len(ids) - self._length()
        return Part("", "stop" if stopped else "length", self._length(), written)


class _Prepared:
    """A tokenizer that has read the prompt already."""

    def __init__(self, tokenizer: Any, inputs: Any, name: str) -> None:
        self.name_or_path = name
        self._tokenizer = tokenizer
        self._inputs = inputs

    def __call__(self, text: str, **_: Any) -> Any:
        return self._inputs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def _sampling(weights: LocalWeights, temperature: float) -> dict[str, Any]:
    ends = weights.module.generation_config.eos_token_id
    padding = weights.tokenizer.pad_token_id
    fixed = {"num_beams": 1, "num_return_sequences": 1, "use_cache": True}
    if padding is None:
        padding = ends[0] if isinstance(ends, list) else ends
    if temperature > 0:
        return {**fixed, "pad_token_id": padding, "do_sample": True, "temperature": temperature}
    unused = dict.fromkeys(("temperature", "top_p", "top_k"))
    return {**fixed, "pad_token_id": padding, "do_sample": False, **unused}


@contextmanager
def _stoppable(module: Any, left: threading.Event) -> Iterator[None]:
    """Let an answer be given up before each layer, also while a long prompt is read."""
    from torch.nn import ModuleList

    def look(*_: Any) -> None:
        if left.is_set():
            raise _StoppedError

    layers = next((each for each in module.modules() if isinstance(each, ModuleList)), [module])
    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        look()
        yield
    finally:
        for hook in hooks:
            hook.remove()
