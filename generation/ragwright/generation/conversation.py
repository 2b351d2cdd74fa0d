"""Follow-up questions made to stand alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from ragwright.core.errors import ServiceError
from ragwright.core.types import Message, Turn
from ragwright.generation.counting import counter
from ragwright.generation.followup import terms_taken
from ragwright.generation.history import trim
from ragwright.generation.language_model import Finish, LanguageModel
from ragwright.generation.neutralise import Neutraliser, restored
from ragwright.generation.system import packaged
from ragwright.generation.thinking import WithoutThinking
from ragwright.generation.words import numbers, stems

_MOST_TOKENS = 128  # of a rewritten question
_HISTORY_TOKENS = 1_000
_LONGEST_TEXT = 2_000  # characters of what the model writes, whatever it was told
_LONGEST_ADDED = 300  # characters that a rewritten question may have more than the question


class RuleRewriter:
    """Adds to a follow-up question the terms of the questions before it, by rule; English and German."""

    async def rewrite(self, question: str, history: Sequence[Turn]) -> str:
        """The question, with the terms that it lacks in brackets behind it; itself when it stands alone."""
        terms = terms_taken(question, [turn.text for turn in history if turn.role == "user"])
        return f"{question.strip()} ({', '.join(terms)})" if terms else question


class ModelRewriter:
    """Has a language model write the question anew; by rule where it fails or writes what cannot be right."""

    def __init__(self, model: LanguageModel, *, max_seconds: float = 10.0) -> None:
        """Make a rewriter.

        Args:
            model: Writes.
            max_seconds: The longest time for one question.
        """
        self._model = model
        self._max_seconds = max_seconds
        self._harmless = Neutraliser(model.special_tokens)
        self._rule = RuleRewriter()
        self._system = packaged("rewriting")

    async def rewrite(self, question: str, history: Sequence[Turn]) -> str:
        """The question as it stands alone. Without a history the model is not asked."""
        if not history:
            return question
        try:
            async with asyncio.timeout(self._max_seconds):
                written = await self._written(self._messages(question, history))
        except (ServiceError, TimeoutError):
            written = ""
        if makes_sense(written, question, history):
            return written
        return await self._rule.rewrite(question, history)

    def _messages(self, question: str, history: Sequence[Turn]) -> tuple[Message, Message]:
        given = [Turn(turn.role, self._harmless(turn.text)) for turn in history]
        kept = trim(given, tokens=_HISTORY_TOKENS, count=counter(self._model))
        lines = [f"{turn.role}: {turn.text}" for turn in kept]
        told = "\n\n".join(("<conversation>", *lines, "</conversation>"))
        asked = f"<question>\n{self._harmless(question)}\n</question>"
        return Message("system", self._system), Message("user", f"{told}\n\n{asked}")

    async def _written(self, messages: Sequence[Message]) -> str:
        """What the model writes, without quotation marks around it."""
        text, thinking = "", WithoutThinking()
        stream = self._model.stream(messages, max_tokens=_MOST_TOKENS, temperature=0.0)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish):
                    break
                text += thinking.feed(piece)
                if len(text) > _LONGEST_TEXT:
                    break
                await asyncio.sleep(0)  # the time runs out also where the model never waits
        return restored(text + thinking.finish()).strip().strip('"“”„«»').strip()


def makes_sense(written: str, question: str, history: Sequence[Turn]) -> bool:
    """Whether a text can be the question as it stands alone.

    It is one line, not much longer than the question, keeps most of its words, and brings no number and
    hardly a word that neither the question nor the conversation holds.
    """
    if not written or "\n" in written or len(written) > len(question) + _LONGEST_ADDED:
        return False
    told = "\n".join((question, *(turn.text for turn in history)))
    said, asked = stems(written), stems(question)
    if not said or not numbers(question) <= numbers(written) <= numbers(told):
        return False
    return 2 * len(said & stems(told)) > len(said) and 2 * len(asked & said) >= len(asked)
