"""Pages of PDF files as pictures, and where on them a text stands.

Both are made in a child process, under the limits that parsing has: the file is as hostile as it was when it
was ingested. The child answers with a `Parsed`, whose text carries what it made.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.core.types import Block, Document, Parsed, Span

if TYPE_CHECKING:
    from ragwright.ingest.sandbox import ParseLimits, Work

Box = tuple[float, float, float, float]

MOST_PIXELS = 8_000_000
"""Of one picture; a page that would have more is drawn smaller."""

_MOST_SECONDS = 20
_MOST_MEGABYTES = 1024
_UNSEEN = frozenset("\x00\x02\ufffe-\u00ad\u2010\u2011")  # what may divide words, on the page or in the text
_COMPRESSION = 4  # of zlib: a page of text in a third of the time that the default takes, a tenth larger


class OriginalChangedError(InputError):
    """The file is no longer the one that was ingested."""


@dataclass(frozen=True, slots=True)
class PageView:
    """A page as it is shown, in PDF points.

    Attributes:
        width: Of the page, turned as it is shown.
        height: Of the page.
        boxes: Left, top, right and bottom of each line or block, from the upper left corner.
    """

    width: float
    height: float
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Original:
    """A file as it was ingested.

    Attributes:
        path: Where it lies.
        digest: SHA-256, in hex, of the bytes that were ingested.
        limits: What reading it may cost.
    """

    path: Path
    digest: str
    limits: ParseLimits


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a span that lies in one block of a page: its text, and the block's box as stored."""

    text: str
    box: Box | None


def pieces_of(document: Document, span: Span, page: int) -> tuple[Piece, ...]:
    """What of a span stands on a page, block by block; the rows of a table instead of the table."""

    def piece(block: Block) -> Piece:
        return Piece(document.text[max(span.start, block.start) : min(span.end, block.end)], block.box)

    blocks = [each for each in document.blocks if each.page == page]
    touched = [each for each in blocks if each.start < span.end and span.start < each.end]
    return tuple(piece(each) for each in touched if each.kind != "table")


def page_picture(original: Original, *, page: int, scale: float) -> bytes:
    """A page as PNG.

    Args:
        original: The PDF file.
        page: From 1.
        scale: Pixels to a point; less where the picture would have more than `MOST_PIXELS`.

    Raises:
        OriginalChangedError: The file is gone, or is another one now.
        InputError: There is no such page, or it cannot be drawn within the limits.
    """
    return base64.b64decode(_made(original, partial(_picture, page=page, scale=scale)))


def page_view(original: Original, *, page: int, pieces: Sequence[Piece]) -> PageView:
    """The size of a page, and where on it pieces of text stand.

    A piece is looked for among the characters of the page, and is shown line by line where it is found; else
    its whole block is.

    Args:
        original: The PDF file.
        page: From 1.
        pieces: Of the document's text.

    Raises:
        OriginalChangedError, InputError: As `page_picture`.
    """
    made = json.loads(_made(original, partial(_view, page=page, pieces=tuple(pieces))))
    return PageView(made["width"], made["height"], tuple((a, b, c, d) for a, b, c, d in made["boxes"]))


def _made(original: Original, work: Work) -> str:
    """What a child makes of the file, as text."""
    from ragwright.ingest.sandbox import parse_files

    limits = replace(
        original.limits,
        memory_megabytes=min(original.limits.memory_megabytes, _MOST_MEGABYTES),
        cpu_seconds=min(original.limits.cpu_seconds, _MOST_SECONDS),
        wall_seconds=min(original.limits.wall_seconds, _MOST_SECONDS),
    )
    (outcome,) = parse_files([original.path], jobs=1, limits=limits, heavy=False, work=work)
    if outcome.digest != original.digest:
        raise OriginalChangedError("the file is gone, or has changed since it was ingested; ingest it again")
    if outcome.parsed is None:
        raise InputError(f"the page cannot be shown: {outcome.failure}")
    return outcome.parsed.text


# What runs in the child


def _picture(data: bytes, name: str, *, page: int, scale: float) -> Parsed:
    from ragwright.ingest.pdf import open_pdf

    with closing(open_pdf(data)) as document, closing(_page_of(document, page)) as shown:
        points = max(1.0, shown.get_width() * shown.get_height())
        bitmap = shown.render(
            scale=min(scale, math.sqrt(MOST_PIXELS / points)), rev_byteorder=True, may_draw_forms=False
        )
        png = _png(np.ascontiguousarray(bitmap.to_numpy()))
    return Parsed(base64.b64encode(png).decode("ascii"), ())


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file (ISO/IEC 15948) of RGB pixels, shape (height, width, 3)."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # a row begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), _COMPRESSION)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _view(data: bytes, name: str, *, page: int, pieces: tuple[Piece, ...]) -> Parsed:
    from ragwright.ingest.pdf import characters, open_pdf

    with closing(open_pdf(data)) as document, closing(_page_of(document, page)) as shown:
        with closing(shown.get_textpage()) as text_page:
            found = _Letters(characters(text_page.raw))
            boxes = [box for piece in pieces for box in _boxes(piece, found, text_page)]
        bounds, turn = shown.get_bbox(), shown.get_rotation() // 90
        boxes = [_as_shown(box, bounds, turn) for box in boxes]
        made = {"width": shown.get_width(), "height": shown.get_height(), "boxes": boxes}
    return Parsed(json.dumps(made), ())


def _page_of(document: Any, page: int) -> Any:
    if not 1 <= page <= len(document):
        raise InputError(f"there is no page {page}; the file has {len(document)}")
    return document[page - 1]


class _Letters:
    """The letters of a text without what differs between a page and a canonical text, and where they stand.

    Left out are white space, hyphens and what pdfium puts in their place; ligatures are taken apart.
    """

    def __init__(self, text: str) -> None:
        pairs = [
            (letter, place)
            for place, sign in enumerate(text)
            for letter in unicodedata.normalize("NFKC", sign)
            if letter not in _UNSEEN and not letter.isspace()
        ]
        self.text = "".join(letter for letter, _ in pairs)
        self._places = [place for _, place in pairs]

    def occurrences(self, wanted: str) -> Iterator[tuple[int, int]]:
        """Where a text stands: first character and how many, in the given text."""
        letters = _Letters(wanted).text
        at = self.text.find(letters) if letters else -1
        while at >= 0:
            first, last = self._places[at], self._places[at + len(letters) - 1]
            yield first, last + 1 - first
            at = self.text.find(letters, at + 1)


def _boxes(piece: Piece, letters: _Letters, text_page: Any) -> list[Box]:
    """The lines of a piece where the page has it, of several places the one inside its block; else the block.

    Left, bottom, right, top, from the lower left corner of the page as stored.
    """
    for first, count in letters.occurrences(piece.text):
        lines: list[Box] = [text_page.get_rect(n) for n in range(text_page.count_rects(first, count))]
        if lines and all(_touch(line, piece.box) for line in lines):
            return lines
    return [piece.box] if piece.box else []


def _touch(box: Box, other: Box | None) -> bool:
    if other is None:
        return True
    return box[0] <= other[2] and other[0] <= box[2] and box[1] <= other[3] and other[1] <= box[3]


def _as_shown(box: Box, bounds: Box, turn: int) -> Box:
    """A box on the page as it is shown: clockwise by quarter turns, its visible part alone, from the top."""
    left, bottom, right, top = box
    least_x, least_y, most_x, most_y = bounds
    if turn == 0:
        shown = (left - least_x, most_y - top, right - least_x, most_y - bottom)
    elif turn == 1:
        shown = (bottom - least_y, left - least_x, top - least_y, right - least_x)
    elif turn == 2:
        shown = (most_x - right, bottom - least_y, most_x - left, top - least_y)
    else:
        shown = (most_y - top, most_x - right, most_y - bottom, most_x - left)
    rounded = tuple(round(edge, 2) for edge in shown)
    return rounded[0], rounded[1], rounded[2], rounded[3]
