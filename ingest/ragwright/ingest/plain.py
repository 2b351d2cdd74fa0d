"""Bytes to text, and plain text to blocks: the canonical text is the decoded file itself."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from ragwright.core.errors import InputError
from ragwright.core.types import Block, Parsed
from ragwright.ingest.hidden import remove_hidden

# UTF-32 before UTF-16: the little-endian mark of the former begins with that of the latter.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# One candidate per script that high bytes alone can name. Latin relatives (cp1250, cp1254) are absent: in
# short texts they cannot be told from cp1252, and cp1252 is by far the most frequent.
_OTHER_SCRIPTS = (
    "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp932", "euc_jp", "gb18030", "big5", "cp949",
)  # fmt: skip
_HIGH = bytes(range(0x80, 0x100))
_LINE_WITH_HIGH = re.compile(rb"[^\n]*[\x80-\xff][^\n]*")
_SAMPLE_BYTES = 16_384
_MIN_HIGH_SHARE = 0.25  # of a line's bytes; accented Latin text stays below 0.15, other scripts lie above 0.4
_MAX_BAD_SHARE = 0.2  # undecodable bytes per non-ASCII character of a file that is UTF-8 but for a few
_CONTROL = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")
_MAX_CONTROL_SHARE = 0.01
_CONTROL_SAMPLE = 1_000_000  # characters

_BLANK_LINES = re.compile(r"\n\s*\n")
_ITEM = re.compile(r"^[^\S\n]*(?:[-*+•◦▪‣·–]|\(?(?:\d{1,3}|[a-zA-Z])[.)])[^\S\n]+(?=\S)", re.MULTILINE)
_NUMERAL = r"(?:[IVXLCDM]{1,8}|\d{1,4}|[A-Z]|(?i:one|two|three|four|five|six|seven|eight|nine|ten))"
_NUMBERED_TITLE = re.compile(
    r"(?P<word>(?i:book|part|volume|chapter|section|act|scene|appendix|article))\s+"
    rf"{_NUMERAL}\.?(?:\s*[:.—–-]\s*\S.*)?"
)
_UPPER_DIVISIONS = ("book", "part", "volume")
_TITLE_CHARACTERS = 80
_CAPITALS_CHARACTERS = 60


def decode(data: bytes) -> str:
    r"""Bytes to text: the encoding is found from the content, line ends become `\n`, nothing else changes.

    Raises:
        InputError: The bytes are no text.
    """
    text = _decode(data)
    sample = text[:_CONTROL_SAMPLE]
    if "\0" in text or len(_CONTROL.findall(sample)) > _MAX_CONTROL_SHARE * len(sample) + 1:
        raise InputError("is binary data, not text in any known encoding; convert it to text or PDF")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def parse_plain(data: bytes, name: str) -> Parsed:
    """Plain text to paragraphs, list items and, where the text is unmistakable, titles.

    Args:
        data: The file's bytes.
        name: Unused; every parser is called the same way.

    Raises:
        InputError: The bytes are no text.
    """
    text, hidden = remove_hidden(decode(data))
    blocks: list[Block] = []
    for start, end in _paragraphs(text):
        blocks.extend(_blocks(text, start, end, first=not blocks))
    return Parsed(text, tuple(blocks), media_type="text/plain", hidden_characters=hidden)


def _decode(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_wide(data) or _decode_damaged_utf8(data) or _decode_legacy(data)
    return (_decode_wide(data) or text) if "\0" in text else text


def _decode_wide(data: bytes) -> str:
    """UTF-16 without a mark, known by zero bytes at every other position; "" when it is not."""
    sample = data[:4096]
    half = len(sample) // 2
    for encoding, zeros, others in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        if sample[zeros::2].count(0) > 0.4 * half and sample[others::2].count(0) <= 0.1 * half:
            text = data[: len(data) // 2 * 2].decode(encoding, errors="replace")
            # Programs and recordings are full of zeros as well.
            return "" if _CONTROL.search(text, 0, _CONTROL_SAMPLE) else text
    return ""


def _decode_damaged_utf8(data: bytes) -> str:
    """UTF-8 with a few broken places (cut off, or mixed with another encoding); "" when it is not."""
    text = data.decode("utf-8", errors="replace")
    ascii_bytes = len(data.translate(None, delete=_HIGH))
    bad = text.count("\ufffd")
    sound = len(text) - ascii_bytes - bad
    return text if bad <= _MAX_BAD_SHARE * sound else ""


def _decode_legacy(data: bytes) -> str:
    encoding = _script_encoding(data)
    if encoding:
        return data.decode(encoding, errors="replace")
    from encodings import cp1252

    # The five bytes that cp1252 leaves undefined become what latin-1 makes of them.
    table = "".join(chr(byte) if cp1252.decoding_table[byte] == "\ufffe" else cp1252.decoding_table[byte]
                    for byte in range(256))  # fmt: skip
    return codecs.charmap_decode(data, "strict", table)[0]


def _script_encoding(data: bytes) -> str:
    """The encoding of a text that is not written in Latin letters; "" when it is."""
    sample = b""
    for line in _LINE_WITH_HIGH.finditer(data):
        sample += data[line.start() : min(line.end(), line.start() + _SAMPLE_BYTES)] + b"\n"
        if len(sample) >= _SAMPLE_BYTES:
            break
    high = len(sample) - len(sample.translate(None, delete=_HIGH))
    if high < _MIN_HIGH_SHARE * len(sample):
        return ""
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=[*_OTHER_SCRIPTS, "cp1252"]).best()
    return best.encoding if best is not None and best.encoding in _OTHER_SCRIPTS else ""


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Ranges between blank lines, without outer white space."""
    start = 0
    for gap in _BLANK_LINES.finditer(text):
        yield from trimmed(text, start, gap.start())
        start = gap.end()
    yield from trimmed(text, start, len(text))


def trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The range without outer white space; nothing when no character is left."""
    piece = text[start:end]
    body = piece.strip()
    if body:
        start += len(piece) - len(piece.lstrip())
        yield start, start + len(body)


def _blocks(text: str, start: int, end: int, *, first: bool) -> Iterator[Block]:
    """One paragraph as a title, as list items after an optional opening line, or as it is."""
    if end - start <= _TITLE_CHARACTERS and (level := _title_level(text[start:end], first=first)):
        yield Block("title", start, end, level=level)
        return
    items = [item.start() for item in _ITEM.finditer(text, start, end)]
    if not items or (items[0] != start and len(items) == 1):
        yield Block("paragraph", start, end)
        return
    if items[0] != start:
        yield from (Block("paragraph", *span) for span in trimmed(text, start, items[0]))
    for item, following in zip(items, [*items[1:], end], strict=True):
        yield from (Block("list_item", *span, level=1) for span in trimmed(text, item, following))


def _title_level(line: str, *, first: bool) -> int | None:
    """1 or 2 for a paragraph that can only be a title, else None."""
    if "\n" in line:
        return None
    numbered = _NUMBERED_TITLE.fullmatch(line)
    if numbered:
        return 1 if numbered["word"].lower() in _UPPER_DIVISIONS else 2
    letters = sum(character.isalpha() for character in line)
    capitals = line == line.upper() != line.lower() and letters >= max(4, len(line) // 2)
    if capitals and len(line) <= _CAPITALS_CHARACTERS and not line.endswith(("!", "?", ",", ";", '"', "”")):
        return 1 if first else 2
    return None
