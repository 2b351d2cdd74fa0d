"""PDF files: the words, boxes and fonts that pdfium finds, made into blocks."""

from __future__ import annotations

import ctypes
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import median
from typing import Any

from ragwright.core.errors import InputError
from ragwright.core.types import Parsed
from ragwright.ingest.canonical import TextBuilder
from ragwright.ingest.pdf_blocks import Piece, blocks_of
from ragwright.ingest.pdf_facts import metadata_of, sensible_title
from ragwright.ingest.pdf_layout import Box, Line, Page, box_of
from ragwright.ingest.pdf_titles import Entry

_DIVISION = "\x02\ufffe"  # what pdfium writes for a hyphen that divides a word over two lines
_WORD = re.compile(rf"[^\s{_DIVISION}]+")
_LIGATURES = str.maketrans({
    "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st",
    "\ufb06": "st", "\x00": None,
})  # fmt: skip
_BOLD = re.compile(rb"bold|black|heavy|demi|medi\b|cmbx|sfbx|-bd", re.IGNORECASE)
_FORCE_BOLD = 1 << 18  # font descriptor flag, ISO 32000-1, table 123
_MARGIN = 0.12  # share of the page width where text turned on its side is a stamp, not a paragraph
_DEEPEST_OUTLINE = 15
_WIDE_GAP = 1.0  # in font sizes; a wider one parts columns or cells

_Word = tuple[int, int, float, float]  # first character, one past the last, left, right


@dataclass(frozen=True, slots=True)
class _View:
    """A page as read.

    Attributes:
        page: Turned so that most of its text is upright.
        turn: Quarter turns, counter-clockwise, of that text on the page as stored.
        bounds: Of the page as stored.
        aside: Lines at another angle, with their own turn and in a frame turned by it.
    """

    page: Page
    turn: int
    bounds: Box
    aside: tuple[tuple[Line, int], ...]


def parse_pdf(data: bytes) -> Parsed:
    """Read a PDF into a canonical text with headings, paragraphs, lists, tables and running headers.

    Args:
        data: The file's bytes.

    Returns:
        Blocks in reading order, each with page and box. The text is empty when the pages hold only images.
        Metadata has `pages`, and where known `author`, `subject`, `date` (ISO 8601) and `unreadable_pages`.

    Raises:
        InputError: The file is protected by a password, or is no readable PDF.
    """
    with closing(open_pdf(data)) as document:
        count = len(document)
        views = [view for index in range(count) if (view := _read_page(document, index)) is not None]
        outline = _outline(document)
        facts: dict[str, str] = document.get_metadata_dict(skip_empty=True)
    pieces = blocks_of([view.page for view in views], outline)
    builder = TextBuilder()
    _build(builder, views, pieces)
    title = sensible_title(facts.get("Title", "")) or sensible_title(_largest_heading(pieces))
    metadata = metadata_of(facts, pages=count, unreadable=count - len(views))
    return builder.build(media_type="application/pdf", title=title, metadata=metadata)


def open_pdf(data: bytes) -> Any:
    """The `pypdfium2.PdfDocument` of a file; close it.

    Raises:
        InputError: The file is protected by a password, or is no readable PDF.
    """
    import pypdfium2
    import pypdfium2.raw as pdfium

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            raise InputError("is password-protected; save it without a password") from None
        raise InputError(f"is not a readable PDF ({_reason(error)}); export or download it again") from None


def _reason(error: Exception) -> str:
    """What pdfium says, without the words of the library around it."""
    said = re.search(r"\(PDFium: (.+?)\)", str(error))
    return (said[1] if said else str(error)).rstrip(".").lower()


def _outline(document: Any) -> list[Entry]:
    entries = []
    for bookmark in document.get_toc(max_depth=_DEEPEST_OUTLINE):
        target = bookmark.get_dest()
        index = None if target is None else target.get_index()
        entries.append(Entry(bookmark.get_title(), bookmark.level + 1, None if index is None else index + 1))
    return entries


def _read_page(document: Any, index: int) -> _View | None:
    """The page with that index, or None when it cannot be read."""
    import pypdfium2

    try:
        with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
            bounds: Box = page.get_bbox()
            lines = list(_Reader(text_page).lines())
    except pypdfium2.PdfiumError:
        return None
    return _view(index + 1, bounds, lines)


def _view(number: int, bounds: Box, lines: Sequence[tuple[Line, int]]) -> _View:
    """Keep what lies on the visible page, and turn it upright."""
    weights = [0, 0, 0, 0]
    for line, turn in lines:
        weights[turn] += len(line.text)
    main = weights.index(max(weights))
    visible = [(line, turn) for line, turn in lines if _inside(_turned_back(box_of([line]), turn), bounds)]
    upright = tuple(line for line, turn in visible if turn == main)
    aside = tuple((line, turn) for line, turn in visible if turn != main)
    return _View(Page(number, _turned(bounds, main), upright), main, bounds, aside)


def _inside(box: Box, bounds: Box) -> bool:
    across, up = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return bounds[0] <= across <= bounds[2] and bounds[1] <= up <= bounds[3]


def _turned(box: Box, turn: int) -> Box:
    """The box in the frame in which text at `turn` quarter turns is upright."""
    left, bottom, right, top = box
    for _ in range(turn):
        left, bottom, right, top = bottom, -right, top, -left
    return left, bottom, right, top


def _turned_back(box: Box, turn: int) -> Box:
    return _turned(box, -turn % 4)


def _build(builder: TextBuilder, views: Sequence[_View], pieces: Sequence[Piece]) -> None:
    """Add the pieces page by page; what stands at another angle comes last on its page."""
    owned: defaultdict[int, list[Piece]] = defaultdict(list)
    for piece in pieces:
        owned[piece.page].append(piece)
    for view in views:
        for piece in owned[view.page.number]:
            _add(builder, piece, view)
        for line, turn in view.aside:
            _add_aside(builder, line, turn=turn, view=view)


def _add(builder: TextBuilder, piece: Piece, view: _View) -> None:
    box = _rounded(_turned_back(piece.box, view.turn))
    if piece.table is not None:
        rows, header_rows = piece.table.rows, piece.table.header_rows
        builder.add_table(rows, header_rows=header_rows, page=piece.page, box=box)
    else:
        builder.add(piece.kind, piece.text, page=piece.page, level=piece.level, box=box)


def _add_aside(builder: TextBuilder, line: Line, *, turn: int, view: _View) -> None:
    box = _turned_back(box_of([line]), turn)
    left, _, right, _ = view.bounds
    margin = _MARGIN * (right - left)
    stamp = box[2] < left + margin or box[0] > right - margin
    builder.add("furniture" if stamp else "paragraph", line.text, page=view.page.number, box=_rounded(box))


def _rounded(box: Box) -> Box:
    left, bottom, right, top = (round(edge, 1) for edge in box)
    return left, bottom, right, top


def _largest_heading(pieces: Sequence[Piece]) -> str:
    """The highest heading of the first page, or ""; of equals, the first."""
    titles = [piece for piece in pieces if piece.page == 1 and piece.kind == "title"]
    return max(titles, key=lambda piece: piece.size).text if titles else ""


def characters(text_page: Any) -> str:
    """The text of a raw text page, one Python character for each of pdfium's, so that indices agree."""
    import pypdfium2.raw as pdfium

    count = pdfium.FPDFText_CountChars(text_page)
    if count <= 0:
        return ""
    buffer = (ctypes.c_ushort * (count + 1))()
    pdfium.FPDFText_GetText(text_page, 0, count, buffer)
    text = bytes(buffer)[: 2 * count].decode("utf-16-le", "replace")
    if len(text) == count and "\x00" not in text:
        return text
    codes = (pdfium.FPDFText_GetUnicode(text_page, index) for index in range(count))
    return "".join(chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else "\x00" for code in codes)


class _Reader:
    """Words of one text page. Calls into pdfium cost about a microsecond, so there are few per word."""

    def __init__(self, text_page: Any) -> None:
        import pypdfium2.raw as pdfium

        self._pdfium: Any = pdfium
        self._page = text_page.raw
        self._edges = [ctypes.c_double() for _ in range(4)]  # left, right, bottom, top
        self._origin = [ctypes.c_double() for _ in range(2)]
        self._matrix = pdfium.FS_MATRIX()
        self._flags = ctypes.c_int()
        self._font = ctypes.create_string_buffer(128)

    def lines(self) -> Iterator[tuple[Line, int]]:
        """Runs in file order, in their own upright frame, each with its quarter turns."""
        text = characters(self._page)
        words: list[tuple[int, int]] = []
        end = 0
        for match in _WORD.finditer(text):
            between = text[end : match.start()]
            if words and ("\n" in between or any(mark in between for mark in _DIVISION)):
                yield from self._runs(text, words, divided=between[0] in _DIVISION)
                words = []
            words.append(match.span())
            end = match.end()
        if words:
            yield from self._runs(text, words, divided=text[end : end + 1] in tuple(_DIVISION))

    def _runs(
        self, text: str, words: Sequence[tuple[int, int]], *, divided: bool
    ) -> Iterator[tuple[Line, int]]:
        """Part the words of one of pdfium's lines at wide gaps."""
        size, _, _, turn = self._style(max(words, key=lambda word: word[1] - word[0])[0])
        run: list[_Word] = []
        for start, end in words:
            left, right = self._extent(start, end, turn)
            if run and not -0.5 * size < left - run[-1][3] < _WIDE_GAP * size:
                yield self._line(text, run)
                run = []
            run.append((start, end, left, right))
        yield self._line(text, run, ending="-" if divided else "")

    def _line(self, text: str, run: Sequence[_Word], ending: str = "") -> tuple[Line, int]:
        longest = max(run, key=lambda word: word[1] - word[0])
        # The middle of a word, because a footnote mark may begin or end it.
        size, baseline, bold, turn = self._style((longest[0] + longest[1]) // 2)
        others = (self._size(run[len(run) // 2][0]), self._size(run[-1][0]))
        size = median((size, *others))
        bold = bold and self._is_bold(run[0][0]) and self._is_bold(run[-1][0])
        content = " ".join(text[start:end] for start, end, _, _ in run).translate(_LIGATURES) + ending
        left, right = min(word[2] for word in run), max(word[3] for word in run)
        return Line(content, left, right, baseline, size, bold, run[0][0]), turn

    def _style(self, index: int) -> tuple[float, float, bool, int]:
        """Size as drawn, baseline in the upright frame, whether bold, and quarter turns."""
        size, matrix = self._size(index), self._matrix
        turn = round(math.atan2(matrix.b, matrix.a) / (math.pi / 2)) % 4
        across, up = self._origin
        self._pdfium.FPDFText_GetCharOrigin(self._page, index, ctypes.byref(across), ctypes.byref(up))
        point = (across.value, up.value, across.value, up.value)
        return size, _turned(point, turn)[1], self._is_bold(index), turn

    def _size(self, index: int) -> float:
        """Font size as drawn; leaves the character's matrix behind."""
        matrix = self._matrix
        if not self._pdfium.FPDFText_GetMatrix(self._page, index, ctypes.byref(matrix)):
            matrix.a, matrix.b, matrix.c, matrix.d = 1.0, 0.0, 0.0, 1.0
        nominal = self._pdfium.FPDFText_GetFontSize(self._page, index)
        return max(float(nominal) * (math.hypot(matrix.c, matrix.d) or 1.0), 1.0)

    def _is_bold(self, index: int) -> bool:
        font = self._font
        self._pdfium.FPDFText_GetFontInfo(self._page, index, font, len(font), ctypes.byref(self._flags))
        return bool(self._flags.value & _FORCE_BOLD or _BOLD.search(font.value))

    def _extent(self, start: int, end: int, turn: int) -> tuple[float, float]:
        """Left and right of a word, in its upright frame."""
        left, _, right, _ = first = self._box(start)
        if end - start > 1:
            last = self._box(end - 1)
            right = max(right, last[2])
            first = (min(left, last[0]), min(first[1], last[1]), right, max(first[3], last[3]))
        turned = _turned(first, turn) if turn else first
        return turned[0], turned[2]

    def _box(self, index: int) -> Box:
        left, right, bottom, top = self._edges
        self._pdfium.FPDFText_GetCharBox(self._page, index, left, right, bottom, top)
        return left.value, bottom.value, right.value, top.value
