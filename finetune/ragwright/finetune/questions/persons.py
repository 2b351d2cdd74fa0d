"""Who speaks and who is spoken to: "we" of a document is "you" in a question about it.

Policies, contracts, manuals and help pages address their reader. Who asks about them turns the persons round:
"We may share your data" answers "Do you share my data?", and also "Does the company share users' data?".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ragwright.finetune.questions.english import base_of, verb, word_list

_TOKEN = re.compile(r"[^\W_]+(?:[’'-][^\W_]+)*|\s+|.")


@dataclass(frozen=True, slots=True)
class Persons:
    """What stands in a question for the persons of a text.

    Attributes:
        we: For the organisation, as a subject.
        us: As an object.
        our: Its possessions.
        i: For the reader, as a subject.
        me: As an object.
        my: The reader's possessions.
        plural: Whether a verb with the organisation as its subject has the form of the plural.
    """

    we: str
    us: str
    our: str
    i: str
    me: str
    my: str
    plural: bool


FIRST = Persons("you", "you", "your", "I", "me", "my", plural=True)
"""The reader asks the organisation."""


def third(organisation: str, *, of_reader: bool = False) -> Persons:
    """Somebody asks about both, such as "the company" and its users.

    Args:
        organisation: What it is called.
        of_reader: Whether the reader is who does something.
    """
    me, my = ("them", "their") if of_reader else ("users", "users'")
    return Persons(organisation, "them", "their", "users", me, my, plural=False)


def turned(text: str, persons: Persons) -> str:
    """A piece of a sentence with the persons that a question has in their place.

    >>> turned("your data when you contact us", FIRST)
    'my data when I contact you'
    >>> turned("your data when you contact us", third("the company"))
    "users' data when users contact them"
    """
    tokens = _TOKEN.findall(text)
    words = [place for place, token in enumerate(tokens) if token[0].isalnum()]
    done = list(tokens)
    for number, place in enumerate(words):
        former = tokens[words[number - 1]].lower() if number else ""
        following = tokens[words[number + 1]].lower() if number + 1 < len(words) else ""
        word = _turned(tokens[place], former, following, persons)
        if word is not None:
            done[place] = word
        if former == "we" and not persons.plural and (known := verb(tokens[place])) is not None:
            done[place] = known.third
    return _agreeing("".join(done), persons)


def _turned(token: str, former: str, following: str, persons: Persons) -> str | None:
    small = token.lower().replace("’", "'")
    fixed = {
        "us": persons.us,
        "our": persons.our,
        "ours": persons.our,
        "your": persons.my,
        "yours": persons.my,
        "ourselves": "yourselves" if persons is FIRST else "themselves",
        "yourself": "myself" if persons is FIRST else "themselves",
        "yourselves": "ourselves" if persons is FIRST else "themselves",
    }
    if token == "US":  # the country
        return None
    if small in fixed:
        return fixed[small]
    head, _, tail = small.partition("'")
    if head == "we":
        return persons.we + _ending(tail)
    if head == "you":
        is_subject = bool(tail) or _is_subject(former, following)
        return (persons.i if is_subject else persons.me) + _ending(tail)
    return None


def _ending(tail: str) -> str:
    return {"re": " are", "ve": " have", "ll": " will", "d": " would"}.get(tail, "")


def _is_subject(former: str, following: str) -> bool:
    """Whether "you" between two words does something."""
    if following in word_list("modals") or following in (
        "are",
        "were",
        "have",
        "had",
        "do",
        "did",
        "don't",
        "haven't",
    ):
        return True
    if former in word_list("prepositions") and former not in word_list("before_subject"):
        return False
    if former in ("if", "when", "whenever", "where", "because", "unless") or not former:
        return bool(following) and following not in word_list("prepositions")
    is_verb = base_of(following, "base", "past") is not None or following in word_list("adverbs")
    return is_verb and (former in word_list("before_subject") or not former or base_of(former) is None)


_AGREEMENT = (
    (re.compile(r"\bI are\b"), "I am"),
    (re.compile(r"\bI were\b"), "I was"),
    (re.compile(r"\bare I\b"), "am I"),
    (re.compile(r"\bwere I\b"), "was I"),
    (re.compile(r"\b(and|or) I(?= (?:to|for|from|with|and|or)\b|$)"), r"\1 me"),
)


def _agreeing(text: str, persons: Persons) -> str:
    """Forms of "be" that fit the persons."""
    if persons is FIRST:
        for pattern, put in _AGREEMENT:
            text = pattern.sub(put, text)
        return text
    name = re.escape(persons.we)
    text = re.sub(rf"\b({name}) are\b", r"\1 is", text)
    text = re.sub(rf"\b({name}) have\b", r"\1 has", text)
    return re.sub(rf"\b({name}) do\b", r"\1 does", text)
