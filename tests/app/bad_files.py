"""Files that harm careless programs, made on the spot: each with the reason that its failure must name."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

SENTENCE = "The harbour master keeps the key of the tide gate."


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def pdf(text: str = SENTENCE, *, password: str = "") -> bytes:
    """A PDF of one page; `password` is asked for on opening it."""
    canvas = pytest.importorskip("reportlab.pdfgen.canvas")
    encryption = pytest.importorskip("reportlab.lib.pdfencrypt")
    buffer = io.BytesIO()
    sheet = canvas.Canvas(buffer, encrypt=encryption.StandardEncryption(password) if password else None)
    sheet.drawString(72, 720, text)
    sheet.save()
    return buffer.getvalue()


def docx(text: str = SENTENCE) -> bytes:
    from docx import Document

    buffer = io.BytesIO()
    document = Document()
    document.add_paragraph(text)
    document.save(buffer)
    return buffer.getvalue()


def xlsx(rows: int = 40) -> bytes:
    from openpyxl import Workbook

    buffer = io.BytesIO()
    book = Workbook()
    for row in range(rows):
        book.active.append([f"row {row}", row])
    book.save(buffer)
    return buffer.getvalue()


def encrypted_office() -> bytes:
    """An OLE2 container whose directory names the stream in which Office puts what it has encrypted."""
    free, end, table = b"\xff\xff\xff\xff", b"\xfe\xff\xff\xff", b"\xfd\xff\xff\xff"
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    header[24:34] = b"\x3e\x00\x03\x00\xfe\xff\x09\x00\x06\x00"
    header[44:48] = (1).to_bytes(4, "little")  # sectors of the allocation table
    header[48:52] = (1).to_bytes(4, "little")  # where the directory begins
    header[56:60] = (4096).to_bytes(4, "little")
    header[60:64] = header[68:72] = end
    header[76:512] = (0).to_bytes(4, "little") + free * 108
    allocation = table + end + free * 126
    return (
        bytes(header)
        + allocation
        + _entry("Root Entry", 5, child=1)
        + _entry("EncryptedPackage", 2)
        + bytes(256)
    )


def _entry(name: str, kind: int, *, child: int = 0xFFFFFFFF) -> bytes:
    entry = bytearray(128)
    encoded = (name + "\0").encode("utf-16-le")
    entry[: len(encoded)] = encoded
    entry[64:66] = len(encoded).to_bytes(2, "little")
    entry[66:68] = bytes([kind, 1])
    entry[68:76] = b"\xff" * 8
    entry[76:80] = child.to_bytes(4, "little")
    entry[116:120] = b"\xfe\xff\xff\xff"
    return bytes(entry)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.txt": (lambda: b"", "empty"),
    "blank.md": (lambda: b" \n\t\r\n \n", "empty"),
    "encrypted.docx": (encrypted_office, "password-protected"),
    "locked.pdf": (lambda: pdf(password="secret"), "password-protected"),
    "cut.pdf": (lambda: pdf()[:200], "not a readable PDF"),
    "cut.docx": (lambda: half(docx()), "damaged zip container"),
    "cut.xlsx": (lambda: half(xlsx()), "damaged zip container"),
    "zip.pdf": (lambda: zipped({"a.txt": b"inside"}), "zip archive"),
    "nested.docx": (lambda: zipped({"inner.zip": zipped({"a.txt": b"inside"})}), "zip archive"),
    "bomb.docx": (
        lambda: zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": bytes(60_000_000)}),
        "times its packed size",
    ),
    "junk.md": (lambda: bytes(range(256)) * 64, "binary data"),
    "picture.txt": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(64), "PNG image"),
    "markers.html": (lambda: b"<html><body><!-- nothing to see --></body></html>", "empty"),
}
"""By name: how its bytes are made, and words that the reason must hold."""

GOOD: dict[str, Callable[[], bytes]] = {
    "good.md": lambda: f"# Harbour\n\n{SENTENCE}\n".encode(),
    "really-a-pdf.txt": lambda: pdf("The lock keeper counts the barges."),
    "really-html.docx": lambda: b"<html><body><p>The ferry leaves at seven.</p></body></html>",
    "latin.txt": lambda: "Der Hafenmeister schläft während der Ebbe, die Möwen übernehmen.".encode("cp1252"),
    "undecodable.txt": lambda: (
        b"The buoy is red.\n" + b"\xff\xfe\xfa raw bytes \x81\x8d\n" + b"The mole is long.\n" * 9
    ),
    "hidden.md": lambda: "The pilot\u200b boards\u202e at\u2066 dawn.\U000e0041\n".encode(),
    "\x1b]0;x\x07\u202egood.txt": lambda: b"The anchor is rusty.\n",
}
"""Files that look wrong and still hold a text."""


def write_files(folder: Path) -> None:
    """Write every file, good and bad."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**GOOD, **{name: make for name, (make, _) in BAD.items()}}.items():
        (folder / name).write_bytes(content())


def write_oddities(folder: Path) -> None:
    """What is no regular file: a folder and a pipe named like documents, links to nothing and in a circle."""
    (folder / "folder.pdf").mkdir(parents=True)
    (folder / "folder.pdf" / "inside.txt").write_text("The crane lifts forty tons.\n", encoding="utf-8")
    (folder / "dangling.txt").symlink_to(folder / "nowhere.txt")
    (folder / "circle").symlink_to(folder, target_is_directory=True)
    (folder / "self.txt").symlink_to(folder / "self.txt")
    os.mkfifo(folder / "pipe.txt")
