"""Questions without any language model, from what documents say of themselves.

Rules draft questions from headings, definitions, lists, table rows, statements and key phrases. Of the drafts
of a chunk those are taken that ask for different things in different ways, where the collection has few of
their kind. Questions are worded as people ask who have not read the text: in other persons, with other words,
shorter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random

from ragwright.core.profile import Profile
from ragwright.core.types import Chunk
from ragwright.finetune.questions.asking import Reply, Request, Subject, labelled
from ragwright.finetune.questions.loosening import Loosener
from ragwright.finetune.questions.rule_definitions import definition_questions
from ragwright.finetune.questions.rule_headings import asked_questions, heading_questions
from ragwright.finetune.questions.rule_lists import list_questions
from ragwright.finetune.questions.rule_statements import statement_questions
from ragwright.finetune.questions.rule_tables import table_questions
from ragwright.finetune.questions.rule_terms import keyword_queries, term_questions
from ragwright.finetune.questions.scene import Draft, Rule, Scene
from ragwright.finetune.questions.vocabulary import Vocabulary, stems
from ragwright.finetune.questions.wording import finished, is_whole
from ragwright.finetune.values import LabelledQuestion, Origin

RULES: tuple[Rule, ...] = (
    asked_questions,
    heading_questions,
    definition_questions,
    list_questions,
    table_questions,
    statement_questions,
    term_questions,
    keyword_queries,
)
_SIGNED, _SIGNED_PERSONS = 0.35, 0.1  # of the questions name their document; of those with persons fewer do
_PERSON = re.compile(r"\b(?:I|my|me|you|your|company|users?)\b")
_BARE_TASKS = frozenset({"keywords", "topic", "table"})
_AGAIN = 0.35  # what a draft is worth whose task, or whose sentence, was taken before
_MOST_FAVOUR, _LEAST_FAVOUR = 1.6, 0.5


class StructureSource:
    """Asks about documents what their own structure offers; equal seeds give equal questions."""

    origin: Origin = "structure"

    def __init__(self, subjects: Sequence[Subject], *, seed: int = 0, rules: Sequence[Rule] = RULES) -> None:
        """Look at a collection.

        Args:
            subjects: Every document, so that rare words and names are known.
            seed: Of everything that is drawn.
            rules: What drafts questions.
        """
        self._vocabulary = Vocabulary.of(subjects)
        self._loosener: dict[Profile, Loosener] = {}
        self._seed, self._rules = seed, rules
        self._several = len(subjects) > 1

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Questions for each request; the same ones whenever it is asked the same."""
        return [Reply(tuple(self._chosen(request))) for request in requests]

    def drafts(self, subject: Subject, chunk: Chunk) -> list[Draft]:
        """Everything that the rules make of a chunk and that can stand as a question, each wording once."""
        scene = self._scene(subject, chunk)
        found: dict[str, Draft] = {}
        for rule in self._rules:
            for draft in rule(scene):
                draft = self._signed(draft, scene)
                if _stands(draft):
                    found.setdefault(draft.text.casefold(), draft)
        return list(found.values())

    def _scene(self, subject: Subject, chunk: Chunk) -> Scene:
        profile = subject.profile
        loosener = self._loosener.get(profile)
        english = profile.language == "en"
        if loosener is None:
            loosener = self._loosener[profile] = Loosener(profile.glossary, english=english)
        return Scene(
            subject,
            chunk,
            self._vocabulary,
            loosener,
            profile.question_templates,
            Random(f"{self._seed} {chunk.id}"),
            english,
        )

    def _signed(self, draft: Draft, scene: Scene) -> Draft:
        """A draft that names its document, now and then."""
        share = _SIGNED_PERSONS if _PERSON.search(draft.text) else _SIGNED
        if draft.task in _BARE_TASKS or not self._several or scene.chance.random() >= share:
            return draft
        if not scene.sign or stems(scene.sign) & stems(draft.text):
            return draft
        text = scene.template("within", question=draft.text, sign=scene.sign)
        return Draft(text or draft.text, draft.ranges, draft.task, draft.rule, draft.answer, draft.weight)

    def _chosen(self, request: Request) -> Iterator[LabelledQuestion]:
        subject, chunk = request.subject, request.chunk
        fresh = [each for each in self.drafts(subject, chunk) if each.text.casefold() not in request.asked]
        chance = Random(f"{self._seed} {chunk.id} {len(request.asked)}")
        for draft in varied(fresh, request.wanted, scarce=request.scarce, chance=chance):
            yield labelled(
                subject,
                draft.text,
                draft.ranges,
                origin="structure",
                recipe=draft.rule,
                task=draft.task,
                answer=draft.answer,
            )


def varied(drafts: Iterable[Draft], wanted: int, *, scarce: Sequence[str], chance: Random) -> Iterator[Draft]:
    """Drafts of different tasks and sentences, as far as there are such.

    After Carbonell and Goldstein 1998, "The use of MMR": each is the one of greatest weight, less what was
    taken before of its task and place.

    Args:
        drafts: To choose from.
        wanted: At most so many.
        scarce: Tasks, the scarcest first; these are favoured.
        chance: Draws between drafts of nearly the same weight.
    """
    favours = _favours(scarce)
    left = [
        (draft, draft.weight * favours.get(draft.task, _MOST_FAVOUR) * chance.uniform(0.7, 1.0))
        for draft in drafts
    ]
    tasks: Counter[str] = Counter()
    places: Counter[int] = Counter()
    while left and wanted > 0:
        worth = [value * _AGAIN ** (tasks[draft.task] + places[draft.ranges[0][0]]) for draft, value in left]
        best = max(range(len(left)), key=worth.__getitem__)
        draft, _ = left.pop(best)
        tasks[draft.task] += 1
        places[draft.ranges[0][0]] += 1
        wanted -= 1
        yield draft


def _favours(scarce: Sequence[str]) -> Mapping[str, float]:
    """What each task's drafts are worth, falling from the scarcest to the commonest."""
    step = (_MOST_FAVOUR - _LEAST_FAVOUR) / max(1, len(scarce) - 1)
    return {task: _MOST_FAVOUR - step * place for place, task in enumerate(scarce)}


def _stands(draft: Draft) -> bool:
    if not draft.ranges:
        return False
    if draft.task == "keywords":
        return len(draft.text.split()) > 1
    return is_whole(draft.text) or (draft.task in _BARE_TASKS and 1 < len(finished(draft.text).split()) < 12)
