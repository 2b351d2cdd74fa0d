"""The main clause of a sentence, taken apart where its words leave no doubt: subject, verb, object, the rest.

This is no grammar. It knows auxiliaries, the verbs of `english.toml` and the words that begin an adverbial,
and gives up on whatever does not fit: of a collection there are always sentences enough that do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from ragwright.finetune.questions.adverbials import Part, cut_into_parts, is_number
from ragwright.finetune.questions.english import base_of, verbs_of, word_list
from ragwright.finetune.questions.tokens import BE, DO, HAVE, Token, tokens_of

Person = Literal["we", "you", "other", "reader"]
"""Who does it; `reader` where somebody is told to."""


@dataclass(frozen=True, slots=True)
class Clause:
    """The main clause of a sentence.

    Attributes:
        subject: As it stands there; "" where the reader is told to do something.
        person: Who does it.
        auxiliary: The word that changes places with the subject in a question, such as `may`, `is`, `does`.
        negated: Whether it does not hold.
        verb: Behind the auxiliary: base form, participle, or "" where the auxiliary is the verb.
        passive: Whether it is done to the subject.
        object: What follows the verb, up to the first part.
        parts: What follows the object, in order.
        others: Verbs that are joined to the verb and share its object: "collect, use and store".
        condition: A clause with if, when or unless before it, or "".
    """

    subject: str
    person: Person
    auxiliary: str
    negated: bool
    verb: str
    passive: bool = False
    object: str = ""
    parts: tuple[Part, ...] = ()
    others: tuple[str, ...] = ()
    condition: str = ""

    def part(self, *roles: str) -> Part | None:
        """The first part with one of these roles."""
        return next((part for part in self.parts if part.role in roles), None)

    @property
    def base(self) -> str:
        """The base form of the verb without what belongs to it, or ""."""
        words = self.verb.removeprefix("be ").removeprefix("been ").split()
        return base_of(words[0]) or words[0] if words else ""


_FRONT = re.compile(
    r"^(?:however|moreover|in addition|additionally|also|therefore|furthermore|for example|for instance|"
    r"in general|generally|finally|thus|hence|instead|otherwise|then|next|first|second|third|in particular|"
    r"as a result|please note that|note that|please be aware that|in some cases|in certain circumstances|"
    r"from time to time|of course|in fact|similarly|likewise|please)\b,?\s+",
    re.IGNORECASE,
)
_PREPOSED = re.compile(
    r"^(?:in|on|at|for|from|during|after|before|by|with|since|until|as|under|upon|within|through|to|like|"
    r"despite|unlike|of|over|among|per|based on|according to|depending on|in order to)\b[^,;:]{2,70},\s+",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"^(?:if|when|whenever|unless|where|once|while|as soon as|every time)\s", re.IGNORECASE
)
_MAIN_AFTER = re.compile(r",\s+(?=[a-z]+(?:\s+[a-z]+)?\s)", re.IGNORECASE)
_LONGEST_CONDITION = 160  # characters
_LONGEST_SUBJECT = 9  # words


@lru_cache(maxsize=4_096)  # several rules look at the same sentences
def clause_of(sentence: str) -> Clause | None:
    """The main clause of a plain sentence; None for one that does not fit.

    >>> found = clause_of("We may share your data with third parties to offer you services.")
    >>> found.person, found.auxiliary, found.verb, found.object
    ('we', 'may', 'share', 'your data')
    >>> [(part.role, part.text) for part in found.parts]
    [('recipient', 'with third parties'), ('purpose', 'to offer you services')]
    """
    text = sentence.strip().rstrip(".!;:")
    if not text or "?" in text:
        return None
    condition, text = _without_condition(_FRONT.sub("", text))
    text = _PREPOSED.sub("", _FRONT.sub("", text), count=1)
    found = _Reading(text).clause()
    return found and replace(found, condition=condition)


def _without_condition(text: str) -> tuple[str, str]:
    """A clause with if or when at the start, and what follows its comma; "" and the text without one."""
    comma = _MAIN_AFTER.search(text) if _CONDITION.match(text) else None
    if comma is None or comma.start() > _LONGEST_CONDITION:
        return "", text
    return text[: comma.start()], text[comma.end() :].removeprefix("then ")


class _Reading:
    """One clause as it is read, token by token."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens = text, tokens_of(text)

    def clause(self) -> Clause | None:
        return self._command() or self._with_subject()

    def _command(self) -> Clause | None:
        """What the reader is told to do: a base form at the start, and what it is done to."""
        tokens = self._tokens
        place = 2 if [token.small for token in tokens[:2]] == ["do", "not"] else 0
        if len(tokens) < place + 3 or not tokens[0].text[0].isupper():
            return None
        verb, following = tokens[place].small, tokens[place + 1].small
        fits = following in word_list("determiners") and verb not in word_list("pointing_verbs")
        if not fits or base_of(verb, "base") is None:
            return None
        return self._made(place + 1, Clause("", "reader", "", place == 2, verb))

    def _with_subject(self) -> Clause | None:
        for place, token in enumerate(self._tokens[: _LONGEST_SUBJECT + 2]):
            if not place:
                continue
            if not token.text[0].isalnum() and token.text not in "-/&'’":
                return None
            if (found := self._finite(place)) is not None:
                return found
        return None

    def _finite(self, place: int) -> Clause | None:
        """The clause whose first verb is this token; None when it is none, or the subject does not fit."""
        word = self._tokens[place].small
        subject = _without_adverbs(self._tokens[:place])
        person = _person(subject)
        is_auxiliary = word in word_list("modals") | BE | HAVE | DO
        if not subject or not (is_auxiliary or self._is_main_verb(place, person)):
            return None
        if not _is_subject(subject, person):
            return None
        head = Clause(self._text[subject[0].start : subject[-1].end], person, word, False, "")
        if is_auxiliary:
            return self._behind_auxiliary(place, head)
        found = verbs_of(word)
        form: Literal["base", "third", "past"] = "third" if "third" in found else "past"
        form = "base" if person in ("we", "you") and "base" in found else form
        helper = {"base": "do", "third": "does", "past": "did"}[form]
        return self._made(place + 1, replace(head, auxiliary=helper, verb=found[form].base))

    def _behind_auxiliary(self, place: int, head: Clause) -> Clause | None:
        rest, negated = self._skip(place + 1)
        helper = head.auxiliary
        head = replace(head, negated=negated)
        if helper == "cannot":
            helper, head = "can", replace(head, auxiliary="can", negated=True)
        if rest >= len(self._tokens):
            return None
        if helper in word_list("modals") | DO:
            return self._behind_modal(rest, head)
        if helper in BE:
            return self._behind_be(rest, head)
        return self._behind_have(rest, head)

    def _behind_modal(self, rest: int, head: Clause) -> Clause | None:
        word = self._tokens[rest].small
        if word != "be":
            verb = self._tokens[rest].text
            return self._made(rest + 1, replace(head, verb=verb)) if word.isalpha() else None
        after, _ = self._skip(rest + 1)
        if after < len(self._tokens) and _is_participle(self._tokens[after].small):
            return self._made(after + 1, replace(head, verb=f"be {self._tokens[after].text}", passive=True))
        able = [token.small for token in self._tokens[rest + 1 : rest + 3]] == ["able", "to"]
        if not able or rest + 3 >= len(self._tokens):
            return None
        return self._made(rest + 4, replace(head, auxiliary="can", verb=self._tokens[rest + 3].text))

    def _behind_be(self, rest: int, head: Clause) -> Clause:
        if _is_participle(self._tokens[rest].small):
            return self._made(rest + 1, replace(head, verb=self._tokens[rest].text, passive=True))
        return self._made(rest, head)

    def _behind_have(self, rest: int, head: Clause) -> Clause:
        words = [token.small for token in self._tokens[rest : rest + 2]]
        if words[0] == "been" and len(words) > 1 and _is_participle(words[1]):
            return self._made(rest + 2, replace(head, verb=f"been {words[1]}", passive=True))
        if _is_participle(words[0]):
            return self._made(rest + 1, replace(head, verb=self._tokens[rest].text))
        helper = {"has": "does", "have": "do", "had": "did"}[head.auxiliary]
        return self._made(rest, replace(head, auxiliary=helper, verb="have"))

    def _made(self, place: int, head: Clause) -> Clause:
        """The clause with what follows its verb, from a token on, cut into parts."""
        place, verb = self._whole_verb(place, head)
        others: tuple[str, ...] = ()
        if head.person == "reader" or (not head.passive and head.auxiliary not in BE | HAVE):
            others, place = self._joined_verbs(place)
        core, parts = cut_into_parts(self._text, self._tokens, place, passive=head.passive or not verb)
        return replace(head, verb=verb, object=core, parts=parts, others=others)

    def _whole_verb(self, place: int, head: Clause) -> tuple[int, str]:
        """A verb with what belongs to it, such as "carried out", "need to inform" or "ask for"."""
        verb = head.verb
        words = [token.small for token in self._tokens[place : place + 2]]
        infinitive = words[:1] == ["to"] and len(words) > 1 and base_of(words[1], "base") is not None
        if verb in word_list("chain_verbs") and infinitive:
            return place + 2, f"{verb} to {words[1]}"
        if verb and words and words[0] in word_list("particles"):
            return place + 1, f"{verb} {words[0]}"
        bound = frozenset({"as"}) if head.passive else word_list("bound_prepositions")
        if verb and len(words) > 1 and words[0] in bound and not infinitive and not is_number(words[1]):
            return place + 1, f"{verb} {words[0]}"
        return place, verb

    def _joined_verbs(self, place: int) -> tuple[tuple[str, ...], int]:
        """Base forms that are joined to a verb by commas, "and" or "or", and the token behind them."""
        found: list[str] = []
        while True:
            step = place
            while step < len(self._tokens) and self._tokens[step].small in (",", "and", "or", "/"):
                step += 1
            base = (
                base_of(self._tokens[step].small, "base", "third")
                if place < step < len(self._tokens)
                else None
            )
            if base is None:
                return tuple(found), place
            found.append(base)
            place = step + 1

    def _is_main_verb(self, place: int, person: Person) -> bool:
        """Whether a word that may be a noun is the verb here: what stands on both sides fits a verb alone."""
        found = verbs_of(self._tokens[place].small)
        if person in ("we", "you"):
            return "base" in found or "past" in found
        if not {"third", "past"} & set(found) or place + 1 >= len(self._tokens):
            return False
        before, after = self._tokens[place - 1].small, self._tokens[place + 1].small
        if before in word_list("determiners") | word_list("prepositions") | {"and", "or"}:
            return False
        if "past" in found and "participle" in found and after in word_list("prepositions"):
            return False  # "the data collected by", more often than not
        return after in word_list("determiners") | word_list("prepositions") | word_list(
            "adverbs"
        ) or is_number(after)

    def _skip(self, place: int) -> tuple[int, bool]:
        """The first token from a place on that is no adverb, and whether "not" stood before it."""
        negated = False
        while place < len(self._tokens):
            word = self._tokens[place].small
            if word in ("not", "n't"):
                negated = True
            elif word not in word_list("adverbs") and not (word.endswith("ly") and len(word) > 4):
                break
            place += 1
        return place, negated


def _person(subject: Sequence[Token]) -> Person:
    words = [token.small for token in subject]
    return "we" if words == ["we"] else "you" if words == ["you"] else "other"


def _is_subject(subject: Sequence[Token], person: Person) -> bool:
    """Whether these words can be a subject that is understood without the text around it."""
    if person != "other":
        return True
    words = [token.small for token in subject]
    first, last = words[0].partition("'")[0], words[-1]
    if first in word_list("pronouns") | word_list("prepositions") | {"to", "and", "or"}:
        return False
    if len(words) > _LONGEST_SUBJECT or set(words) & (word_list("no_subject") | word_list("modals")):
        return False
    closed = word_list("prepositions") | word_list("determiners") | {"and", "or"}
    return last not in closed and any(map(str.isalpha, last))


def _without_adverbs(subject: Sequence[Token]) -> list[Token]:
    kept = list(subject)
    while kept and (kept[-1].small in word_list("adverbs") or kept[-1].small.endswith("ly")):
        kept.pop()
    return kept


def _is_participle(word: str) -> bool:
    known = base_of(word, "participle") is not None
    return known or (len(word) > 4 and word.endswith("ed") and not word.endswith("eed"))
