"""Quantised models on disk: where an accepted one stands, and the verdict that it was accepted by.

The verdict names the folder of its model. A new model is put beside the former, and its verdict takes the
former's place in one rename, so that at any moment one of the two is in force, whole.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.retrieval.model import ModelFolder
from ragwright.retrieval.scratch import in_turn, remove_leftovers

VERDICT = "verdict.json"
SCRATCH = ".quantise-"
"""What the names of folders begin with in which models are made."""

_SUFFIX = "-int8"
_NUMBERS = "model.bin"  # weights, ranges and scales; the names in model.xml differ from run to run


@dataclass(frozen=True, slots=True)
class QuantisedModel:
    """A transformer in int8.

    Attributes:
        folder: Holds `model.xml` and `model.bin`; `verdict.json` stands beside it once it was accepted.
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
    verdict = read_verdict(model, cache)
    if verdict is None:
        raise ModelError(
            f"{model.name} has no accepted int8 model in {cache}; run: ragwright quantize (where nothing is "
            "ingested yet, first: ragwright ingest PATH --set encoder.precision=auto), "
            "or set encoder.precision=auto"
        )
    folder = _place(model, cache) / str(verdict.get("folder", ""))  # one without a name lies beside it
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
    """Let a quantised model be used, in place of one that was accepted before, which is then deleted.

    Args:
        draft: What was measured; its folder, on the disk of the cache, is moved.
        verdict: Why it is accepted; what JSON takes. The names of the model, of its folder and of the models
            whose place it takes are added.
        model: What it was made of.
        cache: Folder of converted models.
    """
    place = _place(model, cache)
    with in_turn(cache):
        told = {**verdict, "fingerprint": draft.fingerprint}
        if former := _former(model, cache, now=draft.fingerprint):
            told["former"] = former
        # The former may be an equal model in a folder of its own, so the name says more than what is inside.
        told["folder"] = f"{draft.fingerprint}-{secrets.token_hex(4)}"
        place.mkdir(exist_ok=True)
        folder = draft.folder.rename(place / told["folder"])
        written = place / f".{VERDICT}"
        written.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        written.replace(place / VERDICT)
        _leave_only(place, VERDICT, folder.name)
    return QuantisedModel(folder, draft.fingerprint)


def _leave_only(place: Path, *names: str) -> None:
    """Delete what else lies in a folder: the model before, and what a killed run did not come to name."""
    for path in place.iterdir():
        if path.name in names:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove_killed_drafts(cache: Path) -> None:
    """Remove what runs left that were killed while they made a model.

    Args:
        cache: Folder of converted models; it need not exist.
    """
    remove_leftovers(cache, prefix=SCRATCH)


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
