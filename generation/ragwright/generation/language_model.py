"""Language models behind one protocol: messages in, pieces of text out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ragwright.core.config_serving import GeneratorConfig
from ragwright.core.errors import ConfigError
from ragwright.core.types import Message

# fmt: off
USUAL_SPECIAL_TOKENS = frozenset(
    {
        "<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "<mask>", "<sep>", "<cls>", "<|endoftext|>",
        "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|begin_of_text|>", "<|end_of_text|>",
        "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>",
        "<|header_start|>", "<|header_end|>", "<|eot|>", "<|eom|>", "[INST]", "[/INST]", "<<SYS>>",
        "<</SYS>>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
        "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CONTENT]", "<start_of_turn>",
        "<end_of_turn>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>",
        "<|observation|>", "[gMASK]", "<sop>", "<|start|>", "<|message|>", "<|channel|>", "<|return|>",
        "<|call|>", "<|constrain|>", "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|SYSTEM_TOKEN|>",
        "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|start_of_role|>", "<|end_of_role|>", "<think>",
        "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
        "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>",
    }
)
# fmt: on
"""Special tokens of the chat templates in use."""


@dataclass(frozen=True, slots=True)
class Finish:
    """How a model's text ended, and what it cost.

    Attributes:
        reason: `length` when a limit of tokens, characters or seconds cut the text off.
        prompt_tokens: None where the model does not tell.
        completion_tokens: None where the model does not tell.
    """

    reason: Literal["stop", "length"]
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class LanguageModel(Protocol):
    """Continues a conversation. Usable from several event loops and threads at once."""

    name: str
    """Names the model in traces and messages."""

    special_tokens: frozenset[str]
    """Texts that steer a model where they stand in a prompt: the tokenizer's own and the usual ones."""

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float
    ) -> AsyncGenerator[str | Finish, None]:
        """The next message of a conversation: pieces that are never empty, then exactly one `Finish`.

        Closing the generator (`aclose`) stops the work at once.

        Args:
            messages: In order; at least one.
            max_tokens: The most tokens of the text.
            temperature: Randomness, from 0.

        Raises:
            ServiceError: The model does not answer, answers nothing, or broke off, also after some pieces.
        """
        ...

    def count_tokens(self, text: str) -> int | None:
        """Length of a text in the model's tokens; None where its tokenizer is not known."""
        ...

    def close(self) -> None:
        """Let go of connections and give up what runs; more than once does no harm."""
        ...


def open_language_model(settings: GeneratorConfig) -> LanguageModel:
    """The language model that the settings name.

    Raises:
        ConfigError: The address or the class path cannot be used.
        MissingExtra: The packages for it are not installed.
        ModelError: The folder of a local model or of its adapter cannot be used.
    """
    if settings.kind == "openai":
        from ragwright.generation.openai_model import OpenAIModel

        return OpenAIModel(settings)
    if settings.kind == "local":
        from ragwright.generation.local_model import LocalModel

        return LocalModel(settings)
    if settings.kind == "llama-index":
        from ragwright.generation.llama_index_model import LlamaIndexModel

        return LlamaIndexModel(settings)
    raise ConfigError(
        f"generator.kind is {settings.kind}, which has no language model; set it to openai, local or "
        "llama-index"
    )
