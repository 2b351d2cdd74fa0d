"""Questions become examples whose positives hold the answer, and the report counts everything."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.finetune.cut import asked, corpus, cut, hit

from ragwright.core.types import Hit
from ragwright.finetune.examples import make_examples
from ragwright.finetune.negatives import Guards
from ragwright.finetune.rows import read_examples, write_examples

SIZE = 30
TEXT = "".join(f"Rule {number:02} is about its own thing".ljust(SIZE, ".") for number in range(10))
CHUNKS = cut("rules.md", TEXT, size=SIZE, context="Rules\n")
ALL = corpus(("rules.md", CHUNKS))
GUARDS = Guards(neighbours=0, duplicate=1.0, margin=1.0)


def hits_for(*numbers: int) -> list[Hit]:
    return [hit(CHUNKS[number], "rules.md", 1.0 - 0.1 * rank) for rank, number in enumerate(numbers)]


def test_the_best_positive_holds_most_of_the_answer_and_scores_follow_the_passages() -> None:
    question = asked("which?", ("rules.md", 2 * SIZE - 4, 3 * SIZE))
    [example] = make_examples([question], [hits_for(1, 5, 7)], corpus=ALL, guards=GUARDS).examples
    assert [each.id for each in example.positives] == [CHUNKS[2].id, CHUNKS[1].id]
    assert [each.id for each in example.negatives] == [CHUNKS[5].id, CHUNKS[7].id]
    assert example.scores == (0.0, 1.0, 0.9, 0.8), "the best positive was not found"
    assert all(each.evidence for each in example.positives)
    assert not any(each.evidence for each in example.negatives)
    [(start, end)] = example.positives[0].evidence
    assert example.positives[0].text[start:end] == TEXT[2 * SIZE : 3 * SIZE]


def test_a_question_that_no_chunk_answers_is_audited_and_counted() -> None:
    lost, kept = (
        asked("where?", ("gone.md", 0, 5), key="lost"),
        asked("which?", ("rules.md", 0, 5), key="kept"),
    )
    made = make_examples([lost, kept], [[], hits_for(0, 4)], corpus=ALL, guards=GUARDS)
    assert [each.question_id for each in made.examples] == ["kept"]
    [row] = [each for each in made.audit if each.id == "lost"]
    assert row.rule == "no_positive" and row.row["references"] == [
        {"source": "gone.md", "start": 0, "end": 5}
    ]
    assert (made.report.questions, made.report.examples, made.report.without_positive) == (2, 1, 1)


def test_examples_without_negatives_are_counted_by_what_felled_their_hits() -> None:
    questions = [asked("a?", ("rules.md", 0, 5), key="a"), asked("b?", ("rules.md", 0, 5), key="b")]
    report = make_examples(questions, [hits_for(4, 5, 0), []], corpus=ALL, guards=GUARDS).report
    assert (report.bare, report.unfound) == (2, 1)
    assert report.bare_by == {"score": 1, "no_hits": 1}
    assert report.fell["score"] == report.looked_at == 2 and report.fell["quote"] == 0


@given(st.lists(st.permutations(range(10)), max_size=4), st.integers(0, 5))
def test_what_is_looked_at_is_kept_or_falls(orders: list[list[int]], wanted: int) -> None:
    questions = [asked("a?", ("rules.md", 15 * n, 15 * n + 20), key=str(n)) for n in range(len(orders))]
    hits = [hits_for(*order) for order in orders]
    made = make_examples(
        questions, hits, corpus=ALL, guards=Guards(per_question=wanted, neighbours=1, margin=0.8)
    )
    report = made.report
    assert report.looked_at == report.negatives + sum(report.fell.values())
    assert report.negatives == sum(len(each.negatives) for each in made.examples)
    assert report.bare == sum(not each.negatives for each in made.examples) == sum(report.bare_by.values())
    for each in made.examples:
        assert len(each.scores) == len(each.positives) + len(each.negatives)


def test_examples_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    made = make_examples([asked("which?", ("rules.md", 0, 5))], [hits_for(0, 4)], corpus=ALL, guards=GUARDS)
    path = tmp_path / "train.jsonl"
    assert write_examples(path, made.examples) == 1
    assert read_examples(path) == list(made.examples)
