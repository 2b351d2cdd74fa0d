"""The content says what a file is; the name only parts kinds of text."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.ingest import sniff
from ragwright.ingest.sniff import SUPPORTED, media_type

DOCUMENTS = Path(__file__).parents[3] / "shared" / "data" / "documents"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def _zip(*members: str, **contents: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member in members:
            archive.writestr(member, contents.get(member, ""))
        for member in contents.keys() - set(members):
            archive.writestr(member, contents[member])
    return buffer.getvalue()


CONTENT_TYPES = "[Content_Types].xml"


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "a.txt", sniff.PDF),
        (b"junk\0\x01" + b"%PDF-1.4\n\0\x02", "a", sniff.PDF),
        (_zip(CONTENT_TYPES, "word/document.xml"), "a.pdf", sniff.DOCX),
        (_zip(CONTENT_TYPES, "ppt/presentation.xml"), "a.docx", sniff.PPTX),
        (_zip(CONTENT_TYPES, "xl/workbook.xml"), "a", sniff.XLSX),
        (_zip(mimetype="application/epub+zip"), "a.zip", sniff.EPUB),
        (_zip("META-INF/container.xml"), "a.zip", sniff.EPUB),
        (_zip(mimetype="application/vnd.oasis.opendocument.text"), "a", sniff.ODT),
        (OLE + "__properties_version1.0".encode("utf-16-le"), "a", sniff.MSG),
        (b"{\\rtf1 text}", "a.txt", sniff.RTF),
        (b"<!DOCTYPE html><p>x", "a.txt", sniff.HTML),
        (b"\n<!-- c -->\n<html><p>x", "a", sniff.HTML),
        ("\ufeff<html><p>x</p></html>".encode("utf-16-le"), "a", sniff.HTML),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html>\n<html>', "a.xml", sniff.HTML),
        (b'<?xml version="1.0"?><facts/>', "a.txt", sniff.XML),
        (b"<facts/>", "a.xml", sniff.XML),
        (b"<p>fragment", "a.htm", sniff.HTML),
        (b"<p align='center'>Read me</p>\n\n# Title", "a.md", sniff.MARKDOWN),
        (b"Received: by x\nFrom: a@b\nSubject: c\n\nbody", "a", sniff.EML),
        (b"From: a@b\nTo: c@d\nSubject: e\n\nbody", "a.eml", sniff.EML),
        (b"From: Ann\nTo: Bob\nSubject: a memo\n\nbody", "memo.txt", sniff.PLAIN),
        (b"a,b\n1,2\n", "a.csv", sniff.CSV),
        (b"a;b\n1;2\n", "A.CSV", sniff.CSV),
        (b"a\tb\n", "a.tsv", sniff.TSV),
        (b"a,b\n1,2\n", "a.txt", sniff.PLAIN),
        (b"no delimiters at all", "a.csv", sniff.PLAIN),
        (b"# Title", "a.md", sniff.MARKDOWN),
        (b"Title\n=====", "a.rst", sniff.RST),
        (b"* Title", "a.org", sniff.ORG),
        (b"ID3 tags are at the start of an MP3 file. BM and MZ are others.", "a.txt", sniff.PLAIN),
        (b"text", "a.pdf", sniff.PLAIN),
        (b"text", "", sniff.PLAIN),
        (b"", "a.docx", sniff.PLAIN),
    ],
)
def test_the_type_is_found(data: bytes, name: str, expected: str) -> None:
    """By content first, whatever the name says."""
    assert media_type(data, name) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n", "is a PNG image, which is not supported"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "is a JPEG image"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "is a WAV recording"),
        (b"\x7fELF\x02", "is a program"),
        (b"MZ\x90\0\x03\0", "is a Windows program"),
        (b"ID3\x04\0\0\0\x01", "is an MP3 recording"),
        (b"\x1f\x8b\x08", "is a gzip archive"),
        (bytes(range(200)), "is binary data of an unknown kind"),
        (_zip("a.txt"), "is a zip archive"),
        (b"PK\x03\x04 and nothing more", "is a damaged zip container"),
        (_zip(CONTENT_TYPES, "xl/workbook.bin"), r"is a binary Excel workbook \(.xlsb\)"),
        (_zip(mimetype="application/vnd.oasis.opendocument.spreadsheet"), "is an ODS spreadsheet"),
        (OLE, "is an OLE2 container of an unknown kind"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "is password-protected"),
        (OLE + "WordDocument".encode("utf-16-le"), r"\(.doc\); convert it to .docx"),
        (OLE + "Workbook".encode("utf-16-le"), r"\(.xls\); convert it to .xlsx"),
        (OLE + "PowerPoint Document".encode("utf-16-le"), r"\(.ppt\); convert it to .pptx"),
    ],
)
def test_what_is_not_supported_is_named(data: bytes, reason: str) -> None:
    """With what to do about it."""
    with pytest.raises(InputError, match=reason):
        media_type(data, "a.txt")


def test_an_encrypted_opendocument_text_is_recognised() -> None:
    """Its manifest says so."""
    contents = {
        "mimetype": "application/vnd.oasis.opendocument.text",
        "META-INF/manifest.xml": "<manifest:encryption-data/>",
    }
    with pytest.raises(InputError, match="password-protected"):
        media_type(_zip(**contents), "a.odt")


@given(
    st.binary(max_size=300) | st.sampled_from([b"PK\x03\x04", OLE[:8]]).map(lambda head: head + b"\1" * 99)
)
def test_any_bytes_give_a_type_or_a_reason(data: bytes) -> None:
    """Nothing else is raised."""
    try:
        assert media_type(data, "a.txt") in SUPPORTED.values()
    except InputError as error:
        assert str(error)


@pytest.mark.slow
@pytest.mark.skipif(not DOCUMENTS.exists(), reason="the shared documents are not here")
def test_real_files_are_what_their_names_say() -> None:
    """Forty files of all kinds, their names withheld where content suffices."""
    for path in DOCUMENTS.iterdir():
        expected = sniff.PLAIN if path.stat().st_size == 0 else SUPPORTED[path.suffix]
        assert media_type(path.read_bytes(), path.name) == expected, path.name
