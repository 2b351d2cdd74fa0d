"""The experts of a workspace: adding and removing them while it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.routing_table import Expert, ExpertKind, RoutingTable
    from ragwright.core.types import Vectors
    from ragwright.finetune.tuned_model import Kind, TunedModel

_KINDS: dict[Kind, ExpertKind] = {"adapter": "adapter", "lora": "encoder"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which expert is to be added.

    Attributes:
        tuned: Name of the tuned model.
        name: Of the expert.
        pilots: A data set whose questions are its domain's; None: those that it was trained with.
    """

    tuned: str
    name: str
    pilots: Path | None = None


@dataclass(frozen=True, slots=True)
class AddedExpert:
    """What was added, and how many questions tell its domain."""

    expert: Expert
    pilots: int


def table_path(workspace: Workspace) -> Path:
    """Where the workspace's routing table lies."""
    from ragwright.app.version_models import ROUTER

    return workspace.registry.tuned / f"{ROUTER}.json"


def read_table(workspace: Workspace) -> RoutingTable:
    """The workspace's experts; without a table there are none.

    Raises:
        ModelError: The table cannot be read.
    """
    from ragwright.core.routing_table import RoutingTable, read_routing_table

    path = table_path(workspace)
    if path.is_file():
        return read_routing_table(path)
    return RoutingTable(workspace.models.encoder_name, workspace.encoder.fingerprint)


def add_expert(workspace: Workspace, wanted: Wanted) -> AddedExpert:
    """Let a tuned model encode the queries of its domain; whoever serves takes it up at the next query.

    Raises:
        InputError: There is no such model, it is of another kind or encoder, the name is taken, or there are
            no questions that tell its domain.
        ModelError: A file cannot be read.
        WorkspaceBusy: Another process changes the table.
    """
    from dataclasses import replace

    from ragwright.core.routing_table import held_routing_table, write_routing_table
    from ragwright.finetune.routing import make_expert

    tuned, kind = _tuned(workspace, wanted.tuned)
    pilots = _pilots(workspace, tuned, wanted.pilots)
    config = workspace.config.tune
    expert = make_expert(
        wanted.name,
        kind=kind,
        folder=f"{wanted.tuned}/model",
        pilots=pilots,
        centroids=config.centroids,
        seed=config.seed,
    )
    with held_routing_table(path := table_path(workspace)):
        table = read_table(workspace)
        if not table.experts:  # an empty one follows the encoder
            fingerprint = workspace.encoder.fingerprint
            table = replace(table, base=workspace.models.encoder_name, base_fingerprint=fingerprint)
        _check_base(workspace, table.base_fingerprint, what="the routing table")
        write_routing_table(path, table.with_expert(expert))
    return AddedExpert(expert, len(pilots))


def remove_expert(workspace: Workspace, name: str) -> RoutingTable:
    """Take an expert from the table, without training anything; its queries go to the next or to the base.

    Returns:
        What is left.

    Raises:
        InputError: There is no expert of this name.
        ModelError: The table cannot be read.
        WorkspaceBusy: Another process changes it.
    """
    from ragwright.core.routing_table import held_routing_table, write_routing_table

    with held_routing_table(path := table_path(workspace)):
        table = read_table(workspace).without(name)
        write_routing_table(path, table)
    return table


def _tuned(workspace: Workspace, name: str) -> tuple[TunedModel, ExpertKind]:
    from ragwright.app.tuning.candidate import check_named
    from ragwright.finetune.tuned_model import read_tuned, tuned_models

    check_named(workspace, name)
    folder = workspace.registry.tuned
    known = [tuned.name for _, tuned in tuned_models(folder) if tuned.kind in _KINDS]
    if not (folder / name / "tuned.json").is_file():
        hint = f"there is: {', '.join(known)}" if known else "train one: ragwright tune adapter"
        raise InputError(f"there is no tuned model {name} in {folder}; {hint}")
    tuned = read_tuned(folder / name)
    kind = _KINDS.get(tuned.kind)
    if kind is None or (tuned.kind == "lora" and not tuned.settings.get("queries_only")):
        raise InputError(
            f"{name} is a model of the kind {tuned.kind} that the index would have to be made with; an expert"
            " is a query adapter, or LoRA weights for questions alone: ragwright tune lora --queries-only"
        )
    _check_base(workspace, tuned.base_fingerprint, what=name)
    return tuned, kind


def _check_base(workspace: Workspace, fingerprint: str, *, what: str) -> None:
    present = workspace.encoder.fingerprint
    if fingerprint != present:
        raise InputError(
            f"{what} was made for the encoder {fingerprint}, and the one that answers is"
            f" {workspace.models.encoder_name} ({present}); experts are trained for the encoder of the index"
        )


def _pilots(workspace: Workspace, tuned: TunedModel, path: Path | None) -> Vectors:
    """The encoder's own vectors of the questions that tell a domain, shape (n, dim)."""
    from ragwright.app.tuning.adapter import encoded

    texts = _questions_of(path) if path is not None else _learnt(workspace, tuned)
    if not texts:
        raise InputError(
            f"none of the workspace's examples is about a document that {tuned.name} learnt from; name"
            " questions of its domain with --pilots DATASET"
        )
    return encoded(workspace, texts)


def _questions_of(path: Path) -> Sequence[str]:
    from ragwright.eval.datasets import load_dataset

    return list(dict.fromkeys(item.text for item in load_dataset(path).items))


def _learnt(workspace: Workspace, tuned: TunedModel) -> Sequence[str]:
    """The questions that a model was trained with."""
    from ragwright.app.tuning.run_folder import read_lessons

    examples = read_lessons(workspace).train
    return list(dict.fromkeys(each.query for each in examples if each.positives[0].source in tuned.sources))
