"""Rankings are measured as ir-measures and trec_eval define it, on sources or on chunks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from math import log2
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import ConfigError, InputError
from ragwright.core.types import Question, Span
from ragwright.eval.measures import measure_of
from ragwright.eval.ranking import RANKING, Level, ranking_rows, trec_qrels, trec_run
from ragwright.eval.values import Found, Judgement, Outcome, Ranked

CHUNKS = {f"c{place}": Span("a.md", 10 * place, 10 * place + 10) for place in range(6)}


def _chunks(*ids: str) -> tuple[Ranked, ...]:
    return tuple(Ranked(key, CHUNKS[key], 1.0) for key in ids)


def _sources(*sources: str) -> tuple[Ranked, ...]:
    return tuple(Ranked(f"{source}-{rank}", Span(source, 0, 9), 1.0) for rank, source in enumerate(sources))


def _outcome(ranked: tuple[Ranked, ...], *references: Span, key: str = "q", error: str = "") -> Outcome:
    return Outcome(Question(key, "?", references), ranked=ranked, error=error)


def _values(
    outcome: Outcome,
    level: Level,
    judgements: Sequence[Judgement] = (),
    measures: Sequence[str] = RANKING,
    chunks: Mapping[str, Span] = CHUNKS,
) -> dict[str, float]:
    rows = ranking_rows([outcome], measures=measures, level=level, judgements=judgements, chunks=chunks)
    assert all(row.question_id == outcome.question.id for row in rows)
    return {row.measure: row.value for row in rows}


def test_chunks_by_hand() -> None:
    # The reference touches c1 and c2 and ends where c3 begins; found at ranks 2 and 4.
    outcome = _outcome(_chunks("c0", "c2", "c3", "c1"), Span("a.md", 15, 30))
    ideal = 1 / log2(2) + 1 / log2(3)
    assert _values(outcome, "chunks") == {
        "nDCG@10": pytest.approx((1 / log2(3) + 1 / log2(5)) / ideal),
        "RR@10": pytest.approx(1 / 2),
        "AP@100": pytest.approx((1 / 2 + 2 / 4) / 2),
        "R@5": 1.0,
        "R@10": 1.0,
        "P@5": pytest.approx(2 / 5),  # over five, though only four were found
    }


def test_graded_judgements_by_hand() -> None:
    judgements = [
        Judgement("q", source, grade) for source, grade in (("a", 3), ("b", 1), ("c", 0), ("d", -1))
    ]
    values = _values(_outcome(_sources("b", "d", "x", "a")), "documents", judgements)
    assert values == {
        "nDCG@10": pytest.approx((1 / log2(2) + 3 / log2(5)) / (3 / log2(2) + 1 / log2(3))),
        "RR@10": 1.0,
        "AP@100": pytest.approx((1 / 1 + 2 / 4) / 2),
        "R@5": 1.0,
        "R@10": 1.0,
        "P@5": pytest.approx(2 / 5),
        "Judged@10": pytest.approx(3 / 4),  # a negative grade is a judgement, too
    }


def test_depth_cuts_every_measure() -> None:
    outcome = _outcome(_chunks("c0", "c3", "c1"), Span("a.md", 12, 15))
    names = [
        "nDCG@2",
        "RR@2",
        "AP@2",
        "R@2",
        "P@2",
        "nDCG@3",
        "RR@3",
        "AP@3",
        "R@3",
        "P@3",
        "nDCG",
        "RR",
        "AP",
    ]
    assert list(_values(outcome, "chunks", measures=names).values()) == pytest.approx(
        [0.0, 0.0, 0.0, 0.0, 0.0, 1 / log2(4), 1 / 3, 1 / 3, 1.0, 1 / 3, 1 / log2(4), 1 / 3, 1 / 3]
    )


def test_a_source_stands_once_at_the_rank_of_its_first_chunk() -> None:
    outcome = _outcome(_sources("x", "x", "x", "a", "a", "b"), Span("a", 0, 5), Span("a", 7, 9))
    assert _values(outcome, "documents", measures=["RR@10", "P@2", "R@2"]) == {
        "RR@10": 0.5,
        "P@2": 0.5,
        "R@2": 1.0,
    }


def test_chunks_that_overlap_or_have_equal_texts_count_each_at_its_own_rank() -> None:
    chunks = {"c0": Span("a.md", 0, 10), "c1": Span("a.md", 5, 15), "twin": Span("b.md", 0, 10)}
    ranked = tuple(Ranked(key, chunks[key], 1.0) for key in ("twin", "c1", "c0"))
    values = _values(
        _outcome(ranked, Span("a.md", 7, 9)), "chunks", measures=["AP", "R@2", "P@3"], chunks=chunks
    )
    assert values == {"AP": pytest.approx((1 / 2 + 2 / 3) / 2), "R@2": 0.5, "P@3": pytest.approx(2 / 3)}


def test_the_ranking_is_measured_not_the_hits_chosen_from_it() -> None:
    hit = Found("c1", CHUNKS["c1"], "A", (), None, "text", 1.0)
    outcome = Outcome(Question("q", "?", (CHUNKS["c1"],)), found=(hit,), ranked=_chunks("c0", "c1"))
    assert _values(outcome, "chunks", measures=["RR"]) == {"RR": 0.5}


@pytest.mark.parametrize("level", ["documents", "chunks"])
def test_labels_without_results_give_explicit_zeros(level: Level) -> None:
    nothing = _outcome((), Span("a.md", 0, 5))
    failed = _outcome(_chunks("c0"), Span("a.md", 0, 5), key="failed", error="timeout")
    fine = _outcome(_chunks("c0"), Span("a.md", 0, 5), key="fine")
    span_measures = set(RANKING) - {"Judged@10"}
    for outcomes in ([nothing, failed], [nothing, failed, fine]):
        rows = ranking_rows(outcomes, measures=RANKING, level=level, judgements=(), chunks=CHUNKS)
        zeros = [row for row in rows if row.question_id != "fine"]
        assert {(row.question_id, row.measure) for row in zeros} == {
            (key, name) for key in ("q", "failed") for name in span_measures
        }
        assert not any(row.value for row in zeros)


def test_judged_documents_without_results_are_zero_in_judged_as_well() -> None:
    assert _values(_outcome(()), "documents", [Judgement("q", "a", 1)], ["Judged@10"]) == {"Judged@10": 0.0}


def test_a_reference_that_no_chunk_touches_cannot_be_found() -> None:
    outcome = _outcome(_chunks("c0"), Span("lost.md", 0, 5))
    assert set(_values(outcome, "chunks").values()) == {0.0}


def test_questions_without_anything_relevant_are_left_out() -> None:
    assert _values(_outcome(_chunks("c0")), "chunks") == {}
    assert _values(_outcome(_sources("a")), "documents") == {}
    assert _values(_outcome(_sources("a")), "documents", [Judgement("q", "a", 0)]) == {}


@pytest.mark.parametrize(
    "name", ["MAP", "ndcg@10", "P", "R", "P@0", "Judged", "nDCG@10~typos", "P(rel=2)@5", ""]
)
def test_a_name_that_is_no_ranking_measure_is_refused_with_the_names_that_are(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no ranking measure; write nDCG, .* such as nDCG@10"):
        _values(_outcome(()), "chunks", measures=[name])


def test_chunks_cannot_be_ranked_without_the_index() -> None:
    with pytest.raises(InputError, match="without the chunks of the index"):
        ranking_rows([_outcome(())], measures=RANKING, level="chunks", judgements=(), chunks=None)


def test_the_default_measures_are_known_by_name() -> None:
    assert all((known := measure_of(name)) and known.group == "ranking" for name in RANKING)


def test_ir_measures_is_imported_only_when_something_is_measured() -> None:
    code = "import sys, ragwright.eval.ranking; print('ir_measures' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


IDS = st.permutations(sorted(CHUNKS))
REFERENCES = st.lists(st.sampled_from(sorted(CHUNKS.values())), min_size=1, max_size=3)
ODD = st.sampled_from(["a b", "a%20b", "ä\u2028", "c\td", "%", "", "\udc80", "x"])


@given(IDS, REFERENCES, st.integers(1, 6), st.randoms(use_true_random=False))
def test_what_stands_beyond_the_depth_changes_nothing(
    ids: list[str], references: list[Span], depth: int, random: Random
) -> None:
    tail = ids[depth:]
    random.shuffle(tail)
    names = [f"{family}@{depth}" for family in ("nDCG", "RR", "AP", "R", "P")]
    one = _values(_outcome(_chunks(*ids), *references), "chunks", measures=names)
    other = _values(_outcome(_chunks(*ids[:depth], *tail), *references), "chunks", measures=names)
    assert one == other
    assert all(0.0 <= value <= 1.0 for value in one.values())


@given(IDS, REFERENCES)
def test_relevant_first_is_full_score_and_moving_a_relevant_chunk_up_never_costs(
    ids: list[str], references: list[Span]
) -> None:
    relevant = [key for key in ids if CHUNKS[key] in references]
    best = [*relevant, *(key for key in ids if key not in relevant)]
    names = ("nDCG@10", "RR@10", "AP@100")
    full = _values(_outcome(_chunks(*best), *references), "chunks", measures=names)
    moved = [relevant[-1], *(key for key in ids if key != relevant[-1])]
    before = _values(_outcome(_chunks(*ids), *references), "chunks", measures=names)
    after = _values(_outcome(_chunks(*moved), *references), "chunks", measures=names)
    assert list(full.values()) == pytest.approx([1.0, 1.0, 1.0])
    assert all(after[name] >= before[name] - 1e-9 for name in names)


def _read_back(run: str, qrels: str, names: Sequence[str]) -> dict[tuple[str, str], float]:
    import ir_measures

    assert all(len(line.split()) == 6 for line in run.splitlines())
    assert all(len(line.split()) == 4 for line in qrels.splitlines())
    found = ir_measures.iter_calc(
        [
            ir_measures.nDCG @ 10,
            ir_measures.RR @ 10,
            ir_measures.AP @ 100,
            ir_measures.R @ 5,
            ir_measures.P @ 5,
        ],
        list(ir_measures.read_trec_qrels(qrels)),
        list(ir_measures.read_trec_run(run)),
    )
    return {(metric.query_id, str(metric.measure)): metric.value for metric in found}


@pytest.mark.parametrize("level", ["documents", "chunks"])
def test_the_trec_files_give_ir_measures_the_same_values(level: Level) -> None:
    outcomes = [
        _outcome(_chunks("c0", "c2", "c1"), Span("a.md", 15, 30), key="q1"),
        _outcome(_chunks("c3"), Span("a.md", 0, 60), key="q2"),
        _outcome((), Span("a.md", 0, 5), key="nothing"),
        _outcome(_chunks("c3"), Span("lost.md", 0, 5), key="lost"),
        _outcome(_chunks("c3"), key="unanswerable"),
        _outcome(_chunks("c5", "c4"), Span("a.md", 40, 44), key="last"),
    ]
    judgements = [Judgement("q1", "b.md", 2), Judgement("q1", "a.md", -1), Judgement("q2", "a.md", 2)]
    names = ("nDCG@10", "RR@10", "AP@100", "R@5", "P@5")
    rows = ranking_rows(outcomes, measures=names, level=level, judgements=judgements, chunks=CHUNKS)
    run, qrels = trec_run(outcomes, level, "test"), trec_qrels(outcomes, judgements, level, CHUNKS)
    assert _read_back(run, qrels, names) == {(row.question_id, row.measure): row.value for row in rows}
    assert len({row.question_id for row in rows}) == 5


def test_a_run_file_has_six_columns_in_rank_order() -> None:
    outcome = _outcome(_sources("my manuals/pump.md", "b.md", "my manuals/pump.md"))
    expected = "q Q0 my%20manuals/pump.md 1 -1 my%20system\nq Q0 b.md 2 -2 my%20system\n"
    assert trec_run([outcome], "documents", "my system") == expected


def test_a_qrels_file_has_four_columns_and_keeps_what_was_judged_irrelevant() -> None:
    judgements = [Judgement("q", "a b", 2), Judgement("q", "c", -1), Judgement("other", "c", 1)]
    assert trec_qrels([_outcome(())], judgements, "documents", None) == "q 0 a%20b 2\nq 0 c 0\n"


@given(st.lists(ODD, min_size=2, max_size=4, unique=True))
def test_any_id_makes_one_column_and_stays_different_from_others(ids: list[str]) -> None:
    outcomes = [_outcome(_sources(*ids), Span(ids[-1], 0, 5), key=key) for key in ids]
    columns = [line.split() for line in trec_run(outcomes, "documents", "t").splitlines()]
    assert [len(line) for line in columns] == [6] * len(ids) ** 2
    assert len({line[0] for line in columns}) == len({line[2] for line in columns}) == len(ids)
    rows = ranking_rows(outcomes, measures=["RR"], level="documents", judgements=(), chunks=None)
    assert [row.value for row in rows] == [1 / len(ids)] * len(ids)
