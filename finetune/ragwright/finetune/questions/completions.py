"""What a language model wrote before, kept so that a run that was stopped goes on without asking again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ragwright.core.errors import InputError
from ragwright.core.protocols import Writer
from ragwright.core.types import Message
from ragwright.finetune.rows import read_lines


class Remembered:
    """A writer that is asked once for each prompt; what it wrote lies in a file of JSON lines."""

    def __init__(self, writer: Writer, path: Path) -> None:
        """Read what was written before.

        Args:
            writer: Asked for what is not known.
            path: The file; made when absent.

        Raises:
            InputError: The file cannot be read or written.
        """
        self.name = writer.name
        self._writer, self._path = writer, path
        self._known = _read(path)

    def write(
        self, prompts: Sequence[Sequence[Message]], *, max_tokens: int, temperature: float
    ) -> list[str]:
        """See `Writer.write`; what failed is not remembered."""
        keys = [self._key(prompt, max_tokens, temperature) for prompt in prompts]
        wanted = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._known}
        if wanted:
            written = self._writer.write(
                list(wanted.values()), max_tokens=max_tokens, temperature=temperature
            )
            fresh = {key: text for key, text in zip(wanted, written, strict=True) if text}
            self._append(fresh)
            self._known |= fresh
        return [self._known.get(key, "") for key in keys]

    def _key(self, prompt: Sequence[Message], max_tokens: int, temperature: float) -> str:
        told = json.dumps([self.name, max_tokens, temperature, [asdict(each) for each in prompt]])
        return hashlib.sha256(told.encode()).hexdigest()

    def _append(self, fresh: dict[str, str]) -> None:
        lines = "".join(json.dumps({"prompt": key, "text": text}) + "\n" for key, text in fresh.items())
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"{self._path} cannot be written ({error.strerror})") from None


def _read(path: Path) -> dict[str, str]:
    """What a file holds; a last line that was cut off counts for nothing, and is taken away."""
    if not path.is_file():
        return {}
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    return {str(row.get("prompt")): str(row.get("text")) for _, row in read_lines(path)}
