"""Checksums of an index's files: the engine opens flipped bytes without a complaint, so we look ourselves."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 1 << 16
_ZEROS = bytes(_BLOCK)


def write_checksums(folder: Path, target: Path) -> None:
    """Record a digest of every file below a folder, in one atomic write."""
    scratch = target.with_suffix(".tmp")
    with scratch.open("w", encoding="utf-8") as file:
        json.dump(_digests(folder), file, indent=0)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(target)


def compare_checksums(folder: Path, recorded: Path) -> list[str]:
    """What differs from the record, a sentence each; empty when all is as it was.

    Without a record (a run was killed, so none could be written) there is nothing to compare.
    """
    if not recorded.is_file():
        return []
    try:
        expected = json.loads(recorded.read_text(encoding="utf-8"))
    except ValueError:
        expected = None
    if not isinstance(expected, dict):
        return [f"{recorded.name} is damaged"]
    found = _digests(folder)
    missing = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    changed = [
        f"{name} has changed" for name in sorted(found) if name in expected and found[name] != expected[name]
    ]
    added = [f"{name} was not there" for name in sorted(found.keys() - expected.keys())]
    return missing + changed + added


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): _digest_json(path) if path.suffix == ".json" else _digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _digest_json(path: Path) -> str:
    """SHA-256 of what a file says: the engine writes its settings anew, in any order, whenever it opens."""
    try:
        content = json.dumps(json.loads(path.read_bytes()), sort_keys=True)
    except ValueError:
        return _digest(path)
    return hashlib.sha256(content.encode()).hexdigest()


def _digest(path: Path) -> str:
    """SHA-256 of a file's length and of its blocks that are not all zeros, each with its place.

    The engine reserves hundreds of megabytes that it has not written yet: where the file system knows of such
    holes they are not even read.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for place in _written_blocks(file.fileno(), size):
            file.seek(place * _BLOCK)
            block = file.read(_BLOCK)
            if block != _ZEROS[: len(block)]:
                digest.update(place.to_bytes(8, "big"))
                digest.update(block)
    return digest.hexdigest()


def _written_blocks(descriptor: int, size: int) -> Iterator[int]:
    """Numbers of the blocks that may hold something else than zeros, ascending."""
    if not hasattr(os, "SEEK_DATA"):
        yield from range(-(-size // _BLOCK))
        return
    place, end = 0, 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        first = max(place, start // _BLOCK)
        place = -(-end // _BLOCK)
        yield from range(first, place)
