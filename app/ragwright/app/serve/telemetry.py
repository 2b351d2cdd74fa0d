"""Traces as OpenTelemetry spans, where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector.

The only importer of `opentelemetry`; without the variable nothing of it is imported, and nothing is sent.
Spans are made of a finished trace, so that an answer waits for nothing. What they say is in `spans.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragwright.app.serve.spans import SpanFacts, spans_of
from ragwright.core.errors import MissingExtra

if TYPE_CHECKING:
    from ragwright.app.serve.values import Trace

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_SPOKEN = "http/protobuf"
_NANOSECONDS = 1_000_000_000
_LOGGER = logging.getLogger("ragwright.serve")


class Telemetry:
    """Gives the spans of answers to an exporter; for any number of threads."""

    def __init__(
        self, exporter: Any, *, content: bool, environ: Mapping[str, str], batched: bool = True
    ) -> None:
        """Use an exporter.

        Args:
            exporter: An OpenTelemetry `SpanExporter`.
            content: Whether spans hold questions, documents, prompts and answers.
            environ: Names the service, where it does.
            batched: Whether spans are sent now and then, by a thread; else at once.

        Raises:
            ImportError: OpenTelemetry's SDK is not installed.
        """
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        self._api: Any = trace
        self._content = content
        self._ids = _given_ids()
        resource = Resource.create(_service(environ))
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        processor = BatchSpanProcessor if batched else SimpleSpanProcessor
        self._provider.add_span_processor(processor(exporter))
        self._tracer: Any = self._provider.get_tracer("ragwright")

    def keep(self, trace: Trace) -> None:
        """Export a trace; its spans belong to an OpenTelemetry trace of the same id."""
        self._ids.trace_id = int(trace.id, 16)
        root, *below = spans_of(trace, content=self._content)
        outer = self._begun(root, at=trace.at, within=None)
        for facts in below:
            self._end(self._begun(facts, at=trace.at, within=outer), facts, at=trace.at)
        self._end(outer, root, at=trace.at)

    def _begun(self, facts: SpanFacts, *, at: float, within: Any) -> Any:
        # A context of its own: what the calling thread traces is not ours.
        context = self._api.set_span_in_context(within or self._api.INVALID_SPAN)
        return self._tracer.start_span(
            facts.name,
            context=context,
            kind=self._api.SpanKind[facts.kind],
            attributes=facts.attributes,
            start_time=_nanoseconds(at + facts.start),
        )

    def _end(self, span: Any, facts: SpanFacts, *, at: float) -> None:
        if facts.error is not None:
            span.set_status(self._api.Status(self._api.StatusCode.ERROR, facts.error or None))
        span.end(end_time=_nanoseconds(at + facts.end))

    def close(self, *, seconds: float = 2.0) -> None:
        """Send what waits; a collector that does not answer is not waited for."""
        thread = threading.Thread(target=self._provider.shutdown, name="telemetry", daemon=True)
        thread.start()
        thread.join(seconds)


def telemetry_from(environ: Mapping[str, str]) -> Telemetry | None:
    """What exports traces as the environment says; None where it names no collector.

    Where it does and the packages are missing, or another protocol is wanted, the log says so once.
    """
    if not environ.get(ENDPOINT) or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if environ.get(_PROTOCOL, _SPOKEN) != _SPOKEN:
        _LOGGER.warning("no traces are exported: %s wants another protocol than %s", _PROTOCOL, _SPOKEN)
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        content = environ.get(CONTENT, "").lower() == "true"
        return Telemetry(OTLPSpanExporter(), content=content, environ=environ)
    except ImportError:
        missing = MissingExtra("opentelemetry-exporter-otlp-proto-http", "otel")
        _LOGGER.warning("no traces are exported, though %s is set: %s", ENDPOINT, missing)
        return None


def _service(environ: Mapping[str, str]) -> dict[str, str]:
    """Names the service where the environment does not."""
    given = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return {} if "OTEL_SERVICE_NAME" in environ or "service.name=" in given else {"service.name": "ragwright"}


def _given_ids() -> Any:
    """Makes ids at random, but those of traces are what each thread has set."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class GivenIds(RandomIdGenerator):
        def __init__(self) -> None:
            self._given = threading.local()

        @property
        def trace_id(self) -> int:
            return int(self._given.id)

        @trace_id.setter
        def trace_id(self, given: int) -> None:
            self._given.id = given

        def generate_trace_id(self) -> int:
            return self.trace_id

    return GivenIds()


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANOSECONDS)
