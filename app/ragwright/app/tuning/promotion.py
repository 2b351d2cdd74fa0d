"""Putting a tuned model in force, or refusing it, and taking that back.

A model that changes the index gets a version of its own, built beside the one that answers; any other changes
only what the manifest says. Either way it answers only if it passes the exam, and the switch is one
transaction of the catalog. Until then, whatever happens, what answered goes on answering.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ragwright.app.index_building import (
    begin_version,
    bring_up_to_date,
    drop_others,
    former_version,
    in_force,
    is_usable,
    one_at_a_time,
)
from ragwright.app.tuning.candidate import candidate_of, check_named
from ragwright.app.tuning.comparing import UNSEEN, Built, Examined, Witness, examine
from ragwright.app.tuning.exam import Wanted, exam_for
from ragwright.app.version_models import EMBEDDER
from ragwright.core.errors import InputError
from ragwright.core.lock import workspace_lock
from ragwright.ingest.catalog_values import Switch

if TYPE_CHECKING:
    from ragwright.app.tuning.candidate import Candidate
    from ragwright.app.version_models import Parts
    from ragwright.app.workspace import Workspace
    from ragwright.ingest.catalog_values import Manifest

PURPOSE = "a promotion"
_WAITS_SECONDS = 600.0  # for another process that writes to the same server


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became of a promotion.

    Attributes:
        name: Of the tuned model.
        part: Which it plays.
        examined: What the exam said.
        version: The index version that answers now.
        displaced: Names of tuned models that answered until now, and answer no more.
        folder: Holds the reports.
    """

    name: str
    part: str
    examined: Examined
    version: str
    displaced: tuple[str, ...]
    folder: Path

    @property
    def accepted(self) -> bool:
        """Whether it answers now."""
        return self.examined.passed


@dataclass(frozen=True, slots=True)
class Rollback:
    """What a rollback did.

    Attributes:
        name: The tuned model whose promotion was taken back.
        parts: What is promoted now.
        version: The index version that answers now.
        built: Whether its index had to be built, since the former one was gone or did not fit any more.
    """

    name: str
    parts: Parts
    version: str
    built: bool


def promote(
    workspace: Workspace, name: str, *, wanted: Wanted | None = None, witness: Witness = UNSEEN
) -> Promotion:
    """Let a tuned model answer if it passes the exam.

    Args:
        workspace: Held by this process; another thread may answer from it, and write to it.
        name: Of the tuned model.
        wanted: What the exam is to be; None: as the workspace and its settings say.
        witness: Told how far this is.

    Raises:
        InputError: See `candidate_of` and `exam_for`; or the disk has too little room.
        ModelError: The model cannot be opened.
        WorkspaceBusy: Another promotion runs.
    """
    check_named(workspace, name)
    with one_at_a_time(workspace, purpose=PURPOSE):
        candidate = candidate_of(workspace, name)
        exam = exam_for(workspace, candidate.part, wanted or Wanted())
        drop_others(workspace)  # what a stopped run left
        try:
            made = _made(workspace, candidate, witness)
            examined = examine(workspace, candidate, made, exam, witness=witness)
            if examined.passed:
                _switch(workspace, made, _record("promote", name), witness=witness)
            else:
                _drop_candidate(workspace)
        except BaseException:
            _drop_candidate(workspace)
            raise
        live, _ = workspace.live()
    return Promotion(name, candidate.part, examined, live, candidate.displaced, candidate.folder)


def roll_back(workspace: Workspace, *, witness: Witness = UNSEEN) -> Rollback:
    """Let answer what did before the last promotion that is in force, with every document of now.

    Args:
        workspace: See `promote`.
        witness: Told how far this is.

    Raises:
        InputError: Nothing that was promoted is in force, or the disk has too little room.
        ModelError: A model that answered then cannot be opened.
        WorkspaceBusy: A promotion runs.
    """
    with one_at_a_time(workspace, purpose=PURPOSE):
        left = in_force(workspace.catalog.switches())
        if not left:
            raise InputError("nothing that was promoted is in force, so there is nothing to take back")
        last = left[-1]
        version, former, built = _found(workspace, last.former, witness)
        record = _record("rollback", last.name)
        _switch(workspace, (version, replace(former, parts=last.former)), record, witness=witness)
    return Rollback(last.name, last.former, version, built)


def _made(workspace: Workspace, candidate: Candidate, witness: Witness) -> tuple[str, Manifest]:
    """The version that a candidate would answer from, and its manifest."""
    if not candidate.needs_index:
        version, manifest = workspace.live()
        return version, replace(manifest, parts=candidate.parts)
    return _built(workspace, candidate.parts, witness)


def _built(workspace: Workspace, parts: Parts, witness: Witness) -> tuple[str, Manifest]:
    """A new version with these tuned models."""
    with _only_writer(workspace):  # else a document that is committed just now might be in neither version
        version, manifest = begin_version(workspace, parts)
    manifest, _ = bring_up_to_date(workspace, version, manifest, Built(witness))
    return version, manifest


def _drop_candidate(workspace: Workspace) -> None:
    """Delete what does not answer and is not needed for a rollback."""
    workspace.retrievers.keep_only(*workspace.live())
    drop_others(workspace)


def _found(workspace: Workspace, parts: Parts, witness: Witness) -> tuple[str, Manifest, bool]:
    """A version whose index these tuned models can answer from, and whether it had to be built."""
    live, manifest = workspace.live()
    if manifest.parts.get(EMBEDDER) == parts.get(EMBEDDER):
        return live, manifest, False
    version = former_version(workspace, manifest)
    if version is not None:
        former = replace(workspace.catalog.manifests()[version], parts=parts)
        if is_usable(workspace, version, former):
            former, _ = bring_up_to_date(workspace, version, former, Built(witness))
            return version, former, False
    return *_built(workspace, parts, witness), True


def _switch(workspace: Workspace, made: tuple[str, Manifest], record: Switch, *, witness: Witness) -> None:
    """Let a version answer from now on, loaded, and with every document."""
    witness.begin("switching", 0)
    version, manifest = made
    workspace.prepare(version, manifest)  # before anybody has to wait
    with _only_writer(workspace):
        live, present = workspace.live()
        if version == live:
            manifest = replace(present, parts=manifest.parts)
        else:
            manifest, _ = bring_up_to_date(workspace, version, manifest, Built(UNSEEN), defer_graph=True)
        workspace.prepare(version, manifest)
        switch = replace(record, version=version, parts=manifest.parts, former=present.parts)
        workspace.indexes.make_live(version, manifest, switch=switch)
    workspace.retrievers.keep_only(version, manifest)
    if version != live:
        workspace.indexes.release(live)
    # Beside a Qdrant server another process may be asking it just now: it goes with the next promotion.
    drop_others(workspace, spare=live if workspace.config.index.url is not None else None)


@contextmanager
def _only_writer(workspace: Workspace) -> Iterator[None]:
    """Be the only one who changes documents: beside a Qdrant server the workspace is not always held."""
    with ExitStack() as held:
        held.enter_context(workspace.writes)
        if workspace.config.index.url is not None:
            lock = workspace_lock(workspace.folder, purpose=PURPOSE, wait_seconds=_WAITS_SECONDS)
            held.enter_context(lock)
            held.enter_context(workspace.catalog.held())
        yield


def _record(action: Literal["promote", "rollback"], name: str) -> Switch:
    """A switch of now; what it leads to is filled in when it is done."""
    return Switch(datetime.now(UTC).isoformat(timespec="seconds"), action, name, "", {}, {})
