"""The report's two curves: recall against IoU along the dial, and risk against coverage of the answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ragwright.eval.published import SOURCE, UNIT, PublishedPoint, published_points
from ragwright.eval.report_facts import Facts
from ragwright.eval.report_html import Markup, element, head, number, row, section, table
from ragwright.eval.report_numbers import fraction
from ragwright.eval.report_plots import Axes, Mark, Series, Shape, nice_top, plot
from ragwright.eval.risk import RiskPoint, risk_coverage

_DIAL = "search.evidence"
_PUBLISHED: tuple[tuple[str, Shape], ...] = (("published-a", "square"), ("published-b", "triangle"))


def frontier_section(facts: Facts) -> Markup | None:
    """IoU against recall at every position of the evidence dial; None where the run has no dial."""
    points = _points(facts.run.manifest)
    if not points:
        return None
    default = facts.manifest("config").get(_DIAL)
    published = published_points(str(facts.manifest("dataset").get("format") or ""))
    series = [_dial("this run", points, style="run", default=default)]
    if facts.baseline and (others := _points(facts.baseline.manifest)):
        config = facts.baseline.manifest.get("config") or {}
        series.append(_dial("baseline", others, style="base", default=config.get(_DIAL)))
    series += _published(published)
    top = nice_top(max(mark.y for each in series for mark in each.marks))
    axes = Axes("recall", "IoU", _left_end(series), 1.0, top)
    label = f"IoU against recall: {_words(points)}. The numbers are in the table below the plot."
    return section(
        "frontier",
        "IoU against recall",
        element("p", _frontier_note(default), class_="note"),
        plot(series, axes, label=label, notes=_frontier_notes(facts, published)),
    )


def _frontier_notes(facts: Facts, published: Sequence[PublishedPoint]) -> list[Markup]:
    notes = [_details("Dial positions as a table", _dial_table(facts))]
    if published:
        source = element("p", f"{UNIT} Source: {SOURCE}.", class_="note")
        notes += [_details("Published figures as a table", _published_table(published)), source]
    return notes


def _left_end(series: Sequence[Series]) -> float:
    """Where the recall axis begins: a round number left of every mark."""
    lowest = min(mark.x for each in series for mark in each.marks)
    return max(0.0, math.floor((lowest - 0.02) * 5) / 5)


def _points(manifest: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """The dial positions in order of their share."""
    found = manifest.get("frontier") or ()
    return sorted((each for each in found if "recall" in each and "iou" in each), key=_share)


def _share(point: Mapping[str, float]) -> float:
    return float(point.get("share", 0.0))


def _dial(name: str, points: Sequence[Mapping[str, float]], *, style: str, default: object) -> Series:
    marks = []
    for each in points:
        chosen = default is not None and each.get("share") == default
        title = f"{name}, share {_share(each):g}: recall {each['recall']:.3f}, IoU {each['iou']:.3f}"
        label = f"{_share(each):g}" + (" · in use" if chosen else "") if style == "run" else ""
        ends = {name: _ends(each, name) if style == "run" else None for name in ("recall", "iou")}
        marks.append(
            Mark(
                each["recall"],
                each["iou"],
                title,
                label,
                ringed=chosen,
                x_interval=ends["recall"],
                y_interval=ends["iou"],
            )
        )
    shape: Shape = "circle" if style == "run" else "diamond"
    return Series(name, style, shape, tuple(marks), line=True)


def _ends(point: Mapping[str, float], name: str) -> tuple[float, float] | None:
    low, high = point.get(f"{name}_low"), point.get(f"{name}_high")
    return None if low is None or high is None else (low, high)


def _published(points: Iterable[PublishedPoint]) -> list[Series]:
    by_model: dict[str, list[Mark]] = {}
    for each in points:
        title = f"published, {each.model}, {each.chunker}: recall {each.recall:.3f}, IoU {each.iou:.3f}"
        by_model.setdefault(each.model, []).append(Mark(each.recall, each.iou, title))
    return [
        Series(f"published: {model}", style, shape, tuple(marks))
        for (model, marks), (style, shape) in zip(by_model.items(), _PUBLISHED, strict=False)
    ]


def _frontier_note(default: object) -> str:
    note = (
        "Each point is one position of the evidence dial: the share of the best sentence's score that a "
        "sentence must reach, with its 95 % intervals. Up and to the right is better."
    )
    return f"{note} In use: {default}." if default is not None else note


def _words(points: Sequence[Mapping[str, float]]) -> str:
    return "; ".join(f"{each['iou']:.3f} at {each['recall']:.3f}" for each in points)


def _dial_table(facts: Facts) -> Markup:
    heads = [head("Share"), *(head(name, number=True) for name in ("Recall", "IoU", "Precision"))]
    rows = [_dial_row(each, "") for each in _points(facts.run.manifest)]
    if facts.baseline:
        rows += [_dial_row(each, "baseline, ") for each in _points(facts.baseline.manifest)]
    return table(heads, [element("tbody", *rows)], caption="Dial positions", classes="small")


def _dial_row(point: Mapping[str, float], whose: str) -> Markup:
    precision = point.get("precision")
    return row(
        f"{whose}{_share(point):g}",
        number(fraction(point["recall"])),
        number(fraction(point["iou"])),
        number("" if precision is None else fraction(precision)),
    )


def _published_table(points: Iterable[PublishedPoint]) -> Markup:
    heads = [head("Model"), head("Chunker, tokens/overlap"), head("Recall", number=True)]
    rows = [
        row(
            each.model,
            element("td", each.chunker),
            number(fraction(each.recall)),
            number(fraction(each.iou)),
        )
        for each in points
    ]
    heads.append(head("IoU", number=True))
    return table(heads, [element("tbody", *rows)], caption="Published figures", classes="small")


def _details(title: str, content: Markup) -> Markup:
    return element("details", element("summary", title), content)


def risk_section(facts: Facts) -> Markup | None:
    """How often an answer is wrong when only the best supported ones are given; None without answers."""
    points = risk_coverage(facts.outcomes) if any(each.reply for each in facts.outcomes) else []
    if not points:
        return None
    marks = _risk_marks(points)
    series = [Series("this run", "run", "circle", marks, line=True)]
    before = risk_coverage(facts.baseline.outcomes) if facts.baseline else []
    if before:
        series.append(Series("baseline", "base", "diamond", _risk_marks(before), line=True))
    top = nice_top(max(mark.y for each in series for mark in each.marks))
    axes = Axes("coverage: share of questions answered", "risk", 0.0, 1.0, top)
    last = points[-1]
    label = f"Risk against coverage: {last.risk:.3f} when {last.coverage:.0%} are answered."
    return section(
        "risk",
        "Risk against coverage",
        element(
            "p",
            "Questions are answered in the order of their support, best first: risk is the share of these "
            "answers that are wrong: unanswerable, or no citation touches a reference. A system that knows "
            "what it knows has a curve that is low at the left and rises late.",
            class_="note",
        ),
        plot(series, axes, label=label, notes=[_details("The curve as a table", _risk_table(points))]),
    )


def _risk_marks(points: Sequence[RiskPoint]) -> tuple[Mark, ...]:
    return tuple(
        Mark(each.coverage, each.risk, f"coverage {each.coverage:.3f}, risk {each.risk:.3f}")
        for each in _thinned(points)
    )


def _thinned(points: Sequence[RiskPoint], most: int = 24) -> list[RiskPoint]:
    """At most so many points, evenly chosen, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    step = (len(points) - 1) / (most - 1)
    return [points[round(index * step)] for index in range(most)]


def _risk_table(points: Sequence[RiskPoint]) -> Markup:
    heads = [head("Coverage"), head("Risk", number=True), head("Support at least", number=True)]
    rows = [
        row(fraction(each.coverage), number(fraction(each.risk)), number(fraction(each.support)))
        for each in _thinned(points)
    ]
    return table(heads, [element("tbody", *rows)], caption="Risk against coverage", classes="small")
