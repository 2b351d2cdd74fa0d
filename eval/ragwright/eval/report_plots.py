"""Small plots as inline SVG, coloured by the style sheet alone and told apart by shape as well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ragwright.eval.report_html import Markup, element

Shape = Literal["circle", "square", "diamond", "triangle"]

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 20, 16, 50
_BAR, _MIDDLE = 132, 9


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a series.

    Attributes:
        x: On the horizontal axis.
        y: On the vertical axis.
        title: Shown when the pointer rests on it.
        label: Written beside it.
        ringed: Whether it stands out.
        x_interval: Where it may lie on the horizontal axis.
        y_interval: Where it may lie on the vertical axis.
    """

    x: float
    y: float
    title: str
    label: str = ""
    ringed: bool = False
    x_interval: tuple[float, float] | None = None
    y_interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one kind; `name` is its entry in the legend, `style` its class in the style sheet."""

    name: str
    style: str
    shape: Shape
    marks: tuple[Mark, ...]
    line: bool = False


@dataclass(frozen=True, slots=True)
class Axes:
    """The frame of a plot; the vertical axis begins at 0."""

    x_title: str
    y_title: str
    x_min: float
    x_max: float
    y_max: float

    def left(self, x: float) -> float:
        """Where a value stands from the left, in pixels."""
        share = (x - self.x_min) / (self.x_max - self.x_min)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def top(self, y: float) -> float:
        """Where a value stands from the top, in pixels."""
        return round(_HEIGHT - _BOTTOM - y / self.y_max * (_HEIGHT - _TOP - _BOTTOM), 1)


def interval_bar(
    mean: float, low: float, high: float, *, baseline: float | None = None, width: int = _BAR
) -> Markup:
    """A value between 0 and 1 with its interval on a line, and the baseline as a hollow mark."""

    def at(value: float) -> float:
        return round(5 + min(max(value, 0.0), 1.0) * (width - 10), 1)

    return _bar(
        width,
        "bar",
        element("line", x1=5, x2=width - 5, y1=_MIDDLE, y2=_MIDDLE, class_="track"),
        _band(at(low), at(high)),
        None if baseline is None else symbol("diamond", at(baseline), _MIDDLE, size=4, class_="base-mark"),
        element("line", x1=at(mean), x2=at(mean), y1=2, y2=16, class_="mean"),
    )


def difference_bar(difference: float, low: float, high: float, *, reach: float, verdict: str) -> Markup:
    """A difference with its interval about a zero line; `reach` is the value at either end."""
    width = 100

    def at(value: float) -> float:
        share = min(max(value / reach, -1.0), 1.0) if reach else 0.0
        return round(width / 2 + share * (width / 2 - 4), 1)

    return _bar(
        width,
        f"bar {verdict}",
        element("line", x1=width / 2, x2=width / 2, y1=1, y2=17, class_="zero"),
        _band(at(low), at(high)),
        element("line", x1=at(difference), x2=at(difference), y1=2, y2=16, class_="mean"),
    )


def share_bar(shares: Sequence[tuple[float, str]], *, width: int = _BAR) -> Markup:
    """Parts of a whole side by side: the share and the class of each."""
    parts, left = [], 0.0
    for share, style in shares:
        parts.append(
            element("rect", x=round(left, 1), width=round(share * width, 1), y=4, height=10, class_=style)
        )
        left += share * width
    return _bar(width, "bar", *parts)


def _bar(width: int, style: str, *parts: Markup | None) -> Markup:
    """A picture of one line's height; its numbers stand beside it, so it is not read aloud."""
    box = f"0 0 {width} 18"
    return element("svg", *parts, class_=style, viewBox=box, width=width, height=18, aria_hidden="true")


def _band(left: float, right: float) -> Markup:
    return element("rect", x=left, width=max(1.5, round(right - left, 1)), y=5, height=8, rx=2, class_="band")


def plot(series: Sequence[Series], axes: Axes, *, label: str, notes: Sequence[Markup] = ()) -> Markup:
    """A plot of several series with its legend and notes; `label` says in a sentence what is seen."""
    labels = _Labels([(axes.left(mark.x), axes.top(mark.y)) for each in series for mark in each.marks])
    drawn = [_series(each, axes, labels=labels) for each in series]
    picture = element(
        "svg",
        _grid(axes),
        *reversed(drawn),  # the first series lies on top
        class_="plot",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=label,
    )
    legend = element("ul", *(_entry(each) for each in series), class_="legend")
    return element(
        "div",
        element("div", picture, class_="scroll", tabindex=0, role="region", aria_label="Plot"),
        element("div", legend, *notes, class_="beside"),
        class_="figure",
    )


def nice_top(highest: float) -> float:
    """The end of an axis from 0 that holds a value and has round steps.

    >>> nice_top(0.203), nice_top(0.0), nice_top(0.93)
    (0.25, 0.1, 1.0)
    """
    return next(
        (top for top in (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8) if highest <= top * 0.96), 1.0
    )


def symbol(shape: Shape, x: float, y: float, *, size: float, class_: str) -> Markup:
    """A mark around a point; its size is half its height in pixels."""
    if shape == "circle":
        return element("circle", cx=x, cy=y, r=size, class_=class_)
    if shape == "square":
        side = round(size * 1.8, 1)
        return element(
            "rect", x=round(x - side / 2, 1), y=round(y - side / 2, 1), width=side, height=side, class_=class_
        )
    up, side = round(size * 1.25, 1), round(size * 1.15, 1)
    corners = (
        [(x, y - up), (x + up, y), (x, y + up), (x - up, y)]
        if shape == "diamond"
        else [(x, y - up), (x + side, y + size), (x - side, y + size)]
    )
    points = " ".join(f"{left:.1f},{top:.1f}" for left, top in corners)
    return element("polygon", points=points, class_=class_)


def _grid(axes: Axes) -> Markup:
    """Lines, numbers and titles of both axes."""
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for step in _steps(axes.x_min, axes.x_max):
        x = axes.left(step)
        parts.append(element("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="grid"))
        parts.append(element("text", _tick(step), x=x, y=bottom + 18, text_anchor="middle", class_="tick"))
    for step in _steps(0.0, axes.y_max):
        y = axes.top(step)
        parts.append(element("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(element("text", _tick(step), x=_LEFT - 8, y=y + 4, text_anchor="end", class_="tick"))
    middle = (_TOP + bottom) / 2
    parts.append(
        element(
            "text", axes.x_title, x=(_LEFT + right) / 2, y=_HEIGHT - 10, text_anchor="middle", class_="axis"
        )
    )
    turned = f"translate(16 {middle}) rotate(-90)"
    parts.append(element("text", axes.y_title, transform=turned, text_anchor="middle", class_="axis upright"))
    return element("g", *parts)


def _steps(low: float, high: float) -> list[float]:
    step = next(size for size in (0.02, 0.05, 0.1, 0.2) if (high - low) / size <= 6.01)
    count = math.floor((high - low) / step + 1e-9)
    return [round(low + index * step, 2) for index in range(count + 1)]


def _tick(value: float) -> str:
    return f"{value:g}"


def _series(series: Series, axes: Axes, *, labels: _Labels) -> Markup:
    parts: list[Markup] = []
    if series.line and len(series.marks) > 1:
        points = " ".join(f"{axes.left(each.x)},{axes.top(each.y)}" for each in series.marks)
        parts.append(element("polyline", points=points, class_="curve"))
    # Marks that stand out choose the place of their label first.
    ordered = sorted(series.marks, key=lambda mark: not mark.ringed)
    parts += [_mark(each, series, axes, labels=labels) for each in ordered]
    return element("g", *parts, class_=f"series {series.style}")


def _mark(mark: Mark, series: Series, axes: Axes, *, labels: _Labels) -> Markup:
    x, y = axes.left(mark.x), axes.top(mark.y)
    return element(
        "g",
        element("title", mark.title),
        *_reach(mark, axes),
        symbol("circle", x, y, size=9, class_="ring") if mark.ringed else None,
        symbol(series.shape, x, y, size=4.6 if series.line else 4.2, class_="point"),
        labels.place(mark.label, x, y) if mark.label else None,
        class_="ringed" if mark.ringed else None,
    )


def _reach(mark: Mark, axes: Axes) -> list[Markup]:
    """The intervals of a mark as a thin cross."""
    x, y, lines = axes.left(mark.x), axes.top(mark.y), []
    if mark.x_interval:
        low, high = (axes.left(max(each, axes.x_min)) for each in mark.x_interval)
        lines.append(element("line", x1=low, x2=high, y1=y, y2=y, class_="reach"))
    if mark.y_interval:
        low, high = (axes.top(min(each, axes.y_max)) for each in mark.y_interval)
        lines.append(element("line", x1=x, x2=x, y1=low, y2=high, class_="reach"))
    return lines


class _Labels:
    """Finds a free place beside a mark for its label; a label without one is left out."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self._taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]

    def place(self, label: str, x: float, y: float) -> Markup | None:
        """The label at the first free of four corners; None if none is free."""
        width = 7.2 * len(label)
        for left, top in (
            (x + 10, y - 19),
            (x + 10, y + 6),
            (x - 10 - width, y + 6),
            (x - 10 - width, y - 19),
        ):
            box = (left, top, left + width, top + 14)
            if self._is_free(box):
                self._taken.append(box)
                return element("text", label, x=round(left, 1), y=round(top + 11, 1))
        return None

    def _is_free(self, box: tuple[float, float, float, float]) -> bool:
        inside = box[0] >= _LEFT and box[2] <= _WIDTH and box[1] >= 0 and box[3] <= _HEIGHT - _BOTTOM
        return inside and not any(
            box[0] < right and left < box[2] and box[1] < bottom and top < box[3]
            for left, top, right, bottom in self._taken
        )


def _entry(series: Series) -> Markup:
    line = element("line", x1=1, x2=27, y1=8, y2=8, class_="curve") if series.line else None
    key = element(
        "svg",
        line,
        symbol(series.shape, 14, 8, size=4.6, class_="point"),
        class_=f"key series {series.style}",
        viewBox="0 0 28 16",
        width=28,
        height=16,
        aria_hidden="true",
    )
    return element("li", key, series.name)
