"""Checkpoints of a training: a folder holds whole ones only, and the best weights so far.

<run>/checkpoints/
    identity.json       what is trained on what; another training is refused here
    checkpoint-<step>/  the last one: weights that are trained, optimizer, schedule, draws, our own state
    best.safetensors    the weights of the best look
    .unfinished/        where one is being written; moved beside it when whole
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError, ModelError

WEIGHTS, STATE = "model.safetensors", "ragwright.json"
_IDENTITY, _BEST, _FOLDER = "identity.json", "best.safetensors", "checkpoints"
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint.

    Attributes:
        folder: Where it lies.
        step: Steps done.
        state: What was given to `Checkpoints.keep`.
    """

    folder: Path
    step: int
    state: Mapping[str, Any]


class Checkpoints:
    """The checkpoints in a run's folder."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._folder = run / _FOLDER

    @property
    def scratch(self) -> Path:
        """Where a trainer writes `checkpoint-<step>`; nothing is resumed from there."""
        return self._folder / ".unfinished"

    def claim(self, identity: Mapping[str, Any]) -> None:
        """Say what is trained here.

        Raises:
            InputError: Something else was begun here and is not finished; the message says what differs.
        """
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        wanted = json.loads(json.dumps(identity, sort_keys=True))
        path = self._folder / _IDENTITY
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            if found != wanted:
                raise self._other(found, wanted)
            return
        _write(path, wanted)

    def last(self) -> Checkpoint | None:
        """The newest whole checkpoint; None before the first."""
        found = [(int(match[1]), path) for path in self._all() if (match := _NAME.fullmatch(path.name))]
        if not found:
            return None
        step, folder = max(found)
        return Checkpoint(folder, step, json.loads((folder / STATE).read_text(encoding="utf-8")))

    def keep(self, step: int, state: Mapping[str, Any]) -> None:
        """Take over what a trainer has written to the scratch folder, in one rename; older ones go."""
        written = self.scratch / f"checkpoint-{step}"
        _write(written / STATE, state)
        older = list(self._all())
        written.rename(self._folder / written.name)
        for path in older:
            shutil.rmtree(path, ignore_errors=True)

    def write_best(self, model: Any) -> None:
        """Keep a model's trained weights as the best so far."""
        scratch = self._folder / f".{_BEST}"
        write_weights(model, scratch)
        scratch.replace(self._folder / _BEST)

    def read_best(self, model: Any) -> None:
        """Give a model the best weights."""
        read_weights(model, self._folder / _BEST)

    def remove(self) -> None:
        """Delete them all."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _all(self) -> list[Path]:
        return [path for path in self._folder.glob("checkpoint-*") if (path / STATE).is_file()]

    def _other(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> InputError:
        differing = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
        listed = "; ".join(f"{key} {found.get(key)!r}, now {wanted.get(key)!r}" for key in differing[:4])
        return InputError(
            f"{self._run} holds an unfinished training of something else ({listed}); go on with that one, "
            "choose another name, or delete the folder"
        )


def write_weights(model: Any, path: Path) -> None:
    """Write the parameters that require gradients as safetensors."""
    from safetensors.torch import save_file

    tensors = {
        name: each.detach().cpu().contiguous()
        for name, each in model.named_parameters()
        if each.requires_grad
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(path), metadata={"format": "pt"})


def read_weights(model: Any, path: Path) -> None:
    """Give a model parameters that `write_weights` wrote of it.

    Raises:
        ModelError: The file cannot be read, or is another model's.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}); delete its run's folder and train again"
        ) from None
    named = {name: each for name, each in model.named_parameters() if each.requires_grad}
    if tensors.keys() != named.keys() or any(tensors[name].shape != named[name].shape for name in named):
        raise ModelError(f"{path} holds other weights than the model's; delete its run's folder")
    with torch.no_grad():
        for name, each in named.items():
            each.copy_(tensors[name])


def _write(path: Path, value: Mapping[str, Any]) -> None:
    scratch = path.with_name(f".{path.name}")
    scratch.write_text(json.dumps(value, indent=1), encoding="utf-8")
    scratch.replace(path)
