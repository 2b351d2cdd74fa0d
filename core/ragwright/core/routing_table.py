"""The experts that queries are routed to, as one file: who they are, and which questions are theirs.

Training writes it, retrieval reads it while it serves. An expert's questions are told by centroids of pilot
questions, encoded by the encoder itself (Lee et al. 2024, "RouterRetriever", arXiv:2409.02685).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from ragwright.core.errors import InputError, ModelError, WorkspaceBusy
from ragwright.core.model_folder import read_json
from ragwright.core.types import Vectors

BASE = "base"
"""Who answers what is no expert's: the encoder itself. No expert has this name."""

ExpertKind = Literal["adapter", "encoder"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KIND = "routing-table"
_DECIMALS = 6  # of a centroid's numbers; a cosine is as exact as single precision
_SECONDS = 10.0  # that a change waits for another one to end


@dataclass(frozen=True, slots=True, eq=False)
class Expert:
    """Who encodes the queries of a domain.

    Attributes:
        name: Unique in a table; also the label by which a caller forces it.
        kind: A query adapter, or an encoder of queries for the same index.
        folder: Of its tuned model, relative to the table's folder.
        centroids: Of its pilot questions, float32, shape (k, dim), rows of unit L2 norm.
        floor: Cosine to the nearest centroid below which a query is not the expert's.
    """

    name: str
    kind: ExpertKind
    folder: str
    centroids: Vectors
    floor: float


@dataclass(frozen=True, slots=True, eq=False)
class RoutingTable:
    """Experts over one index.

    Attributes:
        base: The encoder of the index, as configured.
        base_fingerprint: Of this encoder; experts of another one mean nothing.
        experts: In the order in which they were added; names are unique.
    """

    base: str
    base_fingerprint: str
    experts: tuple[Expert, ...] = ()

    def with_expert(self, expert: Expert) -> Self:
        """The table with one more expert.

        Raises:
            InputError: There is one of this name already, the name is no plain one, or its centroids are of
                another dimension.
        """
        if expert.name == BASE or not _NAME.fullmatch(expert.name):
            raise InputError(
                f'"{expert.name}" cannot name an expert; use letters, digits, ".", "_" and "-", and not'
                f' "{BASE}"'
            )
        if expert.name in self.names:
            raise InputError(
                f"there is an expert {expert.name} already; remove it first, or choose another name"
            )
        dimension = expert.centroids.shape[1]
        if any(other.centroids.shape[1] != dimension for other in self.experts):
            raise InputError(
                f"the centroids of {expert.name} have {dimension} dimensions, those of others more or less"
            )
        return replace(self, experts=(*self.experts, expert))

    def without(self, name: str) -> Self:
        """The table with one expert less; the others answer as before.

        Raises:
            InputError: There is none of this name.
        """
        if name not in self.names:
            raise InputError(f"there is no expert {name}; there are: {', '.join(self.names) or 'none'}")
        return replace(self, experts=tuple(each for each in self.experts if each.name != name))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the experts, in their order."""
        return tuple(each.name for each in self.experts)


def write_routing_table(path: Path, table: RoutingTable) -> None:
    """Write a table; a reader sees the former one or this one, never a part.

    Raises:
        InputError: It cannot be written.
    """
    document = {
        "kind": _KIND,
        "base": table.base,
        "base_fingerprint": table.base_fingerprint,
        "experts": [_row(each) for each in table.experts],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from None


def read_routing_table(path: Path) -> RoutingTable:
    """The table of a file.

    Raises:
        ModelError: It is absent, or not what `write_routing_table` writes.
    """
    if not path.is_file():
        raise ModelError(f"there is no routing table {path}; add an expert: ragwright tune routing add NAME")
    document = read_json(path)
    try:
        if document["kind"] != _KIND:
            raise ValueError(f'its kind is "{document["kind"]}", not "{_KIND}"')
        table = RoutingTable(str(document["base"]), str(document["base_fingerprint"]))
        for row in document["experts"]:
            table = table.with_expert(_expert(row))
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path} is no routing table that can be read ({error}); delete it and add its experts again"
        ) from None
    return table


@contextmanager
def held_routing_table(path: Path) -> Iterator[None]:
    """Hold a table while it is read, changed and written; serving goes on meanwhile.

    Raises:
        WorkspaceBusy: Another process changes it for longer than ten seconds.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(path.with_suffix(".lock")), timeout=_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise WorkspaceBusy(f"{path} is being changed by another process; wait until it ends") from None
    try:
        yield
    finally:
        lock.release()


def _row(expert: Expert) -> dict[str, Any]:
    centroids = np.round(expert.centroids.astype(np.float64), _DECIMALS).tolist()
    names = {"name": expert.name, "kind": expert.kind, "folder": expert.folder}
    return {**names, "floor": expert.floor, "centroids": centroids}


def _expert(row: dict[str, Any]) -> Expert:
    centroids = np.asarray(row["centroids"], np.float32)
    if centroids.ndim != 2 or not centroids.size or not np.isfinite(centroids).all():
        raise ValueError(f"the centroids of {row['name']} are no rows of finite numbers")
    norms = np.linalg.norm(centroids, axis=1, keepdims=True)
    if (norms < 0.5).any():
        raise ValueError(f"a centroid of {row['name']} is not of unit length")
    kind: ExpertKind = row["kind"]
    if kind not in ("adapter", "encoder"):
        raise ValueError(f'the expert {row["name"]} is of the kind "{kind}", not adapter or encoder')
    return Expert(str(row["name"]), kind, str(row["folder"]), centroids / norms, float(row["floor"]))
