"""The end of the report: times, what was ingested, what has no result, and how to run it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ragwright.eval.report_facts import Facts
from ragwright.eval.report_html import (
    Markup,
    element,
    head,
    joined,
    number,
    question_link,
    row,
    section,
    table,
)
from ragwright.eval.report_numbers import count, duration
from ragwright.eval.report_plots import share_bar
from ragwright.eval.values import Outcome

_SHOWN_FAILURES = 200
_PARTS = (
    ("dataset", "Data set"),
    ("request", "Request"),
    ("index", "Index"),
    ("models", "Models"),
    ("seeds", "Seeds"),
    ("config", "Configuration"),
    ("code", "Code"),
    ("machine", "Machine"),
    ("seconds", "Seconds by stage"),
)
_ELSEWHERE = frozenset({"ingest", "judge", "frontier", "command"})


def latency_section(facts: Facts) -> Markup | None:
    """Time per question by stage: p50, p95 and the slowest; None where no times were taken."""
    stages = _stages(facts.outcomes)
    if not stages:
        return None
    before = _stages(facts.baseline.outcomes) if facts.baseline else {}
    heads = [head("Stage"), head("p50", number=True), head("p95", number=True), head("max", number=True)]
    heads.append(head("p50 and p95, to scale"))
    if before:
        heads += [head("Baseline p50", number=True), head("Baseline p95", number=True)]
    heads.append(head("n", number=True))
    longest = max(_quantile(times, 95) for times in stages.values())
    rows = [_latency_row(name, times, longest, before) for name, times in stages.items()]
    body = element("tbody", *rows)
    return section("latency", "Latency", table(heads, [body], caption="Time per question and stage"))


def total_seconds(outcome: Outcome) -> float:
    """Time of all stages of one question."""
    return float(sum(outcome.seconds.values()))


def _stages(outcomes: Iterable[Outcome]) -> dict[str, list[float]]:
    """Times by stage; the sum of the stages comes last, where there are several."""
    stages: dict[str, list[float]] = {}
    totals = []
    for each in outcomes:
        for stage, seconds in each.seconds.items():
            stages.setdefault(stage, []).append(float(seconds))
        if each.seconds:
            totals.append(total_seconds(each))
    return {**stages, "all stages": totals} if len(stages) > 1 else stages


def _quantile(times: Sequence[float], percent: int) -> float:
    return float(np.percentile(times, percent))


def _latency_row(
    name: str, times: Sequence[float], longest: float, before: Mapping[str, Sequence[float]]
) -> Markup:
    middle, late = _quantile(times, 50), _quantile(times, 95)
    scale = longest or 1.0
    bar = share_bar([(middle / scale, "solid"), ((late - middle) / scale, "light")], width=180)
    cells = [number(duration(value)) for value in (middle, late, max(times))]
    cells.append(element("td", bar))
    if before:
        old = before.get(name)
        cells += [number(duration(_quantile(old, percent)) if old else "") for percent in (50, 95)]
    return row(name, *cells, number(count(len(times))), class_="total" if name == "all stages" else None)


def ingest_section(facts: Facts) -> Markup | None:
    """How the documents were ingested, with the failures by reason; None where nothing was."""
    ingest = facts.manifest("ingest")
    if not ingest:
        return None
    plain = {name: value for name, value in ingest.items() if not isinstance(value, Mapping)}
    seconds = ingest.get("seconds")
    times = (
        [element("h3", "Time by stage"), _pairs({k: duration(float(v)) for k, v in seconds.items()})]
        if isinstance(seconds, Mapping) and seconds
        else []
    )
    return section("ingest", "Ingest", _pairs(plain), *times, _failures(ingest.get("failures")))


def _failures(failures: object) -> Markup | None:
    """Failed sources under each reason, the most frequent reason first."""
    if not isinstance(failures, Mapping) or not failures:
        return None
    by_reason: dict[str, list[str]] = {}
    for source, reason in failures.items():
        by_reason.setdefault(str(reason), []).append(str(source))
    ordered = sorted(by_reason.items(), key=lambda each: -len(each[1]))
    rows = [
        row(reason, number(count(len(sources))), element("td", _sources(sources)))
        for reason, sources in ordered
    ]
    heads = [head("Reason"), head("Files", number=True), head("Sources")]
    return table(
        heads, [element("tbody", *rows)], caption="Failures by reason", hide_caption=False, classes="wrap"
    )


def _sources(sources: Sequence[str]) -> Markup:
    shown = joined(element("div", source) for source in sources[:_SHOWN_FAILURES])
    if len(sources) <= 5:
        return shown
    return element("details", element("summary", f"{count(len(sources))} files"), shown)


def missing_section(facts: Facts) -> Markup | None:
    """Questions without a result and why; None when every question has one."""
    missing = [each for each in facts.outcomes if each.error or not each.found]
    if not missing:
        return None
    rows = [
        row(question_link(each.question.id, each.question.id), element("td", each.question.text), _why(each))
        for each in missing
    ]
    heads = [head("Question"), head("Text"), head("Reason")]
    return section(
        "missing",
        "Questions without result",
        element("p", "Those with references score zero on every measure of what was found.", class_="note"),
        table(heads, [element("tbody", *rows)], caption="Questions without result", classes="wrap"),
    )


def _why(outcome: Outcome) -> Markup:
    return element("td", outcome.error or "nothing was found")


def manifest_section(facts: Facts) -> Markup:
    """What was run, with which settings, models, code and machine, and the command to run it again."""
    manifest = facts.run.manifest
    command = manifest.get("command")
    again = (
        [element("h3", "Run it again"), element("pre", element("code", str(command)), tabindex=0)]
        if command
        else []
    )
    named = {name for name, _ in _PARTS} | _ELSEWHERE
    rest = {name: value for name, value in manifest.items() if name not in named and value is not None}
    parts = [element("h3", "Run"), _pairs(rest)]
    for name, title in _PARTS:
        if part := facts.manifest(name):
            parts += [element("h3", title), _pairs(part)]
    details = element("details", element("summary", "Configuration, models, seeds, code and machine"), *parts)
    return section("manifest", "Manifest", *again, details)


def _pairs(values: Mapping[str, Any]) -> Markup:
    """Names and values as a list; nested mappings by dotted name."""
    items = [
        element("div", element("dt", name), element("dd", value)) for name, value in _flat(values, prefix="")
    ]
    return element("dl", *items, class_="pairs")


def _flat(values: Mapping[str, Any], *, prefix: str) -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, prefix=f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _written(value)


def _written(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value)) or "none"
    if not isinstance(value, int | float):
        return str(value)
    return count(value) if isinstance(value, int) and value >= 10_000 else f"{value:g}"
