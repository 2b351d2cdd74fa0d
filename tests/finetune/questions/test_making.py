"""Questions are asked for in rounds, filtered, and made where there are few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.finetune.questions.material import finder, inside, question, subjects

from ragwright.finetune.questions.asking import Reply, Request
from ragwright.finetune.questions.coverage import coverage, questions_by_chunk, scarce_tasks
from ragwright.finetune.questions.given import GivenQuestions
from ragwright.finetune.questions.making import Amount, Made, Trial, make_questions
from ragwright.finetune.questions.splitting import PART, Shares
from ragwright.finetune.questions.structure import StructureSource
from ragwright.finetune.values import LabelledQuestion, Origin

TRIAL = Trial(finder(subjects()), inside(subjects()), depth=20)
SHARES = Shares(0.2, 0.2)
DOGS = ("ferry.txt", "Dogs travel free of charge on the upper\ndeck.")


def make(*sources: object, per_chunk: int = 3, most: int = 100) -> Made:
    return make_questions(
        subjects(),
        sources or (StructureSource(subjects()),),  # type: ignore[arg-type]
        trial=TRIAL,
        amount=Amount(per_chunk, most),
        shares=SHARES,
    )


@pytest.fixture(scope="module")
def made() -> Made:
    return make()


def test_every_question_has_a_part_and_every_chunk_has_questions(made: Made) -> None:
    assert {each.metadata[PART] for each in made.questions} == {"train", "dev", "test"}
    assert not made.coverage.thin()
    by_source = {each.references[0].document_id: each.metadata[PART] for each in made.questions}
    assert all(each.metadata[PART] == by_source[source] for each in made.questions for source in each.sources)


def test_no_chunk_and_no_collection_has_more_than_was_wanted(made: Made) -> None:
    firsts = Counter(each.references[0] for each in made.questions)
    assert made.questions and len(made.questions) <= 3 * sum(len(each.chunks) for each in subjects())
    assert max(firsts.values()) <= 3
    assert 0 < len(make(most=5).questions) <= 5


def test_what_falls_in_one_round_is_asked_for_again() -> None:
    class Stubborn:
        """Gives a question that needs its passage first, and a good one when it is asked again."""

        origin: Origin = "model"

        def __init__(self) -> None:
            self.rounds: list[int] = []

        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            self.rounds.append(len(requests))
            return [Reply((self._question(request),)) for request in requests]

        def _question(self, request: Request) -> LabelledQuestion:
            first = request.chunk.sentences[0]
            text = (
                "What does it mean?"
                if not request.asked
                else f"What of {request.chunk.text[:30].split()[-1]}?"
            )
            span = replace(first, document_id=request.subject.source)
            quote = request.subject.text(first.start, first.end)
            return LabelledQuestion(text + request.chunk.id, text, (span,), (quote,), origin="model")

    source = Stubborn()
    done = make(source, per_chunk=1)
    assert len(source.rounds) > 1 and done.questions
    assert {row.rule for row in done.audit if row.dropped} >= {"passage_dependent"}


def test_what_a_later_source_says_again_falls() -> None:
    mine = question("Do dogs travel free of charge on the deck?", DOGS)
    again = replace(mine, id="again", text="Do dogs travel free of charge on a deck?")
    done = make(GivenQuestions([mine], origin="user"), GivenQuestions([again], origin="dataset"))
    assert [(each.text, each.origin) for each in done.questions] == [(mine.text, "user")]
    assert done.audit[0].rule == "near_duplicate"


def test_given_questions_are_all_kept_whatever_a_chunk_may_have() -> None:
    many = [
        question(f"Do {animal} travel free of charge?", DOGS) for animal in ("dogs", "cats", "birds", "mice")
    ]
    many[1] = replace(many[1], text="Which animals need no ticket on the upper deck?")
    many[2] = replace(many[2], text="Is there a charge for a pet?")
    many[3] = replace(many[3], text="Where may dogs stay during the crossing?")
    assert len(make(GivenQuestions(many, origin="user"), per_chunk=1).questions) == 4


def test_coverage_counts_documents_sections_and_tasks() -> None:
    found = coverage(subjects(), [question("Do dogs travel free?", DOGS, task="yes_no")])
    assert [place.questions for place in found.documents] == [1, 0, 0]
    assert found.tasks == {"yes_no": 1} and found.origins == {"dataset": 1}
    assert found.thin()[0].source != "ferry.txt" and all(not place.questions for place in found.thin())
    assert len(questions_by_chunk(subjects(), [question("x", DOGS)])) == 1


def test_the_scarcest_tasks_are_those_with_the_least_of_their_share() -> None:
    assert scarce_tasks({})[0] == "what"
    assert scarce_tasks({"what": 50})[-1] == "what"
