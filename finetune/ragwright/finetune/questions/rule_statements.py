"""Questions that a statement answers: whether, who, why, how, when, where, what, how many."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ragwright.finetune.questions.adverbials import is_number
from ragwright.finetune.questions.clauses import Clause, clause_of
from ragwright.finetune.questions.cores import REPLACED, Core, core_of, kept_part
from ragwright.finetune.questions.english import base_of, singular, verb, word_list
from ragwright.finetune.questions.loosening import copied, shortened
from ragwright.finetune.questions.persons import FIRST, turned
from ragwright.finetune.questions.scene import Draft, Scene
from ragwright.finetune.questions.surface import Sentence
from ragwright.finetune.questions.wording import finished

RULE = "statement-1"
_MOST_COPIED = 0.75  # of the rare words of a sentence of some length
_INFORMATION = frozenset({"information", "data", "details", "records"})
_WHAT_INFORMATION = ("what information", "what data", "which details", "what kind of information")
_TIMES = {
    "interval": "how often",
    "span": "how long",
    "limit": "how soon",
    "date": "when",
    "condition": "when",
}
_LIMITS = {"within": "how soon", "after": "when", "until": "until when", "at": "when"}
_PAID = re.compile(r"[$€£]|\b(?:euros?|dollars?|crowns?)\b")
_SUMS = frozenset({"euros", "dollars", "crowns", "million", "billion", "percent"})
_AMOUNT = re.compile(
    r"^(?:(?:about|approximately|around|at least|at most|up to|no more than|more than|less than|over|nearly|"
    r"only|a (?:maximum|minimum|total) of)\s+)?(?P<number>[$€£]?\d[\d.,]*|[a-z]+)(?:\s+(?P<unit>[\w-]+))?",
    re.IGNORECASE,
)


class Wording(NamedTuple):
    """A question with its task, and how good it is taken to be; 1 is usual."""

    text: str
    task: str
    weight: float


def statement_questions(scene: Scene) -> Iterator[Draft]:
    """Questions that the sentences of a chunk answer, one sentence after the other; English only."""
    for sentence in scene.sentences if scene.english else ():
        clause = clause_of(sentence.text) if sentence.kind in ("paragraph", "list_item") else None
        # an item may go on with what its introduction began: "We may: Use your data"
        if clause is None or (clause.person == "reader" and not _may_command(sentence, scene)):
            continue
        is_long = len(scene.vocabulary.content(sentence.text)) > 5
        for text, task, weight in _wordings(clause, scene):
            if not is_long or copied(text, sentence.text, scene.vocabulary) <= _MOST_COPIED:
                yield Draft(text, (sentence.range,), task, RULE, weight=weight)


def _may_command(sentence: Sentence, scene: Scene) -> bool:
    raw = scene.subject.text(sentence.start, sentence.end).lstrip()
    return sentence.kind == "paragraph" or raw[:1].isdigit()


def _wordings(clause: Clause, scene: Scene) -> Iterator[Wording]:
    yield from _conditions(clause, scene)
    core = core_of(clause, scene)
    if core is None:
        return
    for rule in (_quantities, _states, _reasons, _ways, _partners, _times, _agents, _objects, _whether):
        yield from rule(clause, core, scene)


def _conditions(clause: Clause, scene: Scene) -> Iterator[Wording]:
    """What happens if the condition of a sentence holds."""
    head, _, rest = clause.condition.partition(" ")
    words = rest.split()
    if head.lower() not in ("if", "when", "whenever") or not 2 <= len(words) <= 14:
        return
    if words[0].lower() in word_list("pronouns") or len(scene.vocabulary.content(rest)) < 2:
        return
    condition = turned(scene.vocabulary.small_start(rest), FIRST)
    condition = scene.loosener.nouns(condition, scene.chance, share=REPLACED)
    advises = clause.person == "you" and clause.auxiliary in ("must", "should", "may", "can")
    asks: tuple[str, ...] = ("what happens",)
    if advises or clause.person == "reader":
        asks = ("what should I do", "what can I do", "what do I have to do")
    yield Wording(finished(f"{scene.chance.choice(asks)} {head.lower()} {condition}"), "condition", 1.2)


def _quantities(clause: Clause, core: Core, scene: Scene) -> Iterator[Wording]:
    """Questions whose answer is a number in the object, or behind it."""
    if part := clause.part("amount"):
        paid = _PAID.search(part.text) is not None
        asked = core.asked("how much") if paid else core.asked("what", behind=part.opener)
        yield Wording(asked, "number", 1.2)
    found = _AMOUNT.match(clause.object)
    if found is None or not is_number(found["number"].lower()):
        return
    unit = (found["unit"] or "").lower()
    if clause.verb == "" and clause.person == "other":
        goes_on = unit in word_list("time_units") and found.end() < len(clause.object)
        if not goes_on:  # "47 minutes late" is no answer to "what"
            yield Wording(core.asked("what", object=""), "number", 1.3)
    elif unit in word_list("time_units"):
        yield Wording(core.asked("how long", object=""), "number", 1.2)
    elif found["number"][0] in "$€£" or unit in _SUMS:
        yield Wording(core.asked("how much", object=""), "number", 1.1)
    elif singular(unit) != unit and not clause.passive:
        yield Wording(core.asked(f"how many {unit}", object=""), "number", 1.2)


def _states(clause: Clause, core: Core, scene: Scene) -> Iterator[Wording]:
    """Questions for who or where somebody is, and for what something comes from."""
    if clause.verb or clause.person != "other":
        return
    names = clause.object.split()
    titled = all(name[0].isupper() and name.isalpha() and not name.isupper() for name in names)
    if 2 <= len(names) <= 3 and titled:
        yield Wording(core.asked("who", object=""), "who", 1.1)
    if core.object or not clause.parts:
        return
    if clause.parts[0].role == "cause" and clause.parts[0].text.startswith("due to"):
        yield Wording(finished(f"what caused {core.subject}"), "reason", 1.2)
    if clause.parts[0].role == "place":
        yield Wording(core.asked("where", object=""), "place", 0.9)


def _has_no_core(clause: Clause, core: Core) -> bool:
    """Whether a question about an adverbial would ask for nothing in particular."""
    if not clause.verb or clause.object:
        return not core.object and not clause.passive
    return not core.object and not clause.passive and clause.person != "other"


def _reasons(clause: Clause, core: Core, scene: Scene) -> Iterator[Wording]:
    part = clause.part("purpose", "cause")
    if part is None or _has_no_core(clause, core) or clause.verb == "have":
        return
    if clause.base in word_list("complement_verbs"):
        return  # "allows users to see it" tells no purpose
    if part.opener in ("to", "so", "because", "due", "since"):
        formal = "for what purpose" if part.role == "purpose" else "for what reason"
        yield Wording(core.asked(scene.chance.choice(("why", "why", formal))), "reason", 1.2)


def _ways(clause: Clause, core: Core, scene: Scene) -> Iterator[Wording]:
    if _has_no_core(clause, core) or not clause.verb:
        return
    if clause.part("manner"):
        yield Wording(core.asked("how"), "procedure", 1.2)
    elif clause.person == "reader":
        yield Wording(core.asked("how"), "procedure", 1.0)
    elif clause.person == "you" and clause.auxiliary in ("may", "can") and clause.object:
        yield Wording(core.asked("how"), "procedure", 0.8)


def _partners(clause: Clause, core: Core, scene: Scene) -> Iterator[Wording]:
    """Questions for to whom, from where, and where."""
    if _has_no_core(clause, core) or not clause.verb:
        return
    if part := clause.part("recipient"):
        yield Wording(core.asked("who", behind=part.opener), "who", 1.2)
    if clause.part("origin") and clause.base in ("collect", "obtain", "receive", "get", "gather", "come"):
        yield Wording(core.asked("where", behind="from"), "who", 1.0)
    if clause.part("place") and clause.base in word_list("place_verbs"):
        yield Wording(core.asked("where"), "place", 1.0)


def _times(clause: Clause, core: Core, scene: Scene) -> Iterator[Wording]:
    if _has_no_core(clause, core):
        return
    for role, usual in _TIMES.items():
        part = clause.part(role)
        if part is None and not (role == "condition" and clause.condition):
            continue
        opener, word = part.opener if part else "", usual
        if role == "limit":
            word = _LIMITS.get(opener, "")
        if role == "condition" and opener == "until":
            word = "until when"
        if word:
            yield Wording(core.asked(word), "condition" if role == "condition" else "number", 1.1)


def _agents(clause: Clause, core: Core, scene: Scene) -> Iterator[Wording]:
    """Who did what was done to the subject."""
    part = clause.part("agent")
    form, _, particle = clause.verb.partition(" ")
    known = verb(base_of(form, "participle") or "")
    if part is None or known is None or clause.auxiliary not in ("is", "are", "was", "were"):
        return
    done = known.third if clause.auxiliary in ("is", "are") else known.past
    agent = shortened(part.text.removeprefix("by "))
    people = {singular(word) for word in word_list("recipients")}
    is_person = bool(agent) and (agent[0].isupper() or singular(agent.split()[-1].lower()) in people)
    text = f"{'who' if is_person else 'what'} {done} {particle} {core.subject}"
    yield Wording(finished(text), "who", 1.2)


def _objects(clause: Clause, core: Core, scene: Scene) -> Iterator[Wording]:
    """Questions whose answer is the object."""
    first = core.object.partition(" ")[0].lower()
    amount = _AMOUNT.match(clause.object)
    if clause.passive or not clause.verb or not core.object or first in word_list("prepositions"):
        return
    if (amount and is_number(amount["number"].lower())) or _is_said(clause):
        return
    if clause.base in word_list("complement_verbs"):
        return
    head = shortened(clause.object).split()[-1].lower()
    if head in ("you", "us", "me", "users", "them"):
        return
    behind = kept_part(clause, core, scene)
    if head in _INFORMATION:
        word = scene.chance.choice(_WHAT_INFORMATION)
        yield Wording(core.asked(word, object="", behind=behind), "what", 1.0)
    elif singular(head) != head and first not in word_list("determiners"):
        yield Wording(core.asked(f"what {core.object}", object="", behind=behind), "what", 1.0)
    elif clause.person == "other" or (behind and clause.verb != "have"):
        yield Wording(core.asked("what", object="", behind=behind), "what", 0.9)


def _is_said(clause: Clause) -> bool:
    """Whether what is said, rather than a thing, follows the verb."""
    first = clause.parts[0] if clause.parts else None
    return first is not None and first.role == "detail" and first.opener in ("that", "whether")


def _whether(clause: Clause, core: Core, scene: Scene) -> Iterator[Wording]:
    """Whether it holds."""
    if clause.person == "reader" or (not core.object and not clause.passive) or _is_said(clause):
        return
    complement = clause.base in word_list("complement_verbs")
    behind = kept_part(clause, core, scene) if complement or scene.chance.random() < 0.6 else ""
    if not behind and (complement or (clause.passive and not clause.part("condition"))):
        return
    weight = 0.9 if clause.person in ("we", "you") else 0.5
    if clause.person == "you" and clause.auxiliary in ("must", "should", "shall"):
        text = finished(f"do {core.subject} have to {core.verb} {core.object} {behind}")
    else:
        text = core.asked(behind=behind)
    yield Wording(text, "yes_no", weight)
