"""Earlier turns, as many as there is room for, as messages that alternate."""

from __future__ import annotations

from collections.abc import Sequence

from ragwright.core.types import Message, Turn
from ragwright.generation.counting import Count, estimate


def trim(history: Sequence[Turn], *, tokens: int, count: Count = estimate) -> tuple[Turn, ...]:
    """The last turns that fit, whole, oldest first.

    Args:
        history: Oldest first.
        tokens: The most tokens of them together.
        count: Counts the tokens of a text.

    >>> trim([Turn("user", "a " * 9), Turn("assistant", "Yes."), Turn("user", "Why?")], tokens=4)
    (Turn(role='assistant', text='Yes.'), Turn(role='user', text='Why?'))
    """
    kept: list[Turn] = []
    for turn in reversed(history):
        tokens -= count(turn.text)
        if tokens < 0:
            break
        kept.append(turn)
    return tuple(reversed(kept))


def alternating(history: Sequence[Turn], last: str) -> tuple[Message, ...]:
    """Messages that begin and end with the user's, and change sides each time: many chat templates want that.

    Neighbours of one side become one message, and an assistant's message at the start is left out.

    Args:
        history: Oldest first.
        last: The user's message at the end.
    """
    messages: list[Message] = []
    for turn in (*history, Turn("user", last)):
        if messages and messages[-1].role == turn.role:
            messages[-1] = Message(turn.role, f"{messages[-1].text}\n\n{turn.text}")
        elif messages or turn.role == "user":
            messages.append(Message(turn.role, turn.text))
    return tuple(messages)
