"""The manifest of an evaluation: everything that is needed to read its figures later, or to repeat it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ragwright.app.console import plain
from ragwright.core.config import settings

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.config import Config
    from ragwright.eval.values import Dataset
    from ragwright.ingest.report import IngestReport


def run_manifest(
    workspace: Workspace,
    dataset: Dataset,
    *,
    name: str,
    ingest: IngestReport | None,
    seconds: Mapping[str, float],
    seeds: Mapping[str, int],
    units: str,
) -> dict[str, Any]:
    """What was run on what.

    Args:
        workspace: That was asked.
        dataset: That it was asked.
        name: Of the run.
        ingest: The ingest that made the workspace, if it is a temporary one.
        seconds: Wall time by stage.
        seeds: Of everything that was drawn.
        units: What overlap was counted in.

    Returns:
        A mapping that JSON takes.
    """
    from ragwright.eval.machine import code_facts, machine_facts, peak_megabytes

    version, index = workspace.live()
    counts = workspace.catalog.counts(version)
    return {
        "name": name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["ragwright", *sys.argv[1:]]),
        "dataset": {
            "name": dataset.name,
            "format": dataset.format,
            "digest": dataset.digest,
            "questions": len(dataset.items),
            "answerable": sum(item.answerable for item in dataset.items),
            "documents": counts.documents,
        },
        "config": config_facts(workspace.config),
        "models": {"encoder": index.fingerprint},
        "index": {"version": version, "chunks": counts.chunks, "chunkers": dict(index.chunkers)},
        "code": code_facts(),
        "machine": machine_facts(),
        "seeds": dict(seeds),
        "units": units,
        "seconds": dict(seconds),
        "peak_megabytes": peak_megabytes(),
        "ingest": None if ingest is None else {**asdict(ingest), "failed": ingest.failed},
    }


def config_facts(config: Config) -> dict[str, Any]:
    """Every setting by dotted key; secrets are masked."""
    return {key: plain(config.value(key)) if not _secret(config.value(key)) else "***" for key in settings()}


def _secret(value: object) -> bool:
    return hasattr(value, "get_secret_value")
