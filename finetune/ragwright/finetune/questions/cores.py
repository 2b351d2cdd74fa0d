"""The core of a question that a clause answers: its pieces in the persons and words of whoever asks."""

from __future__ import annotations

from dataclasses import dataclass

from ragwright.finetune.questions.clauses import Clause
from ragwright.finetune.questions.english import word_list
from ragwright.finetune.questions.loosening import shortened
from ragwright.finetune.questions.persons import FIRST, Persons, third, turned
from ragwright.finetune.questions.scene import Scene
from ragwright.finetune.questions.tokens import BE, HAVE, IN_NOUNS, tokens_of
from ragwright.finetune.questions.wording import finished

REPLACED = 0.45
"""Share of the words that have synonyms which give way to one."""

_ASKED_BY_READER = 0.65  # of the questions about "we" and "you"; somebody else asks the others
_LONGEST_PART = 7  # words


@dataclass(frozen=True, slots=True)
class Core:
    """The pieces of a question.

    Attributes:
        helper: The auxiliary, which stands before the subject.
        subject: Who or what.
        verb: Behind the subject, or "".
        object: Shortened, or "".
        persons: Of whoever asks.
    """

    helper: str
    subject: str
    verb: str
    object: str
    persons: Persons

    def asked(self, word: str = "", *, object: str | None = None, behind: str = "") -> str:  # noqa: A002
        """The question with a question word, with another object, and with words behind it."""
        middle = self.object if object is None else object
        parts = (word, self.helper, self.subject, self.verb, middle, behind)
        return finished(" ".join(part for part in parts if part))


def core_of(clause: Clause, scene: Scene) -> Core | None:
    """The core of a question that a clause answers, drawn by the scene; None where there is none."""
    if clause.person == "reader" and clause.negated:
        return None
    if clause.object.partition(" ")[0].lower() in word_list("said_openers"):
        return None
    persons = _persons(clause, scene)
    helper, subject = _head(clause, persons, scene)
    verb = scene.chance.choice((clause.verb, *clause.others)) if clause.others else clause.verb
    if not clause.passive and helper not in BE | HAVE | {"am"}:
        # a synonym may want another preposition, or another clause
        fixed = verb in word_list("complement_verbs") or clause.part("recipient") is not None
        share = 0.0 if fixed else REPLACED
        verb = scene.loosener.verb(verb, scene.chance, share=share)
    return Core(helper, subject, verb, _object(clause, persons, scene), persons)


def kept_part(clause: Clause, core: Core, scene: Scene) -> str:
    """A short adverbial behind the object that a question keeps, in its persons, or ""."""
    for part in clause.parts[:1]:
        if part.role != "detail" and (kept := _shortened_part(part.text)):
            return scene.loosener.nouns(turned(kept, core.persons), scene.chance, share=REPLACED)
    return ""


def _persons(clause: Clause, scene: Scene) -> Persons:
    """Who asks: mostly the reader, now and then somebody else."""
    names = scene.templates.get("organisation", ())
    if clause.person not in ("we", "you") or not names or scene.chance.random() < _ASKED_BY_READER:
        return FIRST
    return third(scene.chance.choice(names), of_reader=clause.person == "you")


def _head(clause: Clause, persons: Persons, scene: Scene) -> tuple[str, str]:
    """The auxiliary and the subject of a question."""
    if clause.person == "we":
        return _helper_of_we(clause.auxiliary, persons, scene), persons.we
    if clause.person == "you":
        return _helper_of_you(clause.auxiliary, persons, scene), persons.i
    if clause.person == "reader":
        return scene.chance.choice(("do", "should")), "I"
    subject = turned(scene.vocabulary.small_start(clause.subject), persons)
    return clause.auxiliary, scene.loosener.nouns(subject, scene.chance, share=REPLACED)


def _helper_of_we(helper: str, persons: Persons, scene: Scene) -> str:
    may = helper in ("may", "might", "could")
    if persons.plural:
        return scene.chance.choice(("do", "do", "will", "can")) if may else helper
    if may:
        return scene.chance.choice(("does", "can", "will"))
    return {"do": "does", "are": "is", "were": "was", "have": "has"}.get(helper, helper)


def _helper_of_you(helper: str, persons: Persons, scene: Scene) -> str:
    if helper in ("may", "might", "could"):
        return scene.chance.choice(("can", "can", "may"))
    if persons is not FIRST:
        return helper
    if helper in ("must", "should", "shall"):
        return scene.chance.choice(("must", "should"))
    return {"are": "am", "were": "was"}.get(helper, helper)


def _object(clause: Clause, persons: Persons, scene: Scene) -> str:
    first, _, rest = clause.object.partition(" ")
    to_somebody = first.lower() in ("you", "us", "them", "me") and rest
    if to_somebody and rest.split()[0] not in word_list("prepositions"):
        core = shortened(rest)  # to whom it is given is understood
    else:
        core = shortened(clause.object)
    return scene.loosener.nouns(turned(core, persons), scene.chance, share=REPLACED)


def _shortened_part(text: str) -> str:
    """An adverbial cut before its first clause or list; "" where what is left is long or open."""
    words: list[str] = []
    end = 0
    for token in tokens_of(text):
        if not token.is_word and token.text not in IN_NOUNS:
            break
        if words and token.small in ("and", "or"):
            return ""
        if words and token.small in ("that", "which", "who", "such", "including", "as", "whether"):
            break
        words.append(token.small)
        end = token.end
    if not 2 <= len(words) <= _LONGEST_PART or set(words) & word_list("pronouns"):
        return ""
    return "" if words[-1] in word_list("dangling") | word_list("prepositions") else text[:end]
