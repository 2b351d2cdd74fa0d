"""Questions that a whole list answers: its introduction and every item, each a span of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from ragwright.finetune.questions.asking import Range
from ragwright.finetune.questions.clauses import Clause, clause_of
from ragwright.finetune.questions.english import word_list
from ragwright.finetune.questions.loosening import shortened
from ragwright.finetune.questions.persons import FIRST, turned
from ragwright.finetune.questions.rule_headings import is_addressed, of_heading, small_heading
from ragwright.finetune.questions.scene import Draft, Scene
from ragwright.finetune.questions.surface import Sentence
from ragwright.finetune.questions.wording import finished

RULE = "list-1"
_FOLLOWING = re.compile(
    r"\b(?:the |these )?following\b(?: (?P<noun>[a-z][\w-]*(?: [a-z][\w-]*)?))?|\bas follows\b|\bbelow\b",
    re.IGNORECASE,
)
_ORDERED = re.compile(r"^\s*(?:step\s*)?\(?\d{1,3}[.)]", re.IGNORECASE)
_MOST_ITEMS = 20
_IN_LINE = re.compile(r"(?:^|[\s:;])\(?(?:\d{1,2}|[a-z])\)\s")
_WAYS = {
    "reason": "why", "purpose": "why", "way": "how", "method": "how", "mean": "how", "circumstance": "when",
    "situation": "when", "case": "when", "condition": "when", "instance": "when",
}  # fmt: skip


def list_questions(scene: Scene) -> Iterator[Draft]:
    """Questions that the lists of a chunk answer."""
    for heading, lead, items in _lists(scene):
        ranges: tuple[Range, ...] = tuple(item.range for item in items[:_MOST_ITEMS])
        if lead is not None:
            ranges = (lead.range, *ranges)
            if scene.english and (lead.text.endswith(":") or _FOLLOWING.search(lead.text)):
                for text, weight in _of_lead(lead.text.partition(":")[0], scene):
                    yield Draft(text, ranges, "list", RULE, weight=weight)
        for text, weight in (
            _of_heading(heading, items, scene) if heading and not is_addressed(heading) else ()
        ):
            yield Draft(text, ranges, "list", RULE, weight=weight)
    for sentence in scene.sentences if scene.english else ():  # a list inside one sentence
        if len(_IN_LINE.findall(sentence.text)) > 2 and ":" in sentence.text:
            for text, weight in _of_lead(sentence.text.partition(":")[0], scene):
                yield Draft(text, (sentence.range,), "list", RULE, weight=weight)


def _lists(scene: Scene) -> Iterator[tuple[str, Sentence | None, list[Sentence]]]:
    """Runs of two list items or more, with the heading above them and the sentence before them."""
    for section in scene.sections:
        lead: Sentence | None = None
        for is_list, run in groupby(section.sentences, key=lambda sentence: sentence.kind == "list_item"):
            sentences = list(run)
            if not is_list:
                lead = sentences[-1]
            elif len(sentences) > 1:
                yield section.heading, lead, sentences
                lead = None


def _of_heading(heading: str, items: Sequence[Sentence], scene: Scene) -> Iterator[tuple[str, float]]:
    """Questions from the heading above a list."""
    topic = small_heading(heading, scene)
    ordered = _ORDERED.match(scene.subject.text(*items[0].range)) is not None
    steps = [text for text, task, _ in of_heading(heading, scene) if task == "procedure"]
    if ordered and steps:
        yield steps[0], 1.2
    kind = "steps" if ordered else "list"
    text = scene.template(kind, heading=topic, title=scene.title, sign=scene.sign)
    if text:
        yield text, 1.1


def _of_lead(lead: str, scene: Scene) -> Iterator[tuple[str, float]]:
    """Questions from the sentence that introduces a list."""
    clause = clause_of(lead)
    if clause is None or clause.person == "reader":
        return
    helper, subject = _head(clause, scene)
    core = shortened(clause.object) if "following" not in clause.object.lower() else ""
    core = scene.loosener.nouns(turned(core, FIRST), scene.chance, share=0.4)
    named = _named(lead)
    word = _WAYS.get(named.rstrip("s"), "")
    middle = " ".join(part for part in (helper, subject, clause.verb, core) if part)
    if word and core:
        yield finished(f"{word} {middle}"), 1.5
    elif named:
        yield finished(f"what {named} {helper} {subject} {clause.verb}"), 1.5
    elif not core and clause.verb:
        yield finished(f"what {middle}"), 1.3
    elif clause.verb and core.lower().split()[-1] in ("information", "data", "details"):
        yield finished(f"what {core} {helper} {subject} {clause.verb}"), 1.4


def _head(clause: Clause, scene: Scene) -> tuple[str, str]:
    """The auxiliary and the subject as the reader asks with them."""
    helper = clause.auxiliary
    if clause.person == "we":
        return {"may": "do", "might": "do"}.get(helper, helper), "you"
    if clause.person == "you":
        return {"may": "can", "are": "am"}.get(helper, helper), "I"
    return helper, turned(scene.vocabulary.small_start(clause.subject), FIRST)


def _named(lead: str) -> str:
    """What the items are called: "the following reasons"; "" where nobody says."""
    found = _FOLLOWING.search(lead)
    noun = ((found["noun"] or "") if found else "").partition(" ")[0].lower()
    return "" if noun in word_list("stop_words") else noun
