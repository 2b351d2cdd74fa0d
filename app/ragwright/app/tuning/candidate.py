"""A tuned model that is to answer: which part it plays, and beside which others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.app.version_models import EMBEDDER, OF_EMBEDDER, ROUTER
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.version_models import Part, Parts
    from ragwright.app.workspace import Workspace
    from ragwright.finetune.tuned_model import Kind

_PARTS: dict[Kind, Part] = {
    "embedder": "embedder",
    "lora": "embedder",
    "adapter": "adapter",
    "reranker": "reranker",
    "reader": "reader",
}
_UNPROMOTED: dict[Kind, str] = {
    "sparse": "no index is searched with one yet",
    "adapted": "it is there to start others from: tune an embedder with it as its base",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tuned model as it would answer.

    Attributes:
        name: Of the tuned model; `router` for the routing table.
        part: Which it plays.
        parts: What would answer with it, itself included.
        displaced: Parts that were promoted and would answer no more, since they fit another embedder, or are
            replaced.
        folder: Where its reports go.
    """

    name: str
    part: Part
    parts: Parts
    displaced: tuple[str, ...]
    folder: Path

    @property
    def needs_index(self) -> bool:
        """Whether the documents have to be encoded anew."""
        return self.part == EMBEDDER


def candidate_of(workspace: Workspace, name: str) -> Candidate:
    """The tuned model of a name, beside what answers now.

    Raises:
        InputError: There is none of this name, it cannot be promoted, it answers already, or it was made for
            another encoder than the one that answers.
        ModelError: Its manifest cannot be read.
    """
    _, manifest = workspace.live()
    part = _part(workspace, name)
    if manifest.parts.get(part) == name:
        raise InputError(f"{name} answers already, as the {part}; see: ragwright tune list")
    replaced = {part, *(OF_EMBEDDER if part in (EMBEDDER, *OF_EMBEDDER) else ())}
    kept = {key: each for key, each in manifest.parts.items() if key not in replaced}
    displaced = tuple(each for key, each in manifest.parts.items() if key in replaced)
    folder = workspace.registry.tuned / name / "promotion"
    return Candidate(name, part, {**kept, part: name}, displaced, folder)


def _part(workspace: Workspace, name: str) -> Part:
    from ragwright.finetune.tuned_model import read_tuned, tuned_models

    folder = workspace.registry.tuned
    known = [tuned.name for _, tuned in tuned_models(folder)]
    if name == ROUTER and (folder / f"{ROUTER}.json").is_file():
        return "router"
    if name not in known:
        raise InputError(f"there is no tuned model {name}; {_hint(folder, known)}")
    tuned = read_tuned(folder / name)
    if tuned.kind not in _PARTS:
        why = _UNPROMOTED.get(tuned.kind, "this version of ragwright does not know how")
        raise InputError(f"{name} is of the kind {tuned.kind}, which cannot be promoted: {why}")
    if tuned.settings.get("queries_only"):
        raise InputError(
            f"{name} reads questions only, so no index is made with it; let it be an expert: "
            f"ragwright tune routing add {name}"
        )
    part = _PARTS[tuned.kind]
    present = workspace.live()[1].fingerprint
    if part == "adapter" and tuned.base_fingerprint != present:
        raise InputError(
            f"{name} was made for the encoder {tuned.base} ({tuned.base_fingerprint}), and the one that"
            f" answers is {workspace.models.encoder_name} ({present}); run again: ragwright tune adapter"
        )
    return part


def _hint(folder: Path, known: list[str]) -> str:
    if known:
        return f"there is: {', '.join(known)}"
    return f"{folder} holds none; make one, such as: ragwright tune embedder"


def check_named(workspace: Workspace, name: str) -> None:
    """Refuse a name that is no plain folder name, before anything is looked for.

    Raises:
        InputError: It is one of another folder.
    """
    if not name or Path(name).name != name or name.startswith("."):
        raise InputError(
            f"{name!r} is no name of a tuned model; wanted the name of a folder in "
            f"{workspace.registry.tuned}, see: ragwright tune list"
        )
