"""Which lines of a PDF are headings, and of which level: told by bookmarks, sizes, weights and numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ragwright.ingest.pdf_layout import Line, box_of
from ragwright.ingest.pdf_paragraphs import BULLET, CAPTION, LEADERS
from ragwright.ingest.pdf_table import Table

_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2})*)\.?\s+\S")
_NOT_WORDS = re.compile(r"[\W_]+")
_DEEPEST = 6
_LONGEST_RUN = 3  # headings without text between them; more lines in large type are a display
_LONGEST_SENTENCE = 60  # characters; a longer one with a full stop is a quotation or a summary in large type
_NAME = re.compile(
    r"(?:[^\W\d_a-z][\w.'’-]*\s+){1,3}[^\W\d_a-z][\w.'’-]+"
)  # of a person, as author lines have it
_AUTHOR_MARK = re.compile(r"[*∗†‡§¶\d]+$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A bookmark: its title, depth from 1, and page from 1 (None when it leads nowhere)."""

    title: str
    level: int
    page: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that make one block, or a table."""

    page: int
    lines: tuple[Line, ...] = ()
    table: Table | None = None
    furniture: bool = False

    @property
    def text(self) -> str:
        """Its lines with spaces between them; "" for a table."""
        return " ".join(line.text for line in self.lines)

    @property
    def style(self) -> tuple[float, bool]:
        """Font size to half a point, and whether all of it is bold."""
        main = max(self.lines, key=lambda line: len(line.text))
        return round(2 * main.size) / 2, all(line.bold for line in self.lines)


def _normal(text: str) -> str:
    return _NOT_WORDS.sub(" ", text.casefold()).strip()


class Headings:
    """Tells which groups are headings, and of which level, from the whole document."""

    def __init__(self, groups: Sequence[Group], outline: Sequence[Entry]) -> None:
        self._body, self._body_bold = _body_style(groups)
        self._marks = _bookmarks(outline)
        standing = {id(group) for group in groups if self._may_head(group)}
        self._display = frozenset(_display(groups, standing))
        heads = [group for group in groups if group.lines and not group.furniture and self._stands_out(group)]
        ranked = {group.style for group in heads if id(group) not in self._display}
        self._levels = _ranked(ranked) | self._voted(groups)

    def level(self, group: Group) -> int | None:
        """From 1 for the highest; None when the group is no heading."""
        marked = self._marked(group)
        if marked is not None:
            return marked
        if id(group) in self._display or not self._stands_out(group):
            return None
        rank = self._levels.get(group.style, 3)
        numbered = _NUMBERED.match(group.lines[0].text)
        return rank if numbered is None else min(max(rank, numbered.group(1).count(".") + 1), _DEEPEST)

    def _may_head(self, group: Group) -> bool:
        """Whether a group is set like a heading and no bookmark says so already."""
        plain = group.table is None and not group.furniture
        return plain and self._marked(group) is None and self._stands_out(group)

    def _stands_out(self, group: Group) -> bool:
        text = group.text
        if sum(map(str.isalpha, text)) < 2 or text[0] in ",;)" or len(group.lines) > 4 or len(text) > 200:
            return False
        if BULLET.match(text) or LEADERS.search(text) or CAPTION.match(text):
            return False
        if text[-1] == "." and len(text) > _LONGEST_SENTENCE:
            return False
        if "@" in text or (group.page == 1 and _names_authors(text)):
            return False
        size, bold = group.style
        if size > 1.12 * self._body:
            return True
        short = len(group.lines) <= 2 and len(text) <= 120 and text[-1] not in ".,;"
        if bold and not self._body_bold and size >= 0.95 * self._body:
            return short and text[0] not in "(["
        numbered = _NUMBERED.match(text)
        return bool(
            numbered and "." in numbered.group(1) and short and len(group.lines) == 1
            and len(text) <= 80 and size >= self._body and text[numbered.end() - 1].isupper()
        )  # fmt: skip

    def _marked(self, group: Group) -> int | None:
        if len(group.lines) > 4 or not self._marks:
            return None
        return self._marks.get((group.page, _normal(group.text)))

    def _voted(self, groups: Sequence[Group]) -> dict[tuple[float, bool], int]:
        """The most frequent bookmark level of each style."""
        votes: dict[tuple[float, bool], Counter[int]] = {}
        for group in groups:
            level = self._marked(group) if group.lines and not group.furniture else None
            if level is not None:
                votes.setdefault(group.style, Counter())[level] += 1
        return {style: counts.most_common(1)[0][0] for style, counts in votes.items()}


def _display(groups: Sequence[Group], standing: set[int]) -> Iterator[int]:
    """The ids of groups that stand out without heading anything.

    Args:
        groups: Of the whole document, in reading order.
        standing: The ids of those that stand out.
    """
    flow = [group for group in groups if not group.furniture]
    last_page = flow[-1].page if flow else 0
    for page, members in groupby(flow, key=lambda group: group.page):
        on_page = list(members)
        start = 0
        for heads, run in groupby(on_page, key=lambda group: id(group) in standing):
            titles = list(run)
            start += len(titles)
            if not heads:
                continue
            following = on_page[start] if start < len(on_page) else None
            ends = following is None and page == last_page > 1
            if len(titles) > _LONGEST_RUN and not _all_numbered(titles):
                yield from (id(group) for group in titles if not _is_cover_title(group, titles))
            elif ends or (following is not None and _stands_beside(titles[-1], following)):
                yield id(titles[-1])


def _all_numbered(titles: Sequence[Group]) -> bool:
    return all(_NUMBERED.match(group.text) for group in titles)


def _is_cover_title(group: Group, display: Sequence[Group]) -> bool:
    """Whether a group is the one in the largest type on the first page."""
    return group.page == 1 and all(group is other or group.style[0] > other.style[0] for other in display)


def _stands_beside(title: Group, following: Group) -> bool:
    """Whether what follows begins higher up and beside: in the next column, which the title does not head."""
    left, _, right, top = box_of(title.lines)
    box = following.table.box if following.table is not None else box_of(following.lines)
    return box[3] > top and not (box[0] < right and left < box[2])


def _names_authors(text: str) -> bool:
    """Whether a line is a list of persons: three or more names, or two with marks of footnotes.

    >>> _names_authors("Ada King, Alan M. Turing and Grace Hopper"), _names_authors("Torque, Wear, Tension")
    (True, False)
    """
    parts = [part.strip() for part in re.split(r",|;|&|\band\b|\bund\b|\bet\b", text) if part.strip()]
    names = [_AUTHOR_MARK.sub("", part).strip() for part in parts]
    marked = any(_AUTHOR_MARK.search(part) for part in parts)
    return len(names) >= (2 if marked else 3) and all(_NAME.fullmatch(name) for name in names)


def _body_style(groups: Sequence[Group]) -> tuple[float, bool]:
    """Size and weight in which most characters are set; 10 points when there is no text."""
    counts: Counter[tuple[float, bool]] = Counter()
    for group in groups:
        for line in group.lines:
            counts[round(2 * line.size) / 2, line.bold] += len(line.text)
    return counts.most_common(1)[0][0] if counts else (10.0, False)


def _ranked(styles: set[tuple[float, bool]]) -> dict[tuple[float, bool], int]:
    """Levels 1 to 3 by size; bold before plain of the same size."""
    ordered = sorted(styles, reverse=True)
    return {style: min(rank, 3) for rank, style in enumerate(ordered, start=1)}


def _bookmarks(outline: Sequence[Entry]) -> Mapping[tuple[int, str], int]:
    """Levels by page and title, with and without the title's number."""
    marks: dict[tuple[int, str], int] = {}
    for entry in outline:
        title = _normal(entry.title)
        if entry.page is None or not title:
            continue
        for name in (title, re.sub(r"^(?:\d+ )+", "", title)):
            marks.setdefault((entry.page, name), min(entry.level, _DEEPEST))
    return marks
