"""A run on disk is the run that was made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.core.types import Citation, Evidence, Place, Question, Span, Usage
from ragwright.eval.runs import read_run, write_run
from ragwright.eval.values import Found, Outcome, Ranked, Reply, Row, Run

TEXT = 'quotes "and"\nline ends\u2028\x00<script>\ud83d\ude00 \u00e9 \u6f22'


def whole(text: str = TEXT) -> Run:
    """A run in which every field is set."""
    span = Span("a.md", 3, 9)
    found = Found(
        chunk_id="c1",
        span=span,
        title=text,
        headings=(text, "b"),
        page=3,
        text=text,
        score=0.5,
        scores={"dense": 0.1},
        evidence=(Evidence(span, text, 0.25),),
        places=(Place(Span("b.md", 0, 6), "b.md"),),
    )
    citation = Citation(1, span, text, "exact", "a.md", text, ("h",), 2)
    reply = Reply(text, (citation,), refused=False, support=0.75, usage=Usage(1, 2, 0.5))
    outcome = Outcome(
        question=Question("q1", text, (span,), text, {"corpus": "law", "filters": {"source": "a.md"}}),
        gold=(text,),
        around=((text, ""),),
        found=(found,),
        ranked=(Ranked("c1", span, 0.5), Ranked("c2", Span("b.md", 0, 4), 0.25)),
        reply=reply,
        seconds={"search": 0.001},
    )
    bare = Outcome(Question("q2", "?"), error="the query holds no letters")
    return Run({"name": text, "dataset": {}}, (outcome, bare), (Row("q1", "iou", 1 / 3),))


def test_every_field_comes_back(tmp_path: Path) -> None:
    write_run(whole(), tmp_path / "run")
    assert read_run(tmp_path / "run") == whole()


@given(text=st.text())
@settings(max_examples=50, deadline=None)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("run")
    write_run(whole(text), folder)
    assert read_run(folder) == whole(text)


def test_a_run_that_was_stopped_while_it_was_written_is_no_run(tmp_path: Path) -> None:
    write_run(whole(), tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(InputError, match="holds no complete run"):
        read_run(tmp_path)


def test_a_damaged_run_is_told_from_a_missing_one(tmp_path: Path) -> None:
    write_run(whole(), tmp_path)
    (tmp_path / "rows.jsonl").write_text(json.dumps({"question": "q1"}) + "\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_run(tmp_path)
