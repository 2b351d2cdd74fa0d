"""Rankings measured by ir-measures, under the names its users write: `nDCG@10`, `RR@10`, `AP@100`.

Definitions are those of trec_eval: nDCG takes a grade as its gain and divides by log2(rank + 1) (Järvelin
and Kekäläinen 2002, "Cumulated Gain-based Evaluation of IR Techniques"; Burges et al. 2005 for the discount);
P@k divides by k however few results there are; R@k and AP divide by all relevant items, and every grade from
1 on is relevant. Judged@k divides by the results among the first k.

A ranking is `Outcome.ranked`. Scores are ranks with a minus sign, so that no measure sees ties and none
reorders what the system has ordered.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal
from urllib.parse import quote

from ragwright.core.errors import ConfigError, InputError
from ragwright.core.types import Span
from ragwright.eval.values import Judgement, Outcome, Row

Level = Literal["documents", "chunks"]
RANKING = ("nDCG@10", "RR@10", "AP@100", "R@5", "R@10", "P@5", "Judged@10")

_MEASURE = re.compile(r"(?:(nDCG|RR|AP)|(?:nDCG|RR|AP|R|P|Judged)@([1-9]\d*))")
_UNSAFE = re.compile(r"[\s%\x00\ud800-\udfff]")

Grades = dict[str, int]  # item id -> grade, 0 for judged and not relevant


def ranking_rows(
    outcomes: Sequence[Outcome],
    *,
    measures: Sequence[str],
    level: Level,
    judgements: Sequence[Judgement],
    chunks: Mapping[str, Span] | None,
) -> list[Row]:
    """Rows of ranking measures, by question in the order given, then by measure.

    Documents: relevant is what a question's judgements say, else every source of a reference with grade 1.
    A negative grade counts as 0, and as judged. A source stands at the rank of its first chunk.

    Chunks: relevant is every chunk of the index that shares a character with a reference; chunks with equal
    texts are items of their own. A question whose references no chunk touches has its references as relevant
    items that cannot be found.

    Args:
        outcomes: Those without a relevant item by references or judgements are left out; a failed question,
            like one that found nothing, has rows of 0.
        measures: `nDCG`, `RR` and `AP` with or without `@k`; `R@k`, `P@k`, `Judged@k`. Judged@k has rows
            for questions with judgements at the level of documents only: by span labels all is judged.
        level: What is ranked.
        judgements: Of documents; those of questions that are not among the outcomes are ignored.
        chunks: Span of every chunk of the index by id, the document named by its source.

    Returns:
        Values between 0 and 1.

    Raises:
        ConfigError: A measure is not one of these.
        InputError: Chunks are to be ranked and `chunks` is None.
    """
    for name in measures:
        _check(name)
    names = list(dict.fromkeys(measures))
    qrels = _qrels(outcomes, judgements, level, chunks)
    values = _evaluate(names, qrels, _run(outcomes, level))
    judged = {judgement.question_id for judgement in judgements} if level == "documents" else set()
    return [
        Row(outcome.question.id, name, values.get((_field(outcome.question.id), name), 0.0))
        for outcome in outcomes
        if _field(outcome.question.id) in qrels
        for name in names
        if outcome.question.id in judged or not name.startswith("Judged")
    ]


def trec_run(outcomes: Sequence[Outcome], level: Level, tag: str) -> str:
    """A TREC run file: `question Q0 item rank score tag` in each line, ranks from 1, scores descending.

    White space and `%` in ids are percent-encoded, since columns are parted by white space. Questions
    without results have no line.

    Args:
        outcomes: In file order.
        level: Whether items are sources or chunk ids.
        tag: Names the system.
    """
    return "".join(
        f"{question} Q0 {item} {rank} {-rank} {_field(tag)}\n"
        for question, items in _run(outcomes, level).items()
        for rank, item in enumerate(items, 1)
    )


def trec_qrels(
    outcomes: Sequence[Outcome],
    judgements: Sequence[Judgement],
    level: Level,
    chunks: Mapping[str, Span] | None,
) -> str:
    """A TREC qrels file, `question 0 item grade` in each line: what `ranking_rows` takes as relevant.

    With the run file of the same outcomes it gives any TREC tool the values of `ranking_rows`. At the level
    of chunks it holds for this run's index only. Arguments and errors are those of `ranking_rows`.
    """
    return "".join(
        f"{question} 0 {item} {grade}\n"
        for question, grades in _qrels(outcomes, judgements, level, chunks).items()
        for item, grade in grades.items()
    )


def _check(name: str) -> None:
    if not _MEASURE.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no ranking measure; write nDCG, RR or AP with or without a depth such as nDCG@10,"
            " or R@k, P@k or Judged@k with a depth k from 1"
        )


def _evaluate(
    names: Sequence[str], qrels: Mapping[str, Grades], run: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], float]:
    """Values by question and measure; questions without results are left out."""
    import ir_measures

    # Providers fail where a run is empty, or shares no question with the qrels.
    scores = {
        key: {item: -float(rank) for rank, item in enumerate(items, 1)}
        for key, items in run.items()
        if key in qrels
    }
    if not scores or not names:
        return {}
    # Not `ir_measures.parse_measure`: it reads names by classes of `ast` that Python 3.14 has removed.
    wanted: dict[Any, str] = {_measure(ir_measures, name): name for name in names}
    found = ir_measures.iter_calc(list(wanted), dict(qrels), scores)
    return {(metric.query_id, wanted[metric.measure]): float(metric.value) for metric in found}


def _measure(ir_measures: Any, name: str) -> Any:
    family, _, depth = name.partition("@")
    measure = getattr(ir_measures, family)
    return measure @ int(depth) if depth else measure


def _run(outcomes: Iterable[Outcome], level: Level) -> dict[str, list[str]]:
    """Items by question, best first, each once; questions without results are left out."""
    run = {_field(outcome.question.id): _items(outcome, level) for outcome in outcomes}
    return {key: items for key, items in run.items() if items}


def _items(outcome: Outcome, level: Level) -> list[str]:
    """Sources or chunk ids, each at its first rank."""
    ranking = () if outcome.error else outcome.ranked
    ids = (each.span.document_id if level == "documents" else each.chunk_id for each in ranking)
    return list(dict.fromkeys(map(_field, ids)))


def _qrels(
    outcomes: Iterable[Outcome],
    judgements: Iterable[Judgement],
    level: Level,
    chunks: Mapping[str, Span] | None,
) -> dict[str, Grades]:
    """Grades by question, for questions with at least one relevant item."""
    if level == "documents":
        judged = _judged(judgements)
        grades = {each.question.id: _document_grades(each, judged) for each in outcomes}
    elif chunks is None:
        raise InputError(
            "chunks are to be ranked without the chunks of the index; pass them, or rank documents"
        )
    else:
        shelves = _Shelves(chunks)
        grades = {each.question.id: _chunk_grades(each, shelves) for each in outcomes}
    return {
        _field(key): {_field(item): grade for item, grade in items.items()}
        for key, items in grades.items()
        if any(grade > 0 for grade in items.values())
    }


def _judged(judgements: Iterable[Judgement]) -> dict[str, Grades]:
    """Grades by question and source; of several on the same source the highest."""
    judged: dict[str, Grades] = {}
    for each in judgements:
        grades = judged.setdefault(each.question_id, {})
        grades[each.source] = max(each.grade, grades.get(each.source, 0))
    return judged


def _document_grades(outcome: Outcome, judged: Mapping[str, Grades]) -> Grades:
    question = outcome.question
    return judged.get(question.id) or {span.document_id: 1 for span in question.references}


def _chunk_grades(outcome: Outcome, shelves: _Shelves) -> Grades:
    references = outcome.question.references
    relevant = {key: 1 for span in references for key in shelves.touching(span)}
    return relevant or {f"{span.document_id}:{span.start}-{span.end}": 1 for span in references}


class _Shelves:
    """The chunks of an index by document, in text order."""

    def __init__(self, chunks: Mapping[str, Span]) -> None:
        shelves: dict[str, list[tuple[int, int, str]]] = {}
        for key, span in chunks.items():
            shelves.setdefault(span.document_id, []).append((span.start, span.end, key))
        self._shelves = {source: sorted(shelf) for source, shelf in shelves.items()}
        self._starts = {source: [start for start, _, _ in shelf] for source, shelf in self._shelves.items()}
        # How far the chunks up to each one reach: ascending even where chunks overlap, so it can be bisected.
        self._reach = {
            source: list(accumulate((end for _, end, _ in shelf), max))
            for source, shelf in self._shelves.items()
        }

    def touching(self, span: Span) -> list[str]:
        """Ids of the chunks that share a character with a span, in text order."""
        source = span.document_id
        if source not in self._shelves:
            return []
        first = bisect_right(self._reach[source], span.start)
        behind = bisect_left(self._starts[source], span.end)
        return [key for _, end, key in self._shelves[source][first:behind] if end > span.start]


def _field(text: str) -> str:
    """A text as one column of a TREC file, different for different texts."""
    column = _UNSAFE.sub(lambda found: quote(found[0], safe="", errors="surrogatepass"), text)
    return column or "%"  # an empty column would shift the others
