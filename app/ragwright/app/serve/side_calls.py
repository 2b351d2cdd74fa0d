"""What chat front ends ask behind a person's back: titles, tags and follow-up questions of a conversation.

They come as an ordinary question that holds a task and the conversation. Searching the documents for it
would cost a search, and show citations where a title should stand. The templates are those of Open WebUI
("### Task:", the shape of the answer as JSON, the conversation in <chat_history> tags) and of LibreChat.
"""

from __future__ import annotations

import json
import re
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from ragwright.core.errors import ServiceError
from ragwright.core.types import Message
from ragwright.generation.neutralise import Neutraliser

if TYPE_CHECKING:
    from ragwright.generation.language_model import LanguageModel

Kind = Literal["title", "tags", "follow_ups", "queries", "text", "prompt"]

NO_TITLE = "New chat"
_TITLE_CHARACTERS = 60
_MOST_TOKENS = 300  # of what a model writes
_MOST_CHARACTERS = 200  # of a title or a question that a model wrote
_MOST_ITEMS = 10
_WORDS: tuple[Kind, ...] = ("title", "text", "prompt")  # the others are lists

_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
_KEY = re.compile(rf'\{{\s*"({"|".join(_KINDS)})"\s*:')
_HISTORY = re.compile(r"<chat_history>\s*(.*?)\s*(?:</chat_history>|\Z)", re.DOTALL)
_LIBRECHAT = (
    ("Provide a concise, 5-word-or-less title for the conversation", False),
    ("Please generate a concise title (max 40 characters) for a conversation that starts with", False),
    ("Analyze this conversation and provide:\n1. The detected language", True),
)
_USER = re.compile(r"^[ \t]*(?:user|human)[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE)
_NEXT_TURN = re.compile(r"^[ \t]*(?:user|human|assistant|ai|title)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_DECORATION = re.compile(r"[#*_`>\[\]\"“”]+")


@dataclass(frozen=True, slots=True)
class SideCall:
    """A task of a front end.

    Attributes:
        kind: What is asked for; the key of the JSON object that holds it.
        as_json: Whether that object is wanted, or the words alone.
        text: The whole task.
        question: The first question of the conversation in it, or "".
    """

    kind: Kind
    as_json: bool
    text: str
    question: str


def side_call(text: str) -> SideCall | None:
    """The task that a message is; None for a question of a person.

    Args:
        text: Of the only message of its user.
    """
    stripped = text.strip()
    for beginning, as_json in _LIBRECHAT:
        if stripped.startswith(beginning):
            return SideCall("title", as_json, text, _first_question(stripped))
    history = _HISTORY.search(stripped)
    if history is None or not stripped.startswith("### Task:"):
        return None
    key = _KEY.search(stripped, 0, history.start())  # in the template, not in what people wrote
    if key is None:
        return None
    return SideCall(_KINDS[key[1]], True, text, _first_question(history[1]))


def _first_question(history: str) -> str:
    """What the user said first, without what the other side said."""
    first = _USER.search(history)
    if first is None:
        return ""
    rest = history[first.end() :]
    following = _NEXT_TURN.search(rest)
    return (rest[: following.start()] if following else rest).strip()


def by_rule(call: SideCall) -> str:
    """An answer without a model: the first question as the title, and nothing of all else."""
    if call.kind == "title":
        return _written(call, short_title(call.question))
    return _written(call, "" if call.kind in _WORDS else [])


def short_title(question: str) -> str:
    """A question in a few words.

    >>> short_title("How often **must** the filter of the pump be changed? It is an old one.")
    'How often must the filter of the pump be changed?'
    """
    line = next((each for each in question.splitlines() if each.strip()), "")
    words = " ".join(_DECORATION.sub(" ", line).split())
    sentence = re.split(r"(?<=[.!?。！？])\s", words, maxsplit=1)[0]
    if len(sentence) <= _TITLE_CHARACTERS:
        return sentence or NO_TITLE
    cut = sentence[:_TITLE_CHARACTERS]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:") + "…"


def _written(call: SideCall, value: str | list[str]) -> str:
    return json.dumps({call.kind: value}, ensure_ascii=False) if call.as_json else str(value)


async def by_model(call: SideCall, model: LanguageModel) -> str:
    """The model's answer in the shape that was asked for; the rule's where it fails or writes something else.

    A few short words are all that comes out of it: this is no way to have a model write whatever one likes.
    """
    pieces: list[str] = []
    try:
        prompt = [Message("user", Neutraliser(model.special_tokens)(call.text))]  # it quotes documents
        asked = model.stream(prompt, max_tokens=_MOST_TOKENS, temperature=0.0)
        async with aclosing(asked) as written:
            async for piece in written:
                if isinstance(piece, str):
                    pieces.append(piece)
    except ServiceError:
        return by_rule(call)
    value = _fitting(call, "".join(pieces))
    return by_rule(call) if value is None else _written(call, value)


def _fitting(call: SideCall, written: str) -> str | list[str] | None:
    """What a model wrote, when it is what was asked for."""
    value: object = written
    if call.as_json:
        value = _object(written).get(call.kind)
    if call.kind in _WORDS:
        words = " ".join(value.split()).strip("\"'") if isinstance(value, str) else ""
        return words if 0 < len(words) <= _MOST_CHARACTERS else None
    if not isinstance(value, list) or len(value) > _MOST_ITEMS:
        return None
    items = [" ".join(each.split()) for each in value if isinstance(each, str)]
    return items if all(len(each) <= _MOST_CHARACTERS for each in items) else None


def _object(written: str) -> dict[str, object]:
    """The JSON object in a text; an empty one where there is none."""
    begin, end = written.find("{"), written.rfind("}")
    try:
        found = json.loads(written[begin : end + 1])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
