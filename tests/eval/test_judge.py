"""ragas itself, judging through a local endpoint whose verdicts follow a rule."""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.eval.scripted_judge import ScriptedJudge, serving

from ragwright.core.errors import ConfigError, InputError, MissingExtra
from ragwright.core.types import Citation, Evidence, Question, Span, Vectors
from ragwright.eval import judge as judge_module
from ragwright.eval import judge_endpoint
from ragwright.eval.judge import JUDGED, JudgeResult, JudgeSettings, judge
from ragwright.eval.judge_cache import VerdictCache, verdict_key
from ragwright.eval.measures import MEASURES
from ragwright.eval.values import Found, Outcome, Reply, Row

ONE, TWO, THREE = "The pump runs.", "The valve leaks.", "The seal holds."


@pytest.fixture(autouse=True, scope="module")
def _ragas() -> None:
    reason = "the extra `judge` (ragas) is not installed"
    pytest.importorskip("ragas.metrics.collections", reason=reason, exc_type=ImportError)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_endpoint, "PAUSE_SECONDS", 0.001)


@pytest.fixture
def scripted() -> Iterator[ScriptedJudge]:
    with serving(ScriptedJudge()) as running:
        yield running


def embed(texts: Sequence[str]) -> Vectors:
    """Unit vectors of which those of `What is it?` and `Why?` have cosine 0.6."""
    known = {"What is it?": (1.0, 0.0), "Why?": (0.6, 0.8), "No.": (-1.0, 0.0)}
    return np.array([known[text] for text in texts], dtype=np.float32)


def found(text: str, *evidence: str) -> Found:
    spans = tuple(Evidence(Span("a.md", 0, len(each)), each, 1.0) for each in evidence)
    return Found("1", Span("a.md", 0, len(text)), "A", (), None, text, 1.0, evidence=spans)


def outcome(
    answer: str = f"{ONE} {TWO} {THREE}",
    *,
    contexts: Sequence[str] = (ONE, TWO),
    reference: str = "",
    name: str = "q1",
    refused: bool = False,
) -> Outcome:
    question = Question(name, "What is it?", (Span("a.md", 0, 5),), answer=reference)
    return Outcome(question, found=tuple(map(found, contexts)), reply=Reply(answer, (), refused, 1.0))


def asked(
    outcomes: Sequence[Outcome], judge_server: ScriptedJudge, cache: Path, *measures: str, **changes: Any
) -> JudgeResult:
    settings = replace(JudgeSettings(judge_server.url, "scripted", timeout_seconds=20), **changes)
    return judge(outcomes, settings=settings, cache=cache, measures=measures or JUDGED)


def only(result: JudgeResult, question: str, measure: str) -> float:
    """The value of the only row, which must be this one's."""
    (row,) = result.rows
    assert row == Row(question, measure, row.value)
    return row.value


def test_every_judged_measure_is_a_measure() -> None:
    assert set(JUDGED) == {name for name, measure in MEASURES.items() if measure.group == "judged"}


def test_faithfulness_is_the_share_of_supported_statements(scripted: ScriptedJudge, tmp_path: Path) -> None:
    result = asked([outcome()], scripted, tmp_path, "faithfulness")
    assert only(result, "q1", "faithfulness") == pytest.approx(2 / 3)
    assert (result.calls, result.cached, result.failed) == (2, 0, ())


@pytest.mark.parametrize(("question", "value"), [("What is it?", 1.0), ("Why?", 0.6), ("No.", 0.0)])
def test_answer_relevancy_compares_questions_with_the_given_encoder(
    scripted: ScriptedJudge, tmp_path: Path, question: str, value: float
) -> None:
    scripted.question = question
    result = asked([outcome()], scripted, tmp_path, "answer_relevancy", embed=embed)
    assert only(result, "q1", "answer_relevancy") == pytest.approx(value)


def test_an_evasive_answer_has_no_relevancy(scripted: ScriptedJudge, tmp_path: Path) -> None:
    scripted.noncommittal = True
    assert asked([outcome()], scripted, tmp_path, "answer_relevancy", embed=embed).rows[0].value == 0


def test_context_precision_is_the_average_precision_of_useful_contexts(
    scripted: ScriptedJudge, tmp_path: Path
) -> None:
    case = outcome(contexts=(ONE, TWO, TWO), reference=TWO)
    (row,) = asked([case], scripted, tmp_path, "context_precision").rows
    assert row.value == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_context_recall_is_the_share_of_the_reference_answer_in_the_contexts(
    scripted: ScriptedJudge, tmp_path: Path
) -> None:
    case = outcome(contexts=(ONE,), reference=f"{ONE} {THREE}")
    assert asked([case], scripted, tmp_path, "context_recall").rows[0].value == 0.5


def test_factual_correctness_is_the_f1_of_claims(scripted: ScriptedJudge, tmp_path: Path) -> None:
    case = outcome(f"{ONE} {TWO}", reference=f"{ONE} {THREE} Fine.")
    assert asked([case], scripted, tmp_path, "factual_correctness").rows[0].value == 0.4  # P 1/2, R 1/3


def test_a_second_run_sends_nothing_and_says_the_same(scripted: ScriptedJudge, tmp_path: Path) -> None:
    cases = [outcome(name=f"q{n}", contexts=(ONE, TWO)[: n % 3], reference=TWO) for n in range(5)]
    first = asked(cases, scripted, tmp_path, embed=embed)
    sent = len(scripted.requests)
    second = asked(cases, scripted, tmp_path, embed=embed)
    assert first.calls == sent == len(scripted.requests)
    assert second.rows == first.rows
    assert (second.calls, second.failed) == (0, ())
    assert second.cached == sum(bool(c.found) for c in cases) * 3 + 2 * len(cases)


@pytest.mark.parametrize(
    ("fault", "reason", "sent"),
    [
        ("500", "HTTP 500", 3),
        ("400", "HTTP 400", 3),  # one in each form of the request
        ("slow", "no reply within 0.2 seconds", 3),
        ("garbage", "no chat completion", 3),
        ("prose", "holds no StatementGeneratorOutput", 3),
        ("cut", "cut off", 3),
    ],
)
def test_a_failed_call_is_listed_and_has_no_row(
    scripted: ScriptedJudge, tmp_path: Path, fault: str, reason: str, sent: int
) -> None:
    scripted.fault = lambda prompt: fault if "Broken" in prompt else None
    cases = [outcome(name="good"), outcome("Broken. So.", name="bad")]
    result = asked(
        cases,
        scripted,
        tmp_path,
        "faithfulness",
        timeout_seconds=0.2 if fault == "slow" else 20,
        concurrency=1,
    )
    assert only(result, "good", "faithfulness") == pytest.approx(2 / 3)
    ((question, measure, told),) = [(f.question_id, f.measure, f.reason) for f in result.failed]
    assert (question, measure) == ("bad", "faithfulness")
    assert reason in told
    assert result.calls == 2 + sent
    scripted.fault = lambda prompt: None
    again = asked(cases, scripted, tmp_path, "faithfulness")
    assert [row.question_id for row in again.rows] == ["good", "bad"]
    assert again.cached == 1


@pytest.mark.parametrize(("fault", "reason"), [("fewer", "2 verdicts for 3 statements"), ("seven", "is 7")])
def test_verdicts_that_cannot_be_counted_are_failures(
    scripted: ScriptedJudge, tmp_path: Path, fault: str, reason: str
) -> None:
    scripted.fault = lambda prompt: fault
    result = asked([outcome(reference=ONE)], scripted, tmp_path, "faithfulness")
    assert result.rows == ()
    assert reason in result.failed[0].reason


def test_an_answer_without_statements_is_a_failure(scripted: ScriptedJudge, tmp_path: Path) -> None:
    result = asked([outcome("Hm", reference=ONE)], scripted, tmp_path, "faithfulness", "factual_correctness")
    assert [f.reason for f in result.failed] == ["the judge found no statements", "the judge found no claims"]


def test_a_fault_that_passes_is_overcome(scripted: ScriptedJudge, tmp_path: Path) -> None:
    faults = iter(["500", "prose", None, None])
    scripted.fault = lambda prompt: next(faults)
    result = asked([outcome()], scripted, tmp_path, "faithfulness")
    assert (len(result.rows), result.calls, result.failed) == (1, 4, ())


@pytest.mark.parametrize("refuses", [{"response_format"}, {"response_format", "temperature"}])
def test_servers_that_refuse_a_request_field_are_asked_without_it(
    scripted: ScriptedJudge, tmp_path: Path, refuses: set[str]
) -> None:
    scripted.refuses, scripted.dressed = frozenset(refuses), True
    result = asked([outcome()], scripted, tmp_path, "faithfulness", concurrency=1)
    assert result.rows[0].value == pytest.approx(2 / 3)
    assert result.calls == 2 + len(refuses)  # found out once, then remembered


def test_a_dead_endpoint_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "GIVE_UP_AFTER", 2)
    with serving(ScriptedJudge()) as gone:
        pass
    cases = [outcome(name=f"q{n}") for n in range(5)]
    result = asked(cases, gone, tmp_path, "faithfulness", concurrency=1)
    assert len(result.failed) == 5
    assert result.calls == 2 * judge_endpoint.ATTEMPTS
    assert "cannot be reached" in result.failed[0].reason
    assert result.failed[4].reason == "not tried: 2 verdicts in a row had failed"


def test_what_cannot_be_judged_is_counted_by_reason(scripted: ScriptedJudge, tmp_path: Path) -> None:
    silent = replace(outcome(name="silent"), reply=None)
    cases = [silent, outcome(name="refused", refused=True), outcome(name="plain")]
    result = asked(cases, scripted, tmp_path)
    assert {(row.question_id, row.measure) for row in result.rows} == {("plain", "faithfulness")}
    assert result.skipped == {
        "faithfulness": {"no answer": 1, "refused": 1},
        "answer_relevancy": {"no answer": 1, "refused": 1, "no encoder": 1},
        "context_precision": {"no reference answer": 3},
        "context_recall": {"no reference answer": 3},
        "factual_correctness": {"no reference answer": 3},
    }


def test_nothing_found_scores_zero_without_a_call(scripted: ScriptedJudge, tmp_path: Path) -> None:
    case = outcome(contexts=(), reference=ONE)
    result = asked([case], scripted, tmp_path, "faithfulness", "context_precision", "context_recall")
    assert [row.value for row in result.rows] == [0, 0, 0]
    assert (result.calls, result.cached) == (0, 0)


def test_contexts_are_evidence_and_answers_lose_their_marks(scripted: ScriptedJudge, tmp_path: Path) -> None:
    citation = Citation(1, Span("a.md", 0, 5), ONE, "exact", "a.md", "A")
    case = replace(
        outcome(reference=ONE),
        found=(found(f"{ONE} {TWO} {THREE}", ONE, TWO),),
        reply=Reply(f"{ONE} [1] {THREE} [2]", (citation,), False, 1.0),
    )
    result = asked([case], scripted, tmp_path, "faithfulness")
    prompts = [request["messages"][0]["content"] for request in scripted.requests]
    assert f'"answer": "{ONE} {THREE} [2]"' in prompts[0]
    assert f'"context": "{ONE}\\n{TWO}"' in prompts[1]
    assert len(result.rows) == 1


def test_evidence_without_characters_is_read_from_its_document(
    scripted: ScriptedJudge, tmp_path: Path
) -> None:
    bare = replace(found("chunk"), evidence=(Evidence(Span("a.md", 0, len(ONE)), "", 1.0),))
    judge(
        [replace(outcome(ONE), found=(bare,))],
        settings=JudgeSettings(scripted.url, "scripted"),
        cache=tmp_path,
        measures=["faithfulness"],
        text_of={"a.md": ONE + TWO}.get,
    )
    assert f'"context": "{ONE}"' in scripted.requests[1]["messages"][0]["content"]


def test_only_the_endpoint_is_contacted_and_nothing_is_written_about_the_user(
    scripted: ScriptedJudge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses, active = [], [True]

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event == "socket.connect":
            addresses.append(arguments[1])
        if active and event == "socket.getaddrinfo":
            addresses.append((arguments[0], arguments[1]))

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    sys.addaudithook(note)
    try:
        asked([outcome(reference=ONE)], scripted, tmp_path / "cache", embed=embed, api_key="k")
    finally:
        active.clear()
    port = int(scripted.url.rpartition(":")[2].partition("/")[0])
    assert {(str(a[0]), int(a[1])) for a in addresses} == {("127.0.0.1", port)}
    assert not (tmp_path / "home").exists()
    assert {(r["path"], r["key"]) for r in scripted.requests} == {("/v1/chat/completions", "Bearer k")}
    assert "nltk" not in sys.modules


def test_it_works_inside_a_running_event_loop(scripted: ScriptedJudge, tmp_path: Path) -> None:
    async def notebook() -> JudgeResult:
        return asked([outcome()], scripted, tmp_path, "faithfulness")

    assert len(asyncio.run(notebook()).rows) == 1


def test_a_missing_ragas_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = JudgeSettings("http://127.0.0.1:1/v1", "scripted")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ragas.metrics", None)  # as when langchain-community is too new for it
        with pytest.raises(MissingExtra, match=r"'\.\[judge\]'"):
            judge([outcome()], settings=settings, cache=tmp_path)

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("ragwright.eval.judge_ragas.version", absent)
    with pytest.raises(MissingExtra, match="ragas is not installed"):
        judge([outcome()], settings=settings, cache=tmp_path)


def test_unusable_settings_are_refused(tmp_path: Path) -> None:
    settings = JudgeSettings("http://127.0.0.1:1/v1", "scripted", api_key="secret")
    assert "secret" not in repr(settings)
    with pytest.raises(ConfigError, match="'speed' is no judged measure"):
        judge([], settings=settings, cache=tmp_path, measures=["speed"])
    with pytest.raises(ConfigError, match="must be positive"):
        judge([], settings=replace(settings, concurrency=0), cache=tmp_path)


def test_a_cut_off_line_of_the_cache_costs_only_its_verdict(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "deep" / "folder")
    cache.add("a", 0.5, measure="faithfulness", model="m")
    cache.add("b", 1.0, measure="faithfulness", model="m")
    path = tmp_path / "deep" / "folder" / "verdicts.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    reopened = VerdictCache(path.parent)
    assert (reopened.get("a"), reopened.get("b")) == (0.5, None)
    reopened.add("c", 0.25, measure="faithfulness", model="m")
    assert [VerdictCache(path.parent).get(key) for key in "abc"] == [0.5, None, 0.25]


@pytest.mark.parametrize(
    "line", [b"[]", b'{"key": 1, "value": 1}', b'{"key": "a", "value": NaN}', b"\xff", b"3"]
)
def test_a_damaged_line_of_the_cache_is_no_verdict(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "verdicts.jsonl").write_bytes(line + b"\n")
    assert VerdictCache(tmp_path).get("a") is None


def test_a_cache_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="name a folder"):
        VerdictCache(tmp_path / "file")


def test_keys_differ_with_everything_that_a_verdict_depends_on() -> None:
    inputs = {"user_input": "a", "retrieved_contexts": ["b", "c"]}
    keys = {
        verdict_key("m", inputs, model="x", ragas="1"),
        verdict_key("n", inputs, model="x", ragas="1"),
        verdict_key("m", inputs, model="y", ragas="1"),
        verdict_key("m", inputs, model="x", ragas="2"),
        verdict_key("m", inputs, model="x", ragas="1", encoder="e"),
        verdict_key("m", {**inputs, "retrieved_contexts": ["bc"]}, model="x", ragas="1"),
    }
    assert len(keys) == 6
