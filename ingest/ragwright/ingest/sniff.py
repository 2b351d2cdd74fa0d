"""What a file is, told by its content; its name only parts kinds of text that look alike."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from pathlib import PurePath

from ragwright.core.errors import InputError
from ragwright.ingest.plain import decode

PDF = "application/pdf"
PLAIN = "text/plain"
MARKDOWN = "text/markdown"
HTML = "text/html"
XML = "application/xml"
CSV = "text/csv"
TSV = "text/tab-separated-values"
RST = "text/x-rst"
ORG = "text/x-org"
RTF = "application/rtf"
EML = "message/rfc822"
MSG = "application/vnd.ms-outlook"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
EPUB = "application/epub+zip"

SUPPORTED = {
    ".pdf": PDF,
    ".txt": PLAIN,
    ".text": PLAIN,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".xml": XML,
    ".csv": CSV,
    ".tsv": TSV,
    ".rst": RST,
    ".org": ORG,
    ".rtf": RTF,
    ".eml": EML,
    ".msg": MSG,
    ".docx": DOCX,
    ".docm": DOCX,
    ".pptx": PPTX,
    ".xlsx": XLSX,
    ".odt": ODT,
    ".epub": EPUB,
}
"""Suffix in lower case to media type. A file found in a folder is tried when its suffix stands here."""

_HEAD_BYTES = 8192
_PDF_WITHIN = 1024  # readers accept this much in front of a PDF's header
_SIGNATURES = (
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (8, b"WEBP", "a WebP image"),
    (8, b"WAVE", "a WAV recording"),
    (8, b"AVI ", "an AVI video"),
    (4, b"ftyp", "an MP4 video or HEIF image"),
    (0, b"\x1aE\xdf\xa3", "a Matroska video"),
    (0, b"ID3", "an MP3 recording"),
    (0, b"OggS", "an Ogg recording"),
    (0, b"fLaC", "a FLAC recording"),
    (0, b"\x7fELF", "a program"),
    (0, b"\xcf\xfa\xed\xfe", "a program"),
    (0, b"\xca\xfe\xba\xbe", "a program"),
    (0, b"\0asm", "a program"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a", "a RAR archive"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"%!PS-Adobe", "a PostScript file"),
    (0, b"MZ", "a Windows program"),
    (0, b"BM", "a BMP image"),
)

_OFFICE_FOLDERS = (("word/", DOCX), ("ppt/", PPTX), ("xl/", XLSX))
_OTHER_DOCUMENTS = {
    "application/vnd.oasis.opendocument.spreadsheet": "an ODS spreadsheet",
    "application/vnd.oasis.opendocument.presentation": "an ODP presentation",
    "application/vnd.oasis.opendocument.graphics": "an ODG drawing",
}
# A message comes first: what is attached to it lies in the same container.
_OLE_STREAMS = (
    ("__properties_version1.0", MSG, ""),
    ("EncryptedPackage", "", "password-protected"),
    ("WordDocument", "", "is a Word 97-2003 document (.doc); convert it to .docx"),
    ("Workbook", "", "is an Excel 97-2003 workbook (.xls); convert it to .xlsx"),
    ("PowerPoint Document", "", "is a PowerPoint 97-2003 file (.ppt); convert it to .pptx"),
)
_PROTECTED = "is password-protected; save it without a password and ingest it again"

_PROLOGUE = re.compile(r"\s*(?:<\?xml[^>]*>\s*|<!--(?:(?!-->).)*-->\s*)*", re.DOTALL)
_HTML_START = re.compile(r"<(?:!doctype\s+html|html|head|body|title|meta)\b", re.IGNORECASE)
_HEADER = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9-]*):(?:\s|$)")
_MAIL_HEADERS = frozenset(
    ("from", "to", "subject", "date", "received", "return-path", "message-id", "mime-version", "delivered-to",
     "content-type", "reply-to", "cc")
)  # fmt: skip
_MACHINE_HEADERS = frozenset(("received", "return-path", "message-id", "mime-version", "delivered-to"))
_DELIMITERS = {CSV: (",", ";", "\t", "|"), TSV: ("\t",)}


def media_type(data: bytes, name: str) -> str:
    """The type of a file, one of the values of `SUPPORTED`.

    Args:
        data: All its bytes: the directory of a zip archive stands at the end.
        name: Its name or path; only the suffix is read.

    Raises:
        InputError: It is of a kind that is not supported, damaged, or locked with a password.
    """
    suffix = PurePath(name).suffix.lower()
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zip_type(data)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole_type(data)
    if data.startswith(b"%PDF-") or (suffix == ".pdf" and b"%PDF-" in data[:_PDF_WITHIN]):
        return PDF
    kinds = {signature: kind for at, signature, kind in _SIGNATURES if data.startswith(signature, at)}
    # Printable signatures may open a text as well ("ID3 tags are ..."); they count where the rest is no text.
    for signature, kind in kinds.items():
        if not signature.isascii() or not signature.decode().isprintable():
            raise _unsupported(kind)
    try:
        head = decode(_head(data))
    except InputError:
        if b"%PDF-" in data[:_PDF_WITHIN]:
            return PDF
        raise _unsupported(next(iter(kinds.values()), "binary data of an unknown kind")) from None
    return _text_type(head, suffix)


def _text_type(head: str, suffix: str) -> str:
    if head.lstrip().startswith("{\\rtf"):
        return RTF
    markup = head[_end_of_prologue(head) :]
    if _HTML_START.match(markup) and (suffix not in (".md", ".markdown") or "<html" in markup.lower()):
        return HTML
    if head.lstrip().startswith("<?xml"):
        return HTML if SUPPORTED.get(suffix) == HTML else XML
    if _is_mail(head, suffix):
        return EML
    return _named_text(head, suffix)


def _named_text(head: str, suffix: str) -> str:
    """Kinds of text that only their name tells apart."""
    named = SUPPORTED.get(suffix, PLAIN)
    if named in (MARKDOWN, RST, ORG, HTML):
        return named
    if named in _DELIMITERS and any(delimiter in head for delimiter in _DELIMITERS[named]):
        return named
    if named == XML and head.lstrip().startswith("<"):
        return XML
    return PLAIN


def _head(data: bytes) -> bytes:
    """The first bytes, not cut inside a UTF-8 character."""
    end = min(len(data), _HEAD_BYTES)
    if end == len(data) or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data[:end]
    while end > _HEAD_BYTES - 4 and data[end] & 0xC0 == 0x80:
        end -= 1
    return data[:end]


def _end_of_prologue(head: str) -> int:
    """Where the first tag stands, after XML declaration, comments and white space."""
    match = _PROLOGUE.match(head)
    return match.end() if match else 0


def _is_mail(head: str, suffix: str) -> bool:
    """Whether the text opens with the header lines of a message."""
    lines = head.lstrip("\n").split("\n")
    if lines[0].startswith("From "):  # the separator line of a mailbox file
        lines = lines[1:]
    seen: set[str] = set()
    for line in lines:
        header = _HEADER.match(line)
        if header:
            seen.add(header["name"].lower())
        elif not line.startswith((" ", "\t")) or not seen:
            break
    # A memo starts with From, To and Subject as well: only a machine writes the others.
    return len(seen & _MAIL_HEADERS) >= 2 and (suffix == ".eml" or bool(seen & _MACHINE_HEADERS))


def _zip_type(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            stated = _member(archive, "mimetype").decode("ascii", "replace").strip()
            manifest = _member(archive, "META-INF/manifest.xml") if stated == ODT else b""
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, OSError, zlib.error) as error:
        raise InputError(f"is a damaged zip container ({error}); make a new copy of it") from error
    if b"encryption-data" in manifest:
        raise InputError(_PROTECTED)
    if stated in (ODT, EPUB):
        return stated
    if stated in _OTHER_DOCUMENTS:
        raise _unsupported(_OTHER_DOCUMENTS[stated])
    if "[Content_Types].xml" in names:
        return _office_type(names)
    if "META-INF/container.xml" in names:
        return EPUB
    raise _unsupported("a zip archive")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The first megabyte of a member, b"" without one; a bomb is not unpacked further."""
    if name not in archive.NameToInfo:
        return b""
    if archive.NameToInfo[name].flag_bits & 1:
        raise InputError(_PROTECTED)
    with archive.open(name) as member:
        return member.read(1_000_000)


def _office_type(names: list[str]) -> str:
    if "xl/workbook.bin" in names:
        raise _unsupported("a binary Excel workbook (.xlsb)")
    for folder, kind in _OFFICE_FOLDERS:
        if any(name.startswith(folder) for name in names):
            return kind
    raise _unsupported("an Office file other than DOCX, PPTX and XLSX")


def _ole_type(data: bytes) -> str:
    for stream, kind, problem in _OLE_STREAMS:
        if stream.encode("utf-16-le") in data:
            if kind:
                return kind
            raise InputError(_PROTECTED if problem == "password-protected" else problem)
    raise _unsupported("an OLE2 container of an unknown kind")


def _unsupported(kind: str) -> InputError:
    return InputError(f"is {kind}, which is not supported")
