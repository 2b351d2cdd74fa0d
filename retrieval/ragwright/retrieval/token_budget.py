"""How many tokens a device computes at once, and what it learned when its memory was too small."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

_CPU_TOKENS = 1_024

# Fewer leave an H200 waiting for its launches; more bring nothing (about 4 ms of MiniLM at its limit).
_CARD_TOKENS = 131_072
_LEAST = 1_024
_SHARE = 0.5  # of the free memory: what else is on the card may grow

_FILE = "token_budgets.json"
_LOGGER = logging.getLogger("ragwright")


class TokenBudget:
    """Tokens of one batch, for one model on one kind of device.

    Attributes:
        tokens: At most so many.
    """

    def __init__(self, tokens: int, cache: Path, *, key: str) -> None:
        """Start from a number of tokens.

        Args:
            tokens: At most so many, unless fewer were remembered.
            cache: Folder in which it is remembered.
            key: Names model, precision and device.
        """
        self._file = cache / _FILE
        self._key = key
        self.tokens = min(tokens, _read(self._file).get(key, tokens))

    def halve(self, failed: int) -> None:
        """Take half of what did not fit from now on, in later processes as well.

        A batch of less than half of the budget tells more of what else is on the device at the moment than of
        the model, so this process alone heeds it.

        Args:
            failed: Tokens of the batch that did not fit.
        """
        former, self.tokens = self.tokens, max(1, min(self.tokens, failed // 2))
        _LOGGER.info("%d tokens did not fit: from now on at most %d at once", failed, self.tokens)
        if 2 * failed < former:
            return
        known = _read(self._file)
        known[self._key] = self.tokens
        _write(self._file, known)


def default_tokens(config: Any, free: int | None) -> int:
    """What to begin with.

    Args:
        config: The model's configuration.
        free: Free bytes on the card; None on the CPU.

    Returns:
        Tokens: on a card up to 131,072, as many as half of its free memory holds the activations of.
    """
    if free is None:
        return _CPU_TOKENS
    return max(_LEAST, min(_CARD_TOKENS, int(_SHARE * free / _bytes_per_token(config))))


def _bytes_per_token(config: Any) -> int:
    """Activations that live at once in bf16, without gradients: one layer's, and token vectors in fp32."""
    width = int(config.hidden_size)
    inner = int(getattr(config, "intermediate_size", 0) or 4 * width)
    return 2 * (8 * width + 3 * inner) + 8 * width


def _read(file: Path) -> dict[str, int]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, int) and value > 0}


def _write(file: Path, known: dict[str, int]) -> None:
    """Replace the file in one rename: other processes read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=file.parent, prefix=".token_budgets-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as target:
        json.dump(known, target, indent=1, sort_keys=True)
    Path(scratch).replace(file)
