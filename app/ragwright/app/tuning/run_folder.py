"""Where a training runs, and what it learns from: shared by every command that trains."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragwright.core.errors import InputError
from ragwright.core.model_folder import file_digest

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.finetune.values import Example

TUNED, EXAMPLES = Path("tuned"), Path("tuning/examples")
"""Folders of a workspace: of tuned models, and of training examples."""

TRAIN, DEV = "train.jsonl", "dev.jsonl"


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learnt from.

    Attributes:
        train: Examples that are learnt.
        dev: Those by which weights are chosen; there may be none.
        data: The file of the first.
    """

    train: list[Example]
    dev: list[Example]
    data: Path

    def identity(self) -> Mapping[str, Any]:
        """What a training depends on by its data; see `finetune.training.Job`."""
        return {"data": file_digest(self.data), "dev": len(self.dev)}


def read_lessons(workspace: Workspace) -> Lessons:
    """The workspace's training examples.

    Raises:
        InputError: There are none, or a row cannot be read.
    """
    from ragwright.finetune.rows import read_examples

    folder = workspace.folder / EXAMPLES
    if not (folder / TRAIN).is_file():
        raise InputError(
            f"{folder} holds no training examples; run: ragwright tune questions, then: "
            "ragwright tune negatives"
        )
    dev = read_examples(folder / DEV) if (folder / DEV).is_file() else []
    return Lessons(read_examples(folder / TRAIN), dev, folder / TRAIN)


def run_folder(workspace: Workspace, name: str, *, fresh: bool = False) -> Path:
    """The folder that a model of this name is trained in.

    Args:
        workspace: Holds it.
        name: Of the tuned model.
        fresh: Whether an unfinished training in it is thrown away instead of gone on with.

    Raises:
        InputError: It is no name of a folder, or there is a finished model of this name.
    """
    if not name or Path(name).name != name or name.startswith("."):
        raise InputError(
            f"{name!r} cannot name a tuned model; wanted the name of a folder, such as embedder-2"
        )
    folder = workspace.folder / TUNED / name
    if (folder / "tuned.json").is_file():
        raise InputError(
            f"there is a tuned model {name}; choose another name with --name, or delete {folder}"
        )
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    return folder
