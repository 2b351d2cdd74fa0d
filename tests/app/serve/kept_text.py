"""What can be read in the files of a folder, also by who knows how traces are packed."""

from __future__ import annotations

import zlib
from pathlib import Path

_LONGEST = 1_000_000


def readable(folder: Path, pattern: str = "*") -> bytes:
    """The bytes of files, and behind them whatever unpacks to something, wherever in them it begins."""
    found = b""
    for file in sorted(each for each in folder.glob(pattern) if each.is_file()):
        data = file.read_bytes()
        found += data
        place = data.find(b"\x78\x01")
        while place >= 0:
            found += _unpacked(data[place:])
            place = data.find(b"\x78\x01", place + 1)
    return found


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _LONGEST)
    except zlib.error:
        return b""
