"""Pages of a PDF are drawn with the place of a span on them; files are handed out as they were ingested."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pypdfium2
import pytest
from numpy.typing import NDArray
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]
from tests.app.serve.serving import Served, serving
from tests.app.serve.test_uploads import ended, send

from ragwright.app.page_image import (
    MOST_PIXELS,
    Original,
    OriginalChangedError,
    Piece,
    _as_shown,
    page_picture,
    page_view,
)
from ragwright.app.serve.viewer import PageImages
from ragwright.core.config import Config
from ragwright.core.errors import InputError
from ragwright.ingest.sandbox import ParseLimits

LINES = (
    "The sluice gate opens at dawn and is shut again when the",
    "tide has turned, which the keeper of the lock announces by",
    "ringing the bronze bell twice.",
)


def pdf(*, rotate: int = 0, crop: tuple[float, float, float, float] | None = None) -> bytes:
    """Two pages of A5; the second has a heading and a paragraph of three lines, 14 points apart."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(420, 595), invariant=True)
    canvas.setTitle("Lock rules")
    canvas.drawString(50, 500, "The first page says nothing of gates.")
    canvas.showPage()
    if rotate:
        canvas.setPageRotation(rotate)
    if crop:
        canvas.setCropBox(crop)
    canvas.setFont("Helvetica-Bold", 18)
    canvas.drawString(50, 520, "Sluices")
    canvas.setFont("Helvetica", 11)
    for number, line in enumerate(LINES):
        canvas.drawString(50, 480 - 14 * number, line)
    canvas.save()
    return target.getvalue()


@dataclass(frozen=True)
class Shown:
    """An uploaded PDF."""

    client: httpx.Client
    folder: Path
    id: str
    text: str

    def page(self, number: int, quote: str | None = None) -> dict[str, Any]:
        start = self.text.index(quote) if quote else None
        asked = {"start": start, "end": start + len(quote)} if start is not None and quote else {}
        answer = self.client.get(f"/v1/documents/{self.id}/pages/{number}", params=asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def file(self) -> Path:
        (path,) = (self.folder / "uploads").rglob("*.pdf")
        return path


@pytest.fixture(scope="module")
def server(new_config: Callable[[], Config]) -> Iterator[Served]:
    with serving(new_config()) as running:
        yield running


@pytest.fixture(scope="module")
def shown(server: Served) -> Iterator[Shown]:
    with server.client() as client:
        job = ended(client, send(client, pdf(), "lock.pdf"))
        document = client.get(f"/v1/documents/{job['document_id']}").json()
        assert (document["pages"], document["media_type"]) == (2, "application/pdf")
        yield Shown(client, server.folder, document["id"], document["text"])


def pixels(png: bytes) -> NDArray[np.uint8]:
    """A PNG of ours, unpacked by hand: shape (height, width, 3)."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    at, data = 8, b""
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        data += body if kind == b"IDAT" else b""
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def dark(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(picture.mean(axis=2) < 128)


def test_a_page_is_drawn_and_the_quote_marked_line_by_line(shown: Shown) -> None:
    page = shown.page(2, "the keeper of the lock announces by ringing the bronze bell")
    assert (page["width"], page["height"], page["pages"]) == (420, 595, 2)
    assert len(page["boxes"]) == 2, "the quote runs over two lines"
    answer = shown.client.get(page["image"] + "&scale=2")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    ink = dark(pixels(answer.content))
    assert ink.shape == (1190, 840)
    for left, top, right, bottom in page["boxes"]:
        inside = ink[int(top * 2) : int(bottom * 2) + 1, int(left * 2) : int(right * 2) + 1]
        assert inside.any()
        assert 5 < bottom - top < 16
    assert page["boxes"][0][0] > 120, "the mark begins in the middle of the line"
    assert page["boxes"][1][0] == pytest.approx(50, abs=2)


def test_a_heading_and_a_span_of_another_page(shown: Shown) -> None:
    (box,) = shown.page(2, "Sluices")["boxes"]
    assert box[1] == pytest.approx(595 - 520 - 14, abs=4)
    assert shown.page(1, "Sluices")["boxes"] == []
    assert shown.page(1)["span"] is None


@pytest.mark.parametrize(
    ("number", "status"), [("3", 404), ("0", 422), ("-1", 422), ("x", 422), ("9" * 30, 422)]
)
def test_a_page_that_is_not_there_is_refused(shown: Shown, number: str, status: int) -> None:
    for path in (
        f"/v1/documents/{shown.id}/pages/{number}",
        f"/v1/documents/{shown.id}/pages/{number}/image",
    ):
        assert shown.client.get(path).status_code == status


@pytest.mark.parametrize("scale", ["0", "-1", "nan", "inf", "5", "x"])
def test_a_scale_out_of_range_is_refused(shown: Shown, scale: str) -> None:
    answer = shown.client.get(f"/v1/documents/{shown.id}/pages/1/image", params={"scale": scale})
    assert answer.status_code == 422


def test_a_text_has_no_pages(shown: Shown) -> None:
    listed = shown.client.get("/v1/documents").json()["data"]
    text = next(each["id"] for each in listed if each["media_type"] == "text/plain")
    assert shown.client.get(f"/v1/documents/{text}/pages/1").status_code == 404
    saved = shown.client.get(f"/v1/documents/{text}/original")
    assert saved.content == (shown.folder.parent / "docs/mail/crane.txt").read_bytes()
    assert "crane.txt" in saved.headers["content-disposition"]


def test_a_file_that_has_changed_is_neither_shown_nor_handed_out(server: Served, shown: Shown) -> None:
    path, before = shown.file(), shown.file().read_bytes()
    images: PageImages = server.app.state.page_images
    images.forget(shown.id)

    def statuses() -> list[int]:
        paths = ("pages/1", "pages/1/image", "original")
        return [shown.client.get(f"/v1/documents/{shown.id}/{each}").status_code for each in paths]

    try:
        path.write_bytes(before + b"\n")
        assert statuses() == [409, 409, 409]
        path.unlink()
        assert statuses() == [409, 409, 409]
        os.mkfifo(path)
        assert statuses() == [409, 409, 409]
        path.unlink()
        path.mkdir()
        assert statuses() == [409, 409, 409]
        path.rmdir()
        path.symlink_to("/etc/passwd")
        assert statuses() == [409, 409, 409]
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(before)
    assert statuses() == [200, 200, 200]


def test_pictures_that_were_drawn_are_kept_within_bounds(tmp_path: Path) -> None:
    original = original_of(tmp_path, pdf())
    images = PageImages(most=40_000)
    first = images.get("d", original, page=1, scale=1.0)
    original.path.unlink()
    assert images.get("d", original, page=1, scale=1.0) is first
    images.forget("d")
    with pytest.raises(OriginalChangedError):
        images.get("d", original, page=1, scale=1.0)


def original_of(folder: Path, data: bytes, **limits: int) -> Original:
    import hashlib

    path = folder / "file.pdf"
    path.write_bytes(data)
    return Original(path, hashlib.sha256(data).hexdigest(), ParseLimits(**limits))


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [None, (40, 100, 400, 390)])
def test_the_mark_lies_on_the_words_however_the_page_is_turned_and_cut(
    tmp_path: Path, rotate: int, crop: tuple[float, float, float, float] | None
) -> None:
    """The only ink of a page with one word is inside its box."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(420, 595), invariant=True)
    if rotate:
        canvas.setPageRotation(rotate)
    if crop:
        canvas.setCropBox(crop)
    canvas.drawString(60, 300, "sluice")
    canvas.save()
    original = original_of(tmp_path, target.getvalue())
    view = page_view(original, page=1, pieces=[Piece("sluice", None)])
    ink = dark(pixels(page_picture(original, page=1, scale=2)))
    assert ink.shape == pytest.approx((view.height * 2, view.width * 2), abs=1)
    ((left, top, right, bottom),) = view.boxes
    rows, columns = np.nonzero(ink)
    assert left * 2 - 2 <= columns.min() <= columns.max() <= right * 2 + 2
    assert top * 2 - 2 <= rows.min() <= rows.max() <= bottom * 2 + 2


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_boxes_are_placed_as_pdfium_places_them(turn: int) -> None:
    document = pypdfium2.PdfDocument.new()
    page = document.new_page(300, 200)
    page.set_cropbox(20, 10, 280, 190)
    page.set_rotation(90 * turn)
    width, height = page.get_size()
    bitmap = page.render(scale=1)
    shown = _as_shown((50, 60, 90, 80), page.get_bbox(), turn)
    corners = [bitmap.get_posconv(page).to_bitmap(x, y) for x, y in ((50, 60), (90, 80))]
    (a, b), (c, d) = corners
    assert shown == pytest.approx((min(a, c), min(b, d), max(a, c), max(b, d)), abs=1)
    assert 0 <= shown[0] < shown[2] <= width
    assert 0 <= shown[1] < shown[3] <= height


def test_words_that_are_divided_or_set_as_ligatures_are_marked(tmp_path: Path) -> None:
    original = original_of(tmp_path, pdf())
    text = "when the tide has turned, which the keeper of the lock announces by ring-\ning the bronze"
    assert len(page_view(original, page=2, pieces=[Piece(text, None)]).boxes) == 3


def test_what_the_page_does_not_say_is_marked_by_its_block(tmp_path: Path) -> None:
    original = original_of(tmp_path, pdf())
    block = (50.0, 440.0, 350.0, 490.0)
    view = page_view(original, page=2, pieces=[Piece("a | b", block), Piece("nowhere", None)])
    assert view.boxes == ((50.0, 105.0, 350.0, 155.0),)


def test_a_huge_page_is_drawn_smaller(tmp_path: Path) -> None:
    document = pypdfium2.PdfDocument.new()
    document.new_page(14_400, 14_400)
    data = io.BytesIO()
    document.save(data)
    height, width, _ = pixels(page_picture(original_of(tmp_path, data.getvalue()), page=1, scale=4)).shape
    assert 0.9 * MOST_PIXELS < height * width < 1.1 * MOST_PIXELS


def test_a_file_that_costs_too_much_harms_only_itself(tmp_path: Path) -> None:
    original = original_of(tmp_path, pdf(), file_bytes=100)
    with pytest.raises(InputError):
        page_picture(original, page=1, scale=1)
    broken = original_of(tmp_path, b"%PDF-1.4 broken")
    with pytest.raises(InputError, match="not a readable PDF"):
        page_picture(broken, page=1, scale=1)
