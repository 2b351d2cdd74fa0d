"""Quantised models on disk: where an accepted one stands, and the verdict that it was accepted by."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.retrieval.model import ModelFolder

VERDICT = "verdict.json"
_SUFFIX = "-int8"
_NUMBERS = "model.bin"  # weights, ranges and scales; the names in model.xml differ from run to run


@dataclass(frozen=True, slots=True)
class QuantisedModel:
    """A transformer in int8.

    Attributes:
        folder: Holds `model.xml` and `model.bin`, and `verdict.json` once it was accepted.
        fingerprint: Names the model it was made of and its numbers: its vectors are compared with no others.
    """

    folder: Path
    fingerprint: str


def quantised_in(folder: Path, model: ModelFolder) -> QuantisedModel:
    """A quantised model as its files are now.

    Args:
        folder: Holds its files.
        model: What it was made of.

    Raises:
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256(model.fingerprint.encode())
    digest.update((folder / _NUMBERS).read_bytes())
    return QuantisedModel(folder, digest.hexdigest()[:16])


def accepted_model(model: ModelFolder, cache: Path) -> QuantisedModel:
    """The quantised form of a model that `ragwright quantize` measured and accepted.

    Args:
        model: The model folder.
        cache: Folder of converted models.

    Raises:
        ModelError: There is none, or its files are not those that were accepted.
    """
    folder = _place(model, cache)
    verdict = read_verdict(model, cache)
    if verdict is None:
        raise ModelError(
            f"{model.name} has no accepted int8 model in {cache}; run: ragwright quantize (where nothing is "
            "ingested yet, first: ragwright ingest PATH --set encoder.precision=auto), "
            "or set encoder.precision=auto"
        )
    try:
        found = quantised_in(folder, model)
    except OSError as error:
        raise ModelError(f"{folder} cannot be read ({error}); run: ragwright quantize") from None
    if found.fingerprint != verdict.get("fingerprint"):
        raise ModelError(
            f"the int8 model in {folder} is {found.fingerprint}, and the accepted one was "
            f"{verdict.get('fingerprint')}; run: ragwright quantize"
        )
    return found


def read_verdict(model: ModelFolder, cache: Path) -> dict[str, Any] | None:
    """What `accept` wrote beside the model; None where nothing was accepted.

    Raises:
        ModelError: It cannot be read.
    """
    return _read(_place(model, cache) / VERDICT)


def is_int8(fingerprint: str, cache: Path) -> bool:
    """Whether an int8 model of this name is accepted, or was before another took its place.

    Args:
        fingerprint: Of any model.
        cache: Folder of converted models. Verdicts in it that cannot be read are passed over.
    """
    for path in cache.glob(f"*{_SUFFIX}/{VERDICT}"):
        with suppress(ModelError):
            verdict = _read(path) or {}
            if fingerprint in (verdict.get("fingerprint"), *verdict.get("former", ())):
                return True
    return False


def _read(path: Path) -> dict[str, Any] | None:
    try:
        verdict = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}); run: ragwright quantize") from None
    return verdict if isinstance(verdict, dict) else None


def accept(
    draft: QuantisedModel, verdict: Mapping[str, Any], *, model: ModelFolder, cache: Path
) -> QuantisedModel:
    """Let a quantised model be used, in place of one that was accepted before.

    Args:
        draft: What was measured; its folder, on the disk of the cache, is moved.
        verdict: Why it is accepted; what JSON takes. The names of the models whose place it takes are added.
        model: What it was made of.
        cache: Folder of converted models.
    """
    told = {**verdict, "fingerprint": draft.fingerprint}
    if former := _former(model, cache, now=draft.fingerprint):
        told["former"] = former
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    (draft.folder / VERDICT).write_text(text, encoding="utf-8")
    place = _place(model, cache)
    grave = Path(tempfile.mkdtemp(dir=cache, prefix=".replaced-"))
    try:
        if place.exists():
            place.rename(grave / place.name)
        draft.folder.rename(place)
    finally:
        shutil.rmtree(grave, ignore_errors=True)
    return QuantisedModel(place, draft.fingerprint)


def _former(model: ModelFolder, cache: Path, *, now: str) -> list[str]:
    """Names of the models that were accepted before, oldest first; none where the verdict is damaged."""
    try:
        verdict = read_verdict(model, cache) or {}
    except ModelError:
        return []
    names = [*verdict.get("former", ()), verdict.get("fingerprint")]
    return [name for name in names if name not in (None, now)]


def _place(model: ModelFolder, cache: Path) -> Path:
    return cache / f"{model.fingerprint}{_SUFFIX}"
