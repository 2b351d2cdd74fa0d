"""Traces become OpenTelemetry spans where a collector is named, without a word of content by default."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from tests.app.serve.test_observations import CANARY, trace

from ragwright.app.serve.spans import spans_of
from ragwright.app.serve.telemetry import CONTENT, ENDPOINT, Telemetry, telemetry_from
from ragwright.app.serve.values import Ask

otel = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")

# A collector that is not there is complained of for as long as the exporter tries again, also after its test.
logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

SECONDS = {"rewrite": 0.1, "encode": 0.01, "search": 0.02, "rerank": 0.05, "score": 0.01, "evidence": 0.01,
           "first": 0.3, "answer": 0.6, "all": 0.9}  # fmt: skip


def exported(*, content: bool, **changed: Any) -> dict[str, Any]:
    """The spans of one trace by name, as an exporter gets them."""
    exporter = otel.InMemorySpanExporter()
    telemetry = Telemetry(exporter, content=content, environ={}, batched=False)
    telemetry.keep(replace(trace(7), **({"seconds": SECONDS} | changed)))
    telemetry.close()
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_span_for_each_step_inside_the_one_of_the_request() -> None:
    spans = exported(content=False)
    root = spans.pop("invoke_workflow documents")
    assert list(spans) == ["rewrite", "retrieval documents", "rerank", "chat extractive"]
    for span in spans.values():
        assert span.parent.span_id == root.context.span_id
        assert root.start_time <= span.start_time <= span.end_time <= root.end_time
    assert f"{root.context.trace_id:032x}" == trace(7).id
    assert {span.context.trace_id for span in spans.values()} == {root.context.trace_id}
    assert root.end_time - root.start_time == pytest.approx(0.9e9, rel=1e-3)
    assert spans["rerank"].end_time - spans["rerank"].start_time == pytest.approx(0.05e9, rel=1e-2)


def test_both_sets_of_names_are_used() -> None:
    spans = exported(content=False, ask=Ask("q", limit=5, max_tokens=9, temperature=0.5))
    retrieval, chat = spans["retrieval documents"].attributes, spans["chat extractive"].attributes
    assert retrieval["gen_ai.operation.name"] == "retrieval"
    assert retrieval["gen_ai.data_source.id"] == "documents"
    assert retrieval["gen_ai.request.top_k"] == 5
    assert json.loads(retrieval["gen_ai.retrieval.documents"]) == [{"id": "c1", "score": 0.8}]
    assert retrieval["openinference.span.kind"] == "RETRIEVER"
    assert retrieval["retrieval.documents.0.document.id"] == "c1"
    assert spans["rerank"].attributes["openinference.span.kind"] == "RERANKER"
    assert chat["openinference.span.kind"] == "LLM"
    assert chat["llm.token_count.total"] == chat["gen_ai.usage.input_tokens"] == 0
    assert (chat["gen_ai.request.max_tokens"], chat["gen_ai.request.temperature"]) == (9, 0.5)
    assert chat["gen_ai.response.finish_reasons"] == ("stop",)
    assert chat["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.0)


def test_there_is_no_content_unless_it_is_asked_for() -> None:
    failed = {"error": f"the query {CANARY!r} holds no word"}
    for changed in ({}, failed):
        spans = exported(content=False, **changed)
        said = json.dumps([json.loads(span.to_json()) for span in spans.values()])
        for word in (CANARY, "vault", "Vault", "Evidence", "made up", '"a"'):
            assert word not in said
    full = exported(content=True)
    chat = full["chat extractive"].attributes
    assert json.loads(chat["gen_ai.output.messages"])[0]["parts"][0]["content"] == f"{CANARY} [1]"
    assert CANARY in chat["llm.input_messages.0.message.content"]
    assert CANARY in full["retrieval documents"].attributes["retrieval.documents.0.document.content"]
    assert full["rewrite"].attributes["output.value"] == "What is the vault code?"


def test_an_answer_that_fails_is_an_error() -> None:
    spans = exported(content=False, answer=None, prompt=None, error="no word", seconds={"all": 0.2})
    (root,) = spans.values()
    assert root.status.status_code.name == "ERROR"
    assert root.attributes["error.type"] == "failed"
    assert root.status.description is None


def test_an_answer_without_a_model_is_no_chat() -> None:
    (*_, last) = spans_of(replace(trace(), prompt=None), content=False)
    assert (last.name, last.kind) == ("write extractive", "INTERNAL")
    assert "gen_ai.operation.name" not in last.attributes


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An address, and the bodies that were posted to it."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_the_collector_that_the_environment_names(
    collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, bodies = collector
    monkeypatch.setenv(ENDPOINT, url)
    telemetry = telemetry_from({ENDPOINT: url})
    assert telemetry is not None
    telemetry.keep(trace(9))
    telemetry.close(seconds=10)
    assert len(bodies) == 1
    assert bytes.fromhex(trace(9).id) in bodies[0]
    assert b"ragwright" in bodies[0]
    assert CANARY.encode() not in bodies[0]


def test_a_collector_that_is_not_there_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    telemetry = telemetry_from({ENDPOINT: "http://127.0.0.1:9"})
    assert telemetry is not None
    started = time.monotonic()
    telemetry.keep(trace())
    telemetry.close(seconds=0.2)
    assert time.monotonic() - started < 2


def test_content_is_asked_for_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    for value, wanted in (("true", True), ("TRUE", True), ("false", False), ("", False), ("1", False)):
        telemetry = telemetry_from({ENDPOINT: "http://127.0.0.1:9", CONTENT: value})
        assert telemetry is not None
        assert telemetry._content is wanted
        telemetry.close(seconds=0.1)


@pytest.mark.parametrize(
    "environ",
    [{}, {ENDPOINT: ""}, {ENDPOINT: "http://x", "OTEL_SDK_DISABLED": "true"}, {CONTENT: "true"}],
)
def test_without_a_collector_there_is_no_telemetry(environ: dict[str, str]) -> None:
    assert telemetry_from(environ) is None


def test_another_protocol_and_missing_packages_are_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert telemetry_from({ENDPOINT: "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) is None
    assert "protocol" in caplog.text
    caplog.clear()
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert telemetry_from({ENDPOINT: "http://x"}) is None
    assert len(caplog.records) == 1
    assert "[otel]" in caplog.text


def test_without_a_collector_nothing_of_it_is_imported() -> None:
    code = (
        "import sys; from ragwright.app.serve.telemetry import telemetry_from; "
        "assert telemetry_from({}) is None; "
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
