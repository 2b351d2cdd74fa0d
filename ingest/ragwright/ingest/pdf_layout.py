"""Where the lines of a PDF page belong: rows and columns. No PDF library is needed here.

Coordinates are PDF points with the origin at the lower left. A `Line` is first a run of words without a wide
gap; rows of runs that do not form a table are then joined into whole lines.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Box = tuple[float, float, float, float]  # left, bottom, right, top


@dataclass(frozen=True, slots=True)
class Line:
    """Words on one baseline.

    Attributes:
        text: With single spaces; a hyphen at the end may divide a word.
        left: Where the first glyph begins.
        right: Where the last glyph ends.
        baseline: Height on the page.
        size: Font size in points, as drawn.
        bold: Whether all of it is in a bold face.
        order: Position in the file, which is often but not always the reading order.
    """

    text: str
    left: float
    right: float
    baseline: float
    size: float
    bold: bool = False
    order: int = 0

    @property
    def bottom(self) -> float:
        """Lower edge, with room for descenders."""
        return self.baseline - 0.22 * self.size

    @property
    def top(self) -> float:
        """Upper edge, with room for ascenders."""
        return self.baseline + 0.78 * self.size


@dataclass(frozen=True, slots=True)
class Page:
    """The runs of one page.

    Attributes:
        number: From 1.
        bounds: The visible part of the page, turned so that most of its text is upright.
        lines: In file order.
    """

    number: int
    bounds: Box
    lines: tuple[Line, ...]


def box_of(lines: Sequence[Line]) -> Box:
    """The smallest box around at least one line."""
    return (
        min(line.left for line in lines),
        min(line.bottom for line in lines),
        max(line.right for line in lines),
        max(line.top for line in lines),
    )


def rows_of(lines: Iterable[Line]) -> list[list[Line]]:
    """Lines that share a baseline, from top to bottom, each row from left to right.

    Raised or lowered small text, such as a footnote mark, belongs to the row it stands in.
    """
    rows: list[list[Line]] = []
    anchor: Line | None = None
    for line in sorted(lines, key=lambda line: (-line.baseline, line.left)):
        if anchor is not None and _same_row(anchor, line):
            rows[-1].append(line)
            anchor = max(anchor, line, key=lambda one: one.size)
        else:
            rows.append([line])
            anchor = line
    return [sorted(row, key=lambda line: line.left) for row in rows]


def _same_row(anchor: Line, line: Line) -> bool:
    small, large = sorted((anchor, line), key=lambda one: one.size)
    raised = len(small.text) <= (12 if small.size < 0.85 * large.size else 2)
    return abs(anchor.baseline - line.baseline) <= (0.55 * large.size if raised else 0.3 * small.size)


def join_row(row: Sequence[Line]) -> Line:
    """The runs of a row as one line, in the style of its longest run.

    >>> join_row([Line("Oil", 10, 25, 700, 12), Line("pump", 60, 90, 700, 12)]).text
    'Oil pump'
    """
    if len(row) == 1:
        return row[0]
    text, right = row[0].text, row[0].right
    for line in row[1:]:
        text += line.text if line.left - right < 0.12 * line.size else " " + line.text
        right = max(right, line.right)
    main = max(row, key=lambda line: len(line.text))
    bold = all(line.bold for line in row)
    return Line(text, row[0].left, right, main.baseline, main.size, bold, min(line.order for line in row))


def reading_order(lines: Sequence[Line]) -> list[list[Line]]:
    """Regions in reading order: columns one after the other, with what spans them in between.

    Returns:
        Every line exactly once. A region is read row by row.
    """
    gutter = _gutter(lines)
    if gutter is None:
        return [list(lines)] if lines else []
    regions: list[list[Line]] = []
    for band in _bands(lines, gutter):
        left, right = _sides(band, gutter)
        if len(left) + len(right) == len(band) and _reads_by_column(left, right):
            regions.extend(reading_order(left))
            regions.extend(reading_order(right))
        else:
            regions.append(band)
    return regions


def _sides(lines: Sequence[Line], gutter: float) -> tuple[list[Line], list[Line]]:
    return [line for line in lines if line.right <= gutter], [line for line in lines if line.left >= gutter]


def _gutter(lines: Sequence[Line]) -> float | None:
    """Where a vertical strip parts the lines into columns, or None.

    Of the strips beside a run's right edge, the one is taken that has most lines on its poorer side and few
    lines across.
    """
    if len(lines) < 6:
        return None
    rights, lefts = sorted(line.right for line in lines), sorted(line.left for line in lines)
    best, found = 0.0, None
    for edge in rights:
        index = bisect_right(lefts, edge)
        if index == len(lefts) or lefts[index] - edge < 5.0:
            continue
        before, after = bisect_right(rights, edge), len(lefts) - bisect_left(lefts, lefts[index])
        crossing = len(lines) - before - after
        score = min(before, after) - 0.3 * crossing
        if min(before, after) >= 3 and (found is None or score > best):
            best, found = score, (edge + lefts[index]) / 2
    if found is None or not _has_columns(lines, found):
        return None
    return found


def _has_columns(lines: Sequence[Line], gutter: float) -> bool:
    return any(_reads_by_column(*_sides(band, gutter)) for band in _bands(lines, gutter))


def _bands(lines: Sequence[Line], gutter: float) -> list[list[Line]]:
    """Cut from top to bottom wherever lines across the gutter begin or end."""
    bands: list[list[Line]] = []
    spanning: bool | None = None
    for line in sorted(lines, key=lambda line: (-line.baseline, line.left)):
        crosses = line.left < gutter < line.right
        if crosses != spanning:
            bands.append([])
        spanning = crosses
        bands[-1].append(line)
    return [part for band in bands for part in _without_heading_rows(band, gutter)]


def _without_heading_rows(band: list[Line], gutter: float) -> list[list[Line]]:
    """Part what stands side by side above the columns, such as authors' names, from the columns."""
    left, right = _sides(band, gutter)
    if len(left) + len(right) < len(band) or not _reads_by_column(left, right):
        return [band]
    lowest = band[0].bottom
    for index, line in enumerate(band):
        upper, lower = band[:index], band[index:]
        if index and lowest - line.top > 0.8 * line.size and not _reads_by_column(*_sides(upper, gutter)):
            return [upper, lower] if _reads_by_column(*_sides(lower, gutter)) else [band]
        lowest = min(lowest, line.bottom)
    return [band]


def _reads_by_column(left: Sequence[Line], right: Sequence[Line]) -> bool:
    """Whether two sides are columns of prose, and not the columns of a table.

    A table is drawn row by row, so that the file changes sides with every row; its cells are short.
    """
    fewer = min(len(left), len(right))
    if fewer < 3 or min(_mean_length(left), _mean_length(right)) < 8:
        return False
    if _overlap(left, right) < 0.3:
        return False
    sides = [side for _, side in sorted([(one.order, 0) for one in left] + [(one.order, 1) for one in right])]
    switches = sum(a != b for a, b in pairwise(sides))
    full = min(_fullness(left), _fullness(right))
    if switches <= 1 + 0.3 * fewer:
        return full > 0.25 or _baselines_differ(left, right)
    return fewer >= 6 and full > 0.6 and min(_mean_length(left), _mean_length(right)) > 20


def _mean_length(lines: Sequence[Line]) -> float:
    return sum(len(line.text) for line in lines) / len(lines)


def _overlap(left: Sequence[Line], right: Sequence[Line]) -> float:
    """How much of the lower side stands beside the other, 0 to 1."""
    (_, a_bottom, _, a_top), (_, b_bottom, _, b_top) = box_of(left), box_of(right)
    return max(0.0, min(a_top, b_top) - max(a_bottom, b_bottom)) / min(a_top - a_bottom, b_top - b_bottom)


def _fullness(lines: Sequence[Line]) -> float:
    """Share of rows that reach over most of the side's width."""
    left, _, right, _ = box_of(lines)
    rows = rows_of(lines)
    return sum(row[-1].right - row[0].left > 0.75 * (right - left) for row in rows) / len(rows)


def _baselines_differ(left: Sequence[Line], right: Sequence[Line]) -> bool:
    heights = sorted(line.baseline for line in right)
    near = 0
    for line in left:
        index = bisect_left(heights, line.baseline - 1.0)
        near += index < len(heights) and heights[index] <= line.baseline + 1.0
    return near < 0.5 * min(len(left), len(right))
