"""One function parses every kind of file, or says why not."""

from __future__ import annotations

import io
from pathlib import Path

import pypdfium2
import pytest

from ragwright.core.errors import InputError
from ragwright.ingest import parse as module
from ragwright.ingest.parse import HEAVY_SUFFIXES, parse
from ragwright.ingest.sniff import SUPPORTED

DOCUMENTS = Path(__file__).parents[3] / "shared" / "data" / "documents"


@pytest.mark.parametrize(
    ("data", "name", "kind", "text"),
    [
        (b"Plain words.", "a.txt", "text/plain", "Plain words."),
        (b"# Words", "a.md", "text/markdown", "# Words"),
        (b"<html><body><p>Web words.</p></body></html>", "a", "text/html", "Web words."),
    ],
)
def test_a_file_goes_to_the_parser_of_its_content(data: bytes, name: str, kind: str, text: str) -> None:
    """The media type is the one that was found."""
    parsed = parse(data, name)
    assert (parsed.media_type, parsed.text.strip()) == (kind, text)


@pytest.mark.parametrize(
    ("data", "name"),
    [(b"", "a.txt"), (b" \n\t\n", "a.md"), ("\u200b\n".encode(), "a"), (b"---\ntitle: x\n---\n", "a.md")],
)
def test_a_file_without_visible_text_is_refused(data: bytes, name: str) -> None:
    """Empty, blank, invisible, or nothing but front matter."""
    with pytest.raises(InputError, match="empty: no text found"):
        parse(data, name)


def test_a_pdf_without_text_is_said_to_need_character_recognition() -> None:
    """A page without a text layer is most likely a scan."""
    document = pypdfium2.PdfDocument.new()
    document.new_page(200, 200)
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    with pytest.raises(InputError, match="need OCR"):
        parse(buffer.getvalue(), "blank.pdf")


def test_every_supported_suffix_has_a_parser() -> None:
    """And the heavy ones are those that unstructured or pandoc read."""
    assert set(SUPPORTED.values()) == set(module._PARSERS)
    assert {".docx", ".html", ".epub"} <= HEAVY_SUFFIXES
    assert not HEAVY_SUFFIXES & {".pdf", ".txt", ".md"}


@pytest.mark.slow
@pytest.mark.skipif(not DOCUMENTS.exists(), reason="the shared documents are not here")
def test_real_files_give_ordered_blocks_inside_their_text() -> None:
    """Forty files of all kinds; three of them have no text that can be read."""
    failed = set()
    for path in sorted(DOCUMENTS.iterdir()):
        try:
            parsed = parse(path.read_bytes(), path.name)
        except InputError:
            failed.add(path.name)
            continue
        end = 0
        for block in parsed.blocks:
            assert 0 <= block.start < block.end <= len(parsed.text), path.name
            if block.kind not in ("table_header", "table_row"):
                assert block.start >= end, path.name
                end = block.end
    assert failed == {"empty.txt", "password.pdf", "loremipsum-flat.pdf"}
