"""English words: which verb a form belongs to, and which words say nothing of a subject.

The lists lie in `english.toml`. Forms of regular verbs follow the rules of spelling; a form that may be two
verbs, or a verb that is not listed, is not known, and whoever asks passes the sentence over.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Form = Literal["base", "third", "past", "participle", "gerund"]

_DOUBLED = re.compile(r"(?:[^aeiou]|^|qu)[aeiou][bdgklmnprt]$")
# Verbs of several syllables double their last letter where it is stressed; of those listed only these are.
_STRESSED_LAST = frozenset(
    {
        "admit", "begin", "commit", "control", "equip", "forget", "infer", "occur", "omit", "opt", "permit",
        "prefer", "refer", "submit", "transfer", "transmit",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verb:
    """The forms of one verb."""

    base: str
    third: str
    past: str
    participle: str
    gerund: str


@cache
def word_list(name: str) -> frozenset[str]:
    """A list of `english.toml`, such as `stop_words`, in small letters."""
    return frozenset(str(_lists()[name]).split())


@cache
def synonyms(kind: Literal["verbs", "nouns"]) -> Mapping[str, tuple[str, ...]]:
    """What may stand for a word: base forms of verbs, or singulars of nouns, by the first of their row."""
    rows: dict[str, tuple[str, ...]] = {}
    for first, *others in _lists()["synonyms"][kind]:
        rows[first] = tuple(dict.fromkeys((*rows.get(first, ()), *others)))
    return rows


def is_said_often(word: str) -> bool:
    """Whether a word says nothing of a subject: it stands in any text, or is a single letter."""
    return len(word) < 2 or word.lower() in word_list("stop_words")


def verb(base: str) -> Verb | None:
    """The forms of a verb, by its base form; None for one that is not known."""
    return _verbs().get(base.lower())


def verbs_of(form: str) -> Mapping[Form, Verb]:
    """The verbs that a word may be a form of, by the form that it is; empty for what is no known verb.

    >>> verbs_of("acquired")["past"].base, verbs_of("chosen")["participle"].base
    ('acquire', 'choose')
    """
    return _forms().get(form.lower(), {})


def base_of(word: str, *forms: Form) -> str | None:
    """The base form of a word, if it is one of these forms of a known verb; no forms: any.

    >>> base_of("choosing", "gerund"), base_of("choosing", "past")
    ('choose', None)
    """
    found = verbs_of(word)
    return next((each.base for form, each in found.items() if not forms or form in forms), None)


def conjugated(base: str) -> Verb:
    """The forms of a verb by the rules of spelling, or as listed where it follows none.

    >>> conjugated("apply").third, conjugated("stop").gerund, conjugated("take").past
    ('applies', 'stopping', 'took')
    """
    irregular = _lists()["irregular_verbs"].get(base)
    past = irregular[0] if irregular else _regular_past(base)
    participle = irregular[1] if irregular else past
    third = {"have": "has", "be": "is"}.get(base, plural(base))
    return Verb(base, third, past, participle, _gerund(base))


def plural(noun: str) -> str:
    """The plural of a noun by the rules of spelling; a phrase's last word takes it.

    >>> plural("third party"), plural("box"), plural("day")
    ('third parties', 'boxes', 'days')
    """
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")


def singular(noun: str) -> str:
    """The singular of a noun by the rules of spelling; the word itself where it is no plural.

    >>> singular("parties"), singular("boxes"), singular("class"), singular("purposes")
    ('party', 'box', 'class', 'purpose')
    """
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("xes", "ches", "shes", "sses")):
        return noun[:-2]
    if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) and len(noun) > 3:
        return noun[:-1]
    return noun


def _regular_past(base: str) -> str:
    if base.endswith("e"):
        return base + "d"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ied"
    return base + (base[-1] if _doubles(base) else "") + "ed"


def _gerund(base: str) -> str:
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base.endswith("e") and not base.endswith(("ee", "oe", "ye")) and base != "be":
        return base[:-1] + "ing"
    return base + (base[-1] if _doubles(base) else "") + "ing"


def _doubles(base: str) -> bool:
    """Whether the last letter is doubled before an ending."""
    vowels = sum(letter in "aeiouy" for letter in base)
    return _DOUBLED.search(base) is not None and (vowels == 1 or base in _STRESSED_LAST)


@cache
def _lists() -> Mapping[str, Any]:
    text = (files(__package__) / "english.toml").read_text("utf-8")
    return tomllib.loads(text)


@cache
def _verbs() -> Mapping[str, Verb]:
    bases: Iterable[str] = (*str(_lists()["regular_verbs"]).split(), *_lists()["irregular_verbs"])
    return {base: conjugated(base) for base in bases}


@cache
def _forms() -> Mapping[str, Mapping[Form, Verb]]:
    found: dict[str, dict[Form, Verb]] = {}
    for each in _verbs().values():
        if each.base == "be":  # its forms are all auxiliaries
            continue
        spelt: tuple[tuple[Form, str], ...] = (
            ("base", each.base),
            ("third", each.third),
            ("past", each.past),
            ("participle", each.participle),
            ("gerund", each.gerund),
        )
        for form, word in spelt:
            found.setdefault(word, {}).setdefault(form, each)
    return found
