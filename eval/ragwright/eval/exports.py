"""A run in the formats of other tools, beside its own files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from ragwright.eval.ranking import trec_qrels, trec_run
from ragwright.eval.runs import write_text
from ragwright.eval.score import Scoring
from ragwright.eval.values import Row, Run
from ragwright.eval.writers import write_ragas

TREC_RUN, TREC_QRELS, RAGAS, TABLE = "run.trec", "qrels.trec", "ragas.jsonl", "rows.csv"


def write_exports(run: Run, folder: Path, scoring: Scoring, *, tag: str) -> None:
    """Write the ranking and its judgements for trec_eval, the answers for ragas, and the rows as a table.

    Args:
        run: What was evaluated.
        folder: Of the run.
        scoring: What it was scored against.
        tag: Name of the system in the TREC file.
    """
    level = scoring.level
    write_text(folder / TREC_RUN, trec_run(run.outcomes, level, tag))
    write_text(folder / TREC_QRELS, trec_qrels(run.outcomes, scoring.judgements, level, scoring.chunks))
    write_ragas(run.outcomes, folder / RAGAS, text_of=scoring.text_of)
    write_text(folder / TABLE, _table(run.rows))


def _table(rows: Iterable[Row]) -> str:
    """Questions down, measures across; empty where a measure does not apply."""
    values: dict[str, dict[str, float]] = {}
    for row in rows:
        values.setdefault(row.question_id, {})[row.measure] = row.value
    measures = list(dict.fromkeys(row.measure for row in rows))
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(["question", *measures])
    for key, found in values.items():
        writer.writerow([key, *(found.get(name, "") for name in measures)])
    return page.getvalue()
