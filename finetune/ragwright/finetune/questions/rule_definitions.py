"""Questions for what a word means."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragwright.finetune.questions.clauses import clause_of
from ragwright.finetune.questions.english import is_said_often, word_list
from ragwright.finetune.questions.scene import Draft, Scene
from ragwright.finetune.questions.surface import Sentence, words_of

RULE = "definition-1"
_MEANS = re.compile(
    r"^[\"“'‘]?(?P<term>(?:the |an? |term )*[\w][\w ,/&'’().-]{1,60}?)[\"”'’]?,?\s+(?:shall |here |also )?"
    r"(?:means?|refers? to|is defined as|are defined as|denotes?|stands? for|is called|describes)\s+\S",
    re.IGNORECASE,
)
_SHORT_FORM = re.compile(r"(?P<long>(?:[\w’'-]+[ ]){2,7})\((?P<short>[A-Z][A-Z0-9&-]{1,7})\)")
# A glossary's entry: the term in bold, with a full stop or colon.
_ENTRY = re.compile(r"^\s*(?:[-*+]\s+)?\*\*(?P<term>[^*\n]{2,60}?)[.:]?\*\*[.:]?\s*[:–—-]?\s*(?=\S)")
_LABEL = re.compile(r"^(?P<term>[A-Z][\w/’' -]{1,45}?)\s*(?::|\s[–—-])\s+(?=[A-Z“\"a-z])")


def definition_questions(scene: Scene) -> Iterator[Draft]:
    """Questions for the terms that the sentences of a chunk define."""
    entries = dict(_entries(scene))
    for sentence in scene.sentences:
        if sentence.kind not in ("paragraph", "list_item"):
            continue
        for term, weight in _terms(sentence, entries.get(sentence.start, "")) if scene.english else ():
            text = scene.template("definition", term=scene.vocabulary.small_start(term, surely=True))
            if text:
                yield Draft(text, _with_next(scene, sentence, entries), "definition", RULE, weight=weight)
        yield from _short_forms(sentence, scene)


def _entries(scene: Scene) -> Iterator[tuple[int, str]]:
    """The terms of entries of a glossary, by where their sentence starts."""
    for sentence in scene.sentences:
        block = scene.subject.block_at(sentence.start)
        if block is not None and block.start == sentence.start:
            found = _ENTRY.match(scene.subject.text(block.start, block.end))
            if found:
                yield sentence.start, found["term"]


def _with_next(scene: Scene, sentence: Sentence, entries: dict[int, str]) -> tuple[tuple[int, int], ...]:
    """A sentence; where it is the mere head of an entry, all of the entry."""
    block = scene.subject.block_at(sentence.start)
    if sentence.start in entries and block is not None:
        return ((block.start, block.end),)
    return (sentence.range,)


def _terms(sentence: Sentence, entry: str) -> Iterator[tuple[str, float]]:
    """What is defined, and how sure that is."""
    if entry:
        for term in re.split(r",\s+", entry)[:2]:
            yield term, 1.5
        return
    if found := _MEANS.match(sentence.text):
        term = _clean(found["term"])
        if term:
            yield term, 1.5
        return
    if sentence.kind == "list_item" and (found := _LABEL.match(sentence.text)):
        term = found["term"].strip()
        if _is_term(term) and len(sentence.text) > found.end() + 20:
            yield term, 0.8
        return
    clause = clause_of(sentence.text)
    if (
        clause is None
        or clause.verb
        or clause.negated
        or clause.person != "other"
        or clause.auxiliary not in ("is", "are")
    ):
        return
    first = clause.object.partition(" ")[0].lower()
    general = clause.subject.partition(" ")[0].lower() not in ("the", "our", "your")
    if first in ("a", "an") or (first in ("the", "any") and general):
        term = _clean(clause.subject)
        if term and len(clause.object.split()) >= 2:
            yield clause.subject if general else term, 1.3 if general else 0.9


def _clean(term: str) -> str:
    """A term without its article, or "" for what is none."""
    words = term.strip(" \"“”'‘’,").split()
    while words and words[0].lower() in ("the", "a", "an", "term", "word", "expression"):
        words.pop(0)
    text = " ".join(words)
    return text if _is_term(text) else ""


def _is_term(text: str) -> bool:
    words = words_of(text)
    small = [word.lower() for word in words]
    if not 1 <= len(words) <= 5 or small[0] in word_list("no_terms") or all(map(is_said_often, words)):
        return False
    return small[0] not in word_list("pronouns") | word_list("prepositions") | {
        "and",
        "or",
        "all",
        "each",
        "one",
        "we",
    }


def _short_forms(sentence: Sentence, scene: Scene) -> Iterator[Draft]:
    """What acronyms stand for."""
    for found in _SHORT_FORM.finditer(sentence.text):
        short = found["short"]
        words = found["long"].split()
        initials = "".join(word[0] for word in words).upper()
        if (
            short[0] in initials
            and len(short) <= len(words) + 2
            and words[-min(len(short), len(words))][0].upper() == short[0]
        ):
            text = scene.template("acronym", term=short)
            if text:
                yield Draft(text, (sentence.range,), "definition", RULE, weight=1.1)
