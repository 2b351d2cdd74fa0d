"""Verdicts of a judge, kept by content so that no question is paid for twice.

One JSON line each in `verdicts.jsonl`, appended: a line cut off by a crash is passed over when the file is
read, and only that verdict is asked for again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError


def verdict_key(measure: str, inputs: Mapping[str, Any], *, model: str, ragas: str, encoder: str = "") -> str:
    """SHA-256, as hexadecimal text, over all that a verdict depends on.

    Args:
        measure: The measure's name.
        inputs: Exactly what the measure reads: question, answer, contexts, reference.
        model: The judge's name.
        ragas: Version of ragas, whose prompts and formulas are part of a verdict.
        encoder: Fingerprint of the encoder, where the measure compares vectors.
    """
    content = json.dumps([measure, model, ragas, encoder, inputs], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


class VerdictCache:
    """The verdicts of one folder."""

    def __init__(self, folder: Path) -> None:
        """Read what is there; the folder is made if need be.

        Raises:
            InputError: The folder cannot be used.
        """
        self._path = folder / "verdicts.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            content = self._path.read_bytes() if self._path.exists() else b""
        except OSError as error:
            raise InputError(
                f"the verdict cache {folder} cannot be used ({error}); name a folder to write in"
            ) from error
        self._values = dict(filter(None, map(_verdict, content.splitlines())))
        self._torn = bool(content) and not content.endswith(b"\n")

    def get(self, key: str) -> float | None:
        """The value under a key, between 0 and 1, or None."""
        return self._values.get(key)

    def add(self, key: str, value: float, *, measure: str, model: str) -> None:
        """Keep a verdict; on return it survives the death of the process.

        The measure and the model are written beside it for people who read the file.
        """
        record = json.dumps({"key": key, "value": value, "measure": measure, "model": model})
        with self._path.open("ab") as file:
            file.write(b"\n" * self._torn + record.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._torn = False
        self._values[key] = value


def _verdict(line: bytes) -> tuple[str, float] | None:
    """Key and value of a line; None for a line that was cut off or damaged."""
    try:
        record = json.loads(line)
        key, value = record["key"], record["value"]
    except (ValueError, KeyError, TypeError):
        return None
    usable = isinstance(key, str) and isinstance(value, int | float) and 0 <= value <= 1
    return (key, float(value)) if usable else None
