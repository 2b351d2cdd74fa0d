"""The manifest of an evaluation: everything that is needed to read its figures later, or to repeat it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ragwright.app.console import plain
from ragwright.app.evaluated import Place, digest_of
from ragwright.core.config import settings

if TYPE_CHECKING:
    from ragwright.core.config import Config
    from ragwright.eval.values import Dataset


def run_manifest(
    place: Place,
    dataset: Dataset,
    *,
    name: str,
    request: Mapping[str, Any],
    seconds: Mapping[str, float],
    units: str,
) -> dict[str, Any]:
    """What was run on what.

    Args:
        place: What was asked.
        dataset: What it was asked.
        name: Of the run.
        request: What was wanted of the evaluation.
        seconds: Wall time by stage.
        units: What overlap was counted in.

    Returns:
        A mapping that JSON takes.
    """
    from ragwright.eval.machine import code_facts, machine_facts, peak_megabytes

    workspace, ingest = place.workspace, place.ingest
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
            "documents_digest": digest_of(workspace),
        },
        "request": dict(request),
        "config": config_facts(workspace.config),
        "models": {"encoder": index.fingerprint, **index.parts},
        "index": {"version": version, "chunks": counts.chunks, "chunkers": dict(index.chunkers)},
        "code": code_facts(),
        "machine": machine_facts(),
        "seeds": {"sample": request["seed"], "perturbations": request["seed"], "bootstrap": 0},
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
