"""What is counted and timed, for Prometheus; no number says what was asked, or by whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

if TYPE_CHECKING:
    from ragwright.app.serve.values import Trace

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_HITS = (0, 1, 2, 3, 5, 10, 20, 50, 100)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Counters in a registry of their own; for any number of threads."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "ragwright_requests", "Requests answered.", ["route", "method", "status"], registry=self._registry
        )
        self._request_seconds = self._times(
            "ragwright_request_seconds", "From a request to its end.", "route"
        )
        self._answers = Counter(
            "ragwright_answers",
            "Answers by how they ended: answered, refused, failed or stopped.",
            ["collection", "generator", "outcome"],
            registry=self._registry,
        )
        self._first = self._times("ragwright_first_token_seconds", "Until the first text.", "generator")
        self._steps = self._times("ragwright_step_seconds", "Of each step of an answer.", "step")
        self._tokens = Counter(
            "ragwright_tokens", "Tokens read and written.", ["generator", "kind"], registry=self._registry
        )
        self._hits = Histogram(
            "ragwright_hits", "Hits behind an answer.", buckets=_HITS, registry=self._registry
        )
        self._documents = Counter(
            "ragwright_documents",
            "Documents taken in, by collection and what became of them.",
            ["collection", "state"],
            registry=self._registry,
        )
        self._ready = Gauge(
            "ragwright_ready", "1 where a collection answers.", ["collection"], registry=self._registry
        )

    def _times(self, name: str, meaning: str, label: str) -> Histogram:
        return Histogram(name, meaning, [label], buckets=_SECONDS, registry=self._registry)

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Tell a number that somebody else keeps, whenever the metrics are read."""
        Gauge(name, meaning, registry=self._registry).set_function(value)

    def request(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that has ended.

        Args:
            route: As the application declares it, not as it was asked for.
            method: Of HTTP.
            status: Of the response.
            seconds: Until its end.
        """
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def answer(self, trace: Trace) -> None:
        """Count an answer that has ended, in whatever way."""
        self._answers.labels(trace.collection, trace.generator, _outcome(trace)).inc()
        for step, seconds in trace.seconds.items():
            if step == "first":
                self._first.labels(trace.generator).observe(seconds)
            else:
                self._steps.labels(step).observe(seconds)
        if trace.answer is not None:
            usage = trace.answer.usage
            self._tokens.labels(trace.generator, "prompt").inc(usage.prompt_tokens)
            self._tokens.labels(trace.generator, "completion").inc(usage.completion_tokens)
            self._hits.observe(len(trace.answer.hits))

    def ingested(self, collection: str, counts: Mapping[str, int]) -> None:
        """Count documents that were taken in, by state, such as `added` or `failed`."""
        for state, count in counts.items():
            self._documents.labels(collection, state).inc(count)

    def ready(self, collections: Mapping[str, bool]) -> None:
        """Say which collections answer now."""
        for name, answers in collections.items():
            self._ready.labels(name).set(answers)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


def _outcome(trace: Trace) -> str:
    if trace.answer is not None:
        return "refused" if trace.answer.refused else "answered"
    return "stopped" if trace.error == "stopped" else "failed"
