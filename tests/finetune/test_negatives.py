"""No negative is an answer: each rule fells what it is for, and every hit is told."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.finetune.cut import asked, corpus, cut, hit

from ragwright.core.types import Hit, Place, Span
from ragwright.finetune.corpus import overlap_of_words, words
from ragwright.finetune.negatives import RULES, Guards, Labels, Mined, Rule, audit, mine
from ragwright.finetune.values import LabelledQuestion

SIZE = 40
TEXT = "".join(f"Paragraph {number:02} tells of a thing by itself".ljust(SIZE, ".") for number in range(12))
HARBOUR = cut("harbour.md", TEXT, size=SIZE)
OTHER = cut(
    "other.md",
    "".join(f"Other {number:02} speaks of ships and ropes".ljust(SIZE, ".") for number in range(8)),
    size=SIZE,
)
ALL = corpus(("harbour.md", HARBOUR), ("other.md", OTHER))
OPEN = Guards(per_question=99, margin=1.0, neighbours=0, duplicate=1.0)
QUESTION = asked("what is told?", ("harbour.md", 4 * SIZE, 5 * SIZE))


def mined(
    hits: list[Hit], guards: Guards = OPEN, *more: LabelledQuestion, question: LabelledQuestion = QUESTION
) -> Mined:
    return mine(question, hits, labels=Labels.of([question, *more], ALL), corpus=ALL, guards=guards)


def felled(
    hits: list[Hit], guards: Guards = OPEN, *more: LabelledQuestion, question: LabelledQuestion = QUESTION
) -> dict[str, Rule]:
    return {fallen.chunk.id: rule for fallen, rule, _ in mined(hits, guards, *more, question=question).fell}


def test_what_no_rule_speaks_for_is_a_negative_hardest_first() -> None:
    hits = [
        hit(HARBOUR[4], "harbour.md", 1.0),
        *(hit(each, "other.md", 0.9 - 0.1 * n) for n, each in enumerate(OTHER[:4])),
    ]
    found = mined(hits, replace(OPEN, per_question=3))
    assert [each.chunk.id for each in found.negatives] == [each.id for each in OTHER[:3]]
    assert found.looked_at == 3, "what is behind the last that was wanted is not looked at"


def test_a_chunk_beside_a_positive_falls_and_one_further_away_does_not() -> None:
    hits = [hit(HARBOUR[4], "harbour.md", 1.0), *(hit(HARBOUR[n], "harbour.md", 0.5) for n in (2, 3, 5, 6))]
    assert felled(hits, replace(OPEN, neighbours=1)) == {
        HARBOUR[3].id: "neighbour",
        HARBOUR[5].id: "neighbour",
    }
    assert len(felled(hits, replace(OPEN, neighbours=2))) == 4
    assert not felled(hits, replace(OPEN, neighbours=0))


def test_a_chunk_that_scores_nearly_as_high_as_the_positive_falls() -> None:
    hits = [
        hit(OTHER[0], "other.md", 0.96),
        hit(HARBOUR[4], "harbour.md", 1.0),
        hit(OTHER[1], "other.md", 0.94),
    ]
    assert felled(hits, replace(OPEN, margin=0.95)) == {OTHER[0].id: "score"}


def test_without_the_positive_among_the_hits_none_is_known_to_score_less() -> None:
    hits = [hit(each, "other.md", 0.9 - 0.1 * n) for n, each in enumerate(OTHER[:4])]
    assert set(felled(hits, replace(OPEN, margin=1.0)).values()) == {"score"}
    assert len(felled(hits, replace(OPEN, margin=1.0))) == 4


def test_a_chunk_that_holds_the_quote_falls_unless_many_do() -> None:
    question = replace(QUESTION, quotes=("OTHER 03, speaks",))
    hits = [hit(HARBOUR[4], "harbour.md", 1.0), *(hit(each, "other.md", 0.5) for each in OTHER)]
    rare = replace(OPEN, common=0.05)
    assert felled(hits, rare, question=question) == {OTHER[3].id: "quote"}
    assert not felled(hits, rare, question=replace(question, quotes=("of ships",))), "eight of twenty hold it"
    assert not felled(hits, rare, question=replace(question, quotes=("...",))), "a quote without a word"


def test_nearly_the_text_of_a_positive_falls_and_so_does_its_copy_elsewhere() -> None:
    guards = replace(OPEN, duplicate=0.5)
    copy = cut("copy.md", HARBOUR[4].text.replace("04", "4"), size=99)[0]
    elsewhere = Place(Span("x", 4 * SIZE, 5 * SIZE), "harbour.md")
    hits = [
        hit(HARBOUR[4], "harbour.md", 1.0),
        hit(copy, "copy.md", 0.5),
        hit(OTHER[0], "other.md", 0.5, duplicates=(elsewhere,)),
        hit(OTHER[1], "other.md", 0.5),
    ]
    assert felled(hits, guards) == {copy.id: "duplicate", OTHER[0].id: "duplicate"}


def test_what_answers_the_same_words_elsewhere_falls() -> None:
    twin = asked("What is TOLD", ("other.md", 0, 10), key="twin")
    hits = [
        hit(HARBOUR[4], "harbour.md", 1.0),
        hit(OTHER[0], "other.md", 0.5),
        hit(OTHER[1], "other.md", 0.5),
    ]
    assert felled(hits, OPEN, twin) == {OTHER[0].id: "same_question"}
    assert not felled(hits, OPEN, replace(twin, text="What else is told"))


def test_every_fallen_hit_is_told_with_its_rule_and_its_place() -> None:
    hits = [hit(HARBOUR[4], "harbour.md", 1.0), hit(HARBOUR[5], "harbour.md", 0.5)]
    [row] = audit(QUESTION, mined(hits, replace(OPEN, neighbours=1)))
    assert (row.id, row.rule, row.dropped) == ("q", "neighbour", True)
    assert (
        row.row["start"] == 5 * SIZE
        and row.row["source"] == "harbour.md"
        and "stands 1 chunks from" in row.reason
    )


def test_none_are_wanted_then_none_are_looked_at() -> None:
    assert mined([hit(OTHER[0], "other.md", 0.5)], replace(OPEN, per_question=0)).looked_at == 0


chunks = st.sampled_from(
    [*((each, "harbour.md") for each in HARBOUR), *((each, "other.md") for each in OTHER)]
)
ranked = st.lists(st.tuples(chunks, st.floats(0, 1)), unique_by=lambda pair: pair[0][0].id, max_size=20).map(
    lambda pairs: [hit(chunk, source, score) for (chunk, source), score in sorted(pairs, key=lambda p: -p[1])]
)
guarded = st.builds(
    Guards,
    per_question=st.integers(0, 9),
    margin=st.floats(0.1, 1.0),
    neighbours=st.integers(0, 4),
    duplicate=st.floats(0.05, 1.0),
    common=st.floats(0, 1),
)
places = st.tuples(st.integers(0, len(TEXT) - 2), st.integers(1, 60)).map(
    lambda pair: (pair[0], min(len(TEXT), sum(pair)))
)


@given(ranked, guarded, st.lists(places, min_size=1, max_size=3))
def test_no_negative_ever_breaks_a_rule_and_no_hit_is_lost(
    hits: list[Hit], guards: Guards, references: list[tuple[int, int]]
) -> None:
    question = asked(
        "what?", *(("harbour.md", *each) for each in references), quotes=[TEXT[a:b] for a, b in references]
    )
    positives = ALL.answering(question.references)
    own = {each.id for each in positives}
    found = mined(hits, guards, question=question)
    numbers = {key: place[1] for key in own if (place := ALL.place(key))}
    best = max(
        (each.score for each in hits if each.chunk.id in own), default=min((h.score for h in hits), default=0)
    )
    assert len(found.negatives) <= guards.per_question
    assert [each.score for each in found.negatives] == sorted(
        (h.score for h in found.negatives), reverse=True
    )
    for each in found.negatives:
        assert each.chunk.id not in own
        assert each.score <= guards.margin * best + 1e-9
        assert all(overlap_of_words(each.chunk.text, other.text) < guards.duplicate for other in positives)
        for quote in filter(None, map(words, question.quotes)):
            assert quote not in words(each.chunk.text) or ALL.share_holding(quote) > guards.common
        here = ALL.place(each.chunk.id)
        assert here is not None
        if here[0] == "harbour.md":
            assert all(abs(here[1] - number) > guards.neighbours for number in numbers.values())
    told = [each.chunk.id for each in found.negatives] + [each.chunk.id for each, _, _ in found.fell]
    looked = [each.chunk.id for each in hits if each.chunk.id not in own]
    assert set(told) <= set(looked) and len(set(told)) == len(told) == found.looked_at
    assert set(found.counts()) <= set(RULES) and sum(found.counts().values()) == len(found.fell)
    if len(found.negatives) < guards.per_question:
        assert len(told) == len(looked), "every hit was a negative or fell to a rule"
