"""Bytes to text, for formats whose encoding may be declared inside or beside them."""

from __future__ import annotations

import re

from ragwright.ingest.plain import decode

_DECLARED = re.compile(rb"""<(?:meta[^>]*?|\?xml[^>]*?)(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
# What browsers read under these names.
_BROWSER_NAMES = {
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
}


def decode_markup(data: bytes) -> str:
    """Decode HTML: byte order mark, then the encoding it declares, then what its bytes look like.

    Raises:
        InputError: The bytes are no text.
    """
    match = None if data.startswith(_MARKS) else _DECLARED.search(data[:4096])
    name = match.group(1).decode("ascii", "replace").lower() if match else ""
    # A declaration that can be read byte by byte does not stand in UTF-16, whatever it says.
    return decode_text(data, declared="" if name.startswith("utf-16") else _BROWSER_NAMES.get(name, name))


def decode_text(data: bytes, *, declared: str = "") -> str:
    """Decode bytes by the encoding declared for them, or by their looks where that one fails.

    Raises:
        InputError: The bytes are no text.
    """
    if declared and declared.lower() not in ("us-ascii", "ascii"):
        try:
            return data.decode(declared).replace("\r\n", "\n")
        except (UnicodeDecodeError, LookupError):
            return decode(data)
    return decode(data)
