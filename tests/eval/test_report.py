"""The report as a file: whole, alone, escaped and small."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.eval.report_hostile import hostile_run
from tests.eval.report_runs import Runs, make_runs

from ragwright.core.errors import InputError
from ragwright.core.types import Evidence, Question, Span
from ragwright.eval.compare import compare
from ragwright.eval.gate import check_gate, parse_requirement
from ragwright.eval.published import published_points
from ragwright.eval.report import report_page, write_report
from ragwright.eval.report_facts import gather
from ragwright.eval.report_html import clean, element, escape
from ragwright.eval.report_questions import payload, script_json
from ragwright.eval.report_texts import covered, unpack
from ragwright.eval.values import Found, Outcome, Row, Run


@pytest.fixture(scope="module")
def runs() -> Runs:
    return make_runs()


@pytest.fixture(scope="module")
def page(runs: Runs) -> str:
    gate = check_gate(compare(runs.run, runs.baseline), [parse_requirement("iou>=-0.01")])
    return report_page(gather(runs.run, baseline=runs.baseline, gate=gate))


class _Tags(HTMLParser):
    """Collects the tags and attributes of a page, and the text of each element of the kinds asked for."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open, []).append(data)


def sections(page: str) -> list[str | None]:
    return [attributes.get("id") for tag, attributes in _Tags(page).tags if tag == "section"]


def test_the_parts_stand_in_order_of_importance(page: str) -> None:
    assert sections(page) == [
        "verdict", "measures", "frontier", "slices", "changes", "risk", "robustness", "questions", "latency",
        "ingest", "missing", "manifest",
    ]  # fmt: skip


def test_the_page_refers_to_nothing_outside_itself_and_has_no_inline_handlers(page: str) -> None:
    for tag, attributes in _Tags(page).tags:
        assert tag not in ("link", "img", "iframe", "object", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on") and name not in ("style", "src", "srcset", "action")
            assert name != "href" or (value or "").startswith("#")
    assert not re.search(r"url\(|@import|https?://(?!research)", page)


def test_the_policy_names_the_digests_of_the_only_style_and_script(page: str) -> None:
    parsed = _Tags(page)
    policy = next(a["content"] for t, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    script = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]
    style = page[page.index("<style>") + len("<style>") : page.index("</style>")]
    for content, directive in ((script, "script-src"), (style, "style-src")):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in (policy or "")
    assert (policy or "").startswith("default-src 'none'") and "unsafe" not in (policy or "")
    # Scripts: our data and our code; styles: ours.
    assert [a.get("type") for t, a in parsed.tags if t == "script"] == ["application/json", None]
    assert sum(t == "style" for t, _ in parsed.tags) == 1


def test_hostile_texts_add_no_element_to_the_page() -> None:
    plain, hostile = hostile_run("plain"), hostile_run()
    pages = [report_page(gather(run, baseline=None, gate=None)) for run in (plain, hostile)]
    tags = [[tag for tag, _ in _Tags(page).tags] for page in pages]
    assert tags[0] == tags[1]


def test_a_verdict_says_every_requirement_in_words(runs: Runs) -> None:
    wanted = [parse_requirement("iou>=-0.01"), parse_requirement("recall>=0.99")]
    gate = check_gate(compare(runs.run, runs.baseline), wanted)
    page = report_page(gather(runs.run, baseline=runs.baseline, gate=gate))
    text = re.sub(r"<[^>]+>", "", page)
    assert "Gate failed: 1 of 2 requirements not met" in text
    assert "iou compared with the baseline must be at least −0.010" in text
    assert "No gate was asked for" in report_page(gather(runs.run, baseline=None, gate=None))


def test_without_a_baseline_its_columns_and_parts_are_absent(runs: Runs) -> None:
    page = report_page(gather(runs.run, baseline=None, gate=None))
    assert "changes" not in sections(page)
    body = page[: page.index('<script type="application/json"')]
    assert not re.search(r">(Baseline|Difference|p adj\.|Baseline p50)<", body)


def test_published_points_stand_only_beside_the_data_set_they_were_made_on(runs: Runs, page: str) -> None:
    assert page.count("published, all-MiniLM-L6-v2") == 8
    assert page.count("published, text-embedding-3-large") == 13
    assert all(0.7 < each.recall < 0.93 and 0.01 < each.iou < 0.09 for each in published_points("chroma"))
    dataset = {**runs.run.manifest["dataset"], "format": "native"}
    other = replace(runs.run, manifest={**runs.run.manifest, "dataset": dataset})
    assert "published, " not in report_page(gather(other, baseline=None, gate=None))


def test_a_run_with_nothing_but_errors_still_gives_a_page() -> None:
    run = Run({"judge": None}, (Outcome(Question("1", "why?"), error="no index"),), ())
    page = report_page(gather(run, baseline=None, gate=None))
    assert sections(page) == ["verdict", "measures", "questions", "missing", "manifest"]
    assert "no index" in page


def _section(page: str, name: str) -> str:
    """The text of a part of the page."""
    part = re.search(f'<section id="{name}".*?</section>', page, re.DOTALL)
    return html.unescape(re.sub("<[^>]+>", " ", part[0])) if part else ""


def test_questions_that_failed_or_found_nothing_are_listed_with_the_reason(page: str) -> None:
    words = _section(page, "missing")
    assert re.findall(r"the encoder did not answer|nothing was found", words) == [
        "the encoder did not answer",
        "nothing was found",
    ]
    assert page.count('href="#q-18"') >= 1 and '<a href="#q-12">12</a>' in page


def test_a_judge_is_shown_with_its_calls_and_with_what_it_skipped_and_failed(runs: Runs, page: str) -> None:
    failed = [{"question_id": "3", "measure": "faithfulness", "reason": f"timeout {n}"} for n in range(201)]
    skipped = {"faithfulness": {"refused": 4}, "answer_relevancy": {"no encoder": 40}}
    judge = {"failed": failed, "skipped": skipped, "calls": 1234, "cached": 1}
    run = replace(runs.run, manifest={**runs.run.manifest, "judge": judge})
    judged = report_page(gather(run, baseline=None, gate=None))
    words = " ".join(_section(judged, "judge").split())
    assert "1 234 requests were sent; 1 verdict was taken from the cache; 201 verdicts failed." in words
    assert "faithfulness refused 4 answer_relevancy no encoder 40" in words
    assert "200 of 201" in words and "timeout 199" in words and "timeout 200" not in words
    assert f'<a href="#q-3">{runs.run.outcomes[2].question.text}</a>' in judged
    assert 'id="judge"' not in page


def test_the_request_and_the_digest_of_the_documents_are_in_the_manifest(runs: Runs) -> None:
    dataset = {**runs.run.manifest["dataset"], "documents_digest": "5ca1e"}
    request = {"published": None, "perturbations": ["typos", "case"], "answers": True, "seed": 7}
    run = replace(runs.run, manifest={**runs.run.manifest, "dataset": dataset, "request": request})
    words = " ".join(_section(report_page(gather(run, baseline=None, gate=None)), "manifest").split())
    assert "Request published none perturbations typos, case answers true seed 7" in words
    assert "documents_digest 5ca1e" in words


def test_what_must_be_known_to_read_a_comparison_stands_below_the_verdict(runs: Runs) -> None:
    facts = gather(runs.run, baseline=runs.baseline, gate=None)
    assert facts.comparison is not None
    noted = replace(
        facts, comparison=replace(facts.comparison, notes=("the documents differ", "so do others"))
    )
    words = " ".join(_section(report_page(noted), "verdict").split())
    assert "No gate was asked for On the comparison: the documents differ; so do others. iou" in words
    assert "On the comparison" not in _section(report_page(facts), "verdict")


def test_the_file_is_replaced_as_a_whole_and_a_bad_place_is_an_error(runs: Runs, tmp_path: Path) -> None:
    target = tmp_path / "runs" / "one" / "report.html"
    assert write_report(runs.run, target) == target
    assert [each.name for each in target.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(runs.run, tmp_path / "file" / "report.html")


def large_run() -> Run:
    """500 questions with ten hits each, no chunk found twice, each of 800 characters."""
    names = ("iou", "recall", "precision", "chunk_iou", "nDCG@10")
    outcomes = [_large_outcome(number) for number in range(500)]
    rows = [Row(each.question.id, name, 0.12345) for each in outcomes for name in names]
    return Run({"dataset": {"digest": "d"}}, tuple(outcomes), tuple(rows))


def _large_outcome(number: int) -> Outcome:
    source = f"manuals/{number}.md"
    question = Question(str(number), f"How often is valve {number} greased?", (Span(source, 10_079, 10_158),))
    found = tuple(_large_hit(source, number * 10 + rank, 10_000 + rank * 800) for rank in range(10))
    return Outcome(question, ("gold",), found=found, seconds={"encode": 0.0051, "search": 0.0012})


def _large_hit(source: str, number: int, start: int) -> Found:
    text = random.Random(number).randbytes(400).hex()  # packs worse than any language
    spans = [Span(source, start + at, start + at + 79) for at in (79, 316)]
    evidence = tuple(Evidence(each, "", 0.71234) for each in spans)
    scores = {"dense": 0.51234, "sparse": 11.234, "dense_rank": 3.0, "sparse_rank": 12.0, "fused": 0.0325}
    return Found(
        str(number), Span(source, start, start + 800), "Manual", ("A", "B"), 1, text, 0.5, scores, evidence
    )


@pytest.mark.slow
def test_five_hundred_questions_with_ten_hits_each_stay_under_two_megabytes() -> None:
    run = large_run()
    page = report_page(gather(run, baseline=run, gate=None))
    assert len(page.encode()) < 2_000_000
    data = payload(gather(run, baseline=None, gate=None))
    assert sum(len(text) for pieces in unpack(data["texts"]) for _, text in pieces) < 4_000_000  # cut
    for number, pieces in enumerate(unpack(data["texts"])):
        found = run.outcomes[number // 10].found[number % 10]
        kept = [(start, start + len(text)) for start, text in pieces]
        for start, text in pieces:
            assert found.text[start - found.span.start :].startswith(text)
        for each in found.evidence:  # what is marked is kept
            assert any(low <= each.span.start and each.span.end <= high for low, high in kept)


def test_flags_say_why_a_filter_shows_a_question(runs: Runs) -> None:
    asked = {
        each["id"]: each for each in payload(gather(runs.run, baseline=runs.baseline, gate=None))["questions"]
    }
    assert {"failed", "error", "empty"} <= set(asked["12"]["flags"])
    assert {"failed", "empty"} <= set(asked["18"]["flags"]) and "error" not in asked["18"]["flags"]
    assert "unanswerable" in asked["5"]["flags"]
    slow = [each for each in asked.values() if "slow" in each.get("flags", ())]
    assert len(slow) == 2  # a twentieth of 40


def test_a_missed_reference_is_shown_with_its_text_and_surroundings(runs: Runs) -> None:
    questions = payload(gather(runs.run, baseline=None, gate=None))["questions"]
    missed = questions[17]["gold"][0]
    span = runs.run.outcomes[17].question.references[0]
    assert missed[1:5] == [span.start, span.end, 0.0, 0.0]
    before, gold, after = missed[5]
    assert gold == runs.texts[span.document_id][span.start : span.end]
    assert before + gold + after in runs.texts[span.document_id] and len(before) == len(after) == 160


def test_of_many_references_only_the_first_bring_their_text() -> None:
    references = tuple(Span(f"{number}.txt", 0, 5_000) for number in range(400))
    outcome = Outcome(Question("1", "what?", references), gold=("word " * 1_000,) * 400)
    run = Run({}, (outcome,), (Row("1", "nDCG@10", 0.0),))
    gold = payload(gather(run, baseline=None, gate=None))["questions"][0]["gold"]
    assert len(gold) == 400 and [each[5] is None for each in gold] == [False] * 8 + [True] * 392
    assert all(len(each[5][1]) < 800 for each in gold[:8])


@given(st.integers(0, 20), st.integers(0, 20), st.lists(st.tuples(st.integers(0, 25), st.integers(0, 9))))
def test_the_covered_share_counts_each_character_once(
    start: int, length: int, others: list[tuple[int, int]]
) -> None:
    inside = {at for low, size in others for at in range(low, low + size)} & set(range(start, start + length))
    share = covered(Span("a", start, start + length), [Span("a", low, low + size) for low, size in others])
    assert share == (len(inside) / length if length else 0.0)


@given(st.text())
def test_escaped_text_reads_as_it_was_and_opens_no_element(text: str) -> None:
    written = element("p", text, title=text)
    assert html.unescape(escape(text)) == clean(text)
    assert written.count("<") == 2 and written.count(">") == 2


@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner), max_leaves=8))
def test_script_data_comes_back_and_cannot_end_its_element(value: object) -> None:
    written = script_json({"value": value})
    assert not re.search("[<>&\u2028\u2029]", written)
    assert json.loads(written) == {"value": value}
