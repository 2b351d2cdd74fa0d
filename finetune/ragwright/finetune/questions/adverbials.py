"""What follows the verb of a clause, cut where an adverbial begins, each with what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ragwright.finetune.questions.english import base_of, word_list
from ragwright.finetune.questions.tokens import BE, DO, HAVE, Token

Role = Literal[
    "purpose", "condition", "cause", "manner", "recipient", "origin", "agent", "interval", "span", "limit",
    "date", "amount", "place", "detail",
]  # fmt: skip

_YEAR = re.compile(r"(?:19|20)\d\d")
_CLOSES = frozenset({"detail", "cause", "condition"})  # the words behind them belong to their own clause
_MEASURING = frozenset(
    {"every", "per", "for", "within", "in", "on", "at", "after", "before", "until", "from", "since"}
)
_SPANS: dict[str, Role] = {"every": "interval", "per": "interval", "for": "span"}


@dataclass(frozen=True, slots=True)
class Part:
    """What stands behind the object: an adverbial, or a detail that a question leaves out.

    Attributes:
        role: What it says.
        text: With the words that begin it.
    """

    role: Role
    text: str

    @property
    def opener(self) -> str:
        """Its first word."""
        return self.text.partition(" ")[0]


def cut_into_parts(
    text: str, tokens: Sequence[Token], place: int, *, passive: bool
) -> tuple[str, tuple[Part, ...]]:
    """The object from a token on, and the parts behind it.

    Args:
        text: That the tokens are of.
        tokens: Of the whole clause.
        place: Number of the first token behind the verb.
        passive: Whether an adverbial may follow the verb at once.
    """
    cuts = _cuts(tokens, place, passive=passive)
    ends = [tokens[cut].start for cut, _ in cuts] + [len(text)]
    start = tokens[place].start if place < len(tokens) else len(text)
    parts = tuple(
        Part(role, part)
        for (cut, role), end in zip(cuts, ends[1:], strict=True)
        if (part := text[tokens[cut].start : end].strip(" ,;:–—-("))
    )
    return text[start : ends[0]].strip(" ,;:"), parts


def is_number(word: str) -> bool:
    """Whether a word is a number, in digits or letters, with or without a currency before it."""
    bare = word.lstrip("$€£")
    return bare[:1].isdigit() or bare in word_list("number_words")


def _cuts(tokens: Sequence[Token], place: int, *, passive: bool) -> list[tuple[int, Role]]:
    """Where parts begin, and what each is."""
    cuts: list[tuple[int, Role]] = []
    last, inside = -2, False
    for number in range(place, len(tokens)):
        if tokens[number].text in ":;–—":
            return [*cuts, (number, "detail")]
        inside = inside and tokens[number].text != ","
        role = _role(tokens, number, first=number == place and not passive, passive=passive)
        if role is None or inside:
            continue
        if number > last + 1:
            cuts.append((number, role))
        elif cuts[-1][0] == last and tokens[last].text == ",":  # the comma belongs to what follows it
            cuts[-1] = (number, role)
        last = number
        inside = role in _CLOSES and tokens[number].is_word
    return cuts


def _role(tokens: Sequence[Token], place: int, *, first: bool, passive: bool) -> Role | None:
    token = tokens[place]
    if not token.is_word:
        return "detail" if token.text in ",(" else None
    word = token.small
    following = tokens[place + 1].small if place + 1 < len(tokens) else ""
    if word == "to" and base_of(following, "base") is not None:
        return None if first else "purpose"
    if word in ("and", "or", "but"):
        return "detail" if _begins_clause(tokens, place + 1) else None
    if word in ("if", "when", "unless", "whenever", "until", "once", "upon", "while"):
        return "condition"
    if word in ("after", "before") and not is_number(following):
        return "condition"
    if word in ("because", "since") or (word == "due" and following == "to"):
        return "cause"
    if word in ("which", "that", "who", "where", "including", "so", "as", "whose", "although", "whether"):
        return _relative(tokens, place, first=first)
    return _prepositional(tokens, place, first=first, passive=passive)


def _begins_clause(tokens: Sequence[Token], place: int) -> bool:
    """Whether another clause begins at a token: a few words on stands its verb."""
    near = [token.small for token in tokens[place : place + 6]]
    helpers = word_list("modals") | BE | HAVE | DO
    if not near or near[0] in ("we", "you", "it", "they") or helpers & set(near):
        return bool(near)
    around = word_list("determiners") | word_list("prepositions")
    if len(near) > 1 and base_of(near[0], "third", "participle") and near[1] in around:
        return True
    return near[0] in word_list("determiners") and any(base_of(word, "third") for word in near[2:])


def _relative(tokens: Sequence[Token], place: int, *, first: bool) -> Role | None:
    words = [token.small for token in tokens[place : place + 3]]
    if words[:2] == ["so", "that"]:
        return "purpose"
    if words == ["as", "long", "as"]:
        return "condition"
    return None if first and words[0] in ("that", "as", "whether", "where", "who") else "detail"


def _prepositional(tokens: Sequence[Token], place: int, *, first: bool, passive: bool) -> Role | None:
    word = tokens[place].small
    following = [token.small for token in tokens[place + 1 : place + 6]]
    if not following or word not in word_list("prepositions") | {"every", "using"}:
        return None
    if word in ("by", "through", "via", "using"):
        return _means(word, following, passive=passive)
    if word in _MEASURING and (role := _measured(word, following)):
        return role
    if word in ("to", "at", "by", "for") and is_number(following[0]):
        return "amount"
    if first:
        return None
    if word in ("with", "to"):
        return "recipient" if _names_recipient(following) else None
    if word == "for":
        return None if following[0] in word_list("pronouns") else "purpose"
    if word == "from":
        return "origin"
    return "place" if word in ("in", "on", "at", "under", "between", "inside", "within") else None


def _means(word: str, following: Sequence[str], *, passive: bool) -> Role | None:
    """What "by" and its like say."""
    if word != "by" or base_of(following[0], "gerund") is not None:
        return "manner"
    if is_number(following[0]) and not word_list("recipients") & set(following[1:3]):
        return "amount"
    return "agent" if passive else "manner"


def _measured(word: str, following: Sequence[str]) -> Role | None:
    """What an adverbial with a number or a month says: how often, how long, up to when, or when."""
    if any(one in word_list("month_names") for one in following[:3]):
        return "date"
    if word in ("in", "on", "since") and any(_YEAR.fullmatch(one) for one in following[:2]):
        return "date"
    timed = any(one.rstrip("s") + "s" in word_list("time_units") for one in following[:4])
    numbered = any(map(is_number, following[:3])) or following[0] in ("a", "an", "one", "each", "every")
    return _SPANS.get(word, "limit") if timed and numbered else None


def _names_recipient(following: Sequence[str]) -> bool:
    """Whether the noun of "with ..." or "to ..." is somebody: the words before it only describe it."""
    for word in following:
        if word in word_list("recipients"):
            return True
        if not word.isalpha() or word in word_list("prepositions"):
            return False
    return False
