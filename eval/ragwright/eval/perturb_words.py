"""The English that the perturbations know."""

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ABBREVIATIONS: Mapping[str, str] = {
    "e.g.": "for example",
    "i.e.": "that is",
    "etc.": "and so on",
    "approx.": "approximately",
    "vs.": "versus",
    "incl.": "including",
    "excl.": "excluding",
    "max.": "maximum",
    "min.": "minimum",
    "temp.": "temperature",
    "dept.": "department",
    "govt.": "government",
    "w/o": "without",
    "info": "information",
    "specs": "specifications",
    "docs": "documents",
    "app": "application",
    "config": "configuration",
    "admin": "administrator",
    "FAQ": "frequently asked questions",
    "CEO": "chief executive officer",
    "EU": "European Union",
    "UK": "United Kingdom",
    "UN": "United Nations",
    "US": "United States",
}
"""Abbreviation to what it stands for."""

EXPANDED_ONLY = frozenset({"i.e.", "app"})
"""Abbreviations of words that often mean something else, and so are not abbreviated."""

SUBORDINATORS = "when|if|because|after|before|while|although|unless|until|once|whenever"
"""Words that open a subordinate clause, as a part of a regular expression."""

PREPOSITIONS = _words(
    "about above across against along among at below beneath beside between beyond by concerning despite "
    "during for from in inside near on outside over regarding since through throughout toward towards under "
    "upon via with within without"
)
"""Words that open a phrase which can stand first; `of` and `to` hang on the word before them."""

OPENERS = _words(
    "a an and any are at by can could did do does during every for from had has have how if in is it its "
    "may might must of on our shall should that the their there these this those to under was we were what "
    "when where which while who whom whose why will with within would you your after before because "
    "although unless until once whenever give name list tell describe explain show find compare define "
    "please"
)
"""Words that lose their capital when a sentence no longer begins with them."""

STOP_WORDS = _words(
    "a about am an and any are as at be been being but by can could did do does doing for from had has have "
    "having he her here hers him his how i if in into is it its it's itself just let's may me might my of "
    "on or our ours please shall she should so some such than that that's the their theirs them then there "
    "there's these they this those to upon us was we were what what's when where where's which while who "
    "who's whom whose why will with would you your yours tell explain describe"
)
"""Words that a search box is not given; negations are no stop words."""

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")

NEIGHBOURS: Mapping[str, str] = {
    letter: row[max(0, place - 1) : place] + row[place + 1 : place + 2]
    for row in _ROWS
    for place, letter in enumerate(row)
}
"""The letters on either side of a key on an American keyboard."""
