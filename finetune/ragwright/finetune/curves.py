"""The curves of a training: one row for each loss that was written down, and one for each look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragwright.finetune.rows import read_lines, write_lines


class Curves:
    """The rows of `curves.jsonl`: the file is whole at any time.

    A row has `step` and `seconds`, and either `loss` and `learning_rate` or `dev`, a mapping from measure to
    value.
    """

    def __init__(self, path: Path, *, upto: int | None) -> None:
        """Open the curves of a run.

        Args:
            path: The file.
            upto: Rows behind this step are dropped: they were written after the checkpoint that the training
                goes on from. None begins anew.
        """
        self._path = path
        self.rows: list[Mapping[str, Any]] = []
        if upto is not None and path.is_file():
            self.rows = [row for _, row in read_lines(path) if row["step"] <= upto]
        self._write()

    def add_loss(self, step: int, loss: float, *, learning_rate: float, seconds: float) -> None:
        """Add a mean loss since the last one."""
        self._add(step, seconds, loss=loss, learning_rate=learning_rate)

    def add_look(self, step: int, dev: Mapping[str, float], *, seconds: float) -> None:
        """Add what the dev questions showed."""
        self._add(step, seconds, dev=dict(dev))

    def _add(self, step: int, seconds: float, **measured: Any) -> None:
        self.rows.append({"step": step, "seconds": round(seconds, 2), **measured})
        self._write()

    def _write(self) -> None:
        write_lines(self._path, self.rows)
