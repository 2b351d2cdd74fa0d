"""A run in the formats of other tools."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import ir_measures
from tests.eval.test_score import CHUNKS, QUESTION, RANKED, found, scoring

from ragwright.eval.exports import write_exports
from ragwright.eval.score import score
from ragwright.eval.values import Outcome, Run


def test_other_tools_read_the_same_ranking_answers_and_values(tmp_path: Path) -> None:
    outcome = Outcome(QUESTION, gold=("x",), found=(found("c2", (40, 50)),), ranked=RANKED)
    run = Run({}, (outcome,), tuple(score([outcome], scoring())))
    write_exports(run, tmp_path, scoring(), tag="mine")
    qrels = ir_measures.read_trec_qrels(str(tmp_path / "qrels.trec"))
    ranking = ir_measures.read_trec_run(str(tmp_path / "run.trec"))
    [value] = ir_measures.calc_aggregate([ir_measures.RR @ 10], qrels, ranking).values()
    [row] = csv.DictReader((tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines())
    assert float(row["RR@10"]) == value == 1.0
    assert row["question"] == "q"
    [sample] = [json.loads(line) for line in (tmp_path / "ragas.jsonl").read_text().splitlines()]
    assert sample["user_input"] == "what?"
    assert sample["retrieved_contexts"] == ["0123456789"]
    assert CHUNKS.keys() == {line.split()[2] for line in (tmp_path / "run.trec").read_text().splitlines()}
