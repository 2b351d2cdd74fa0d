"""Whether an index fits the program and the model that are to use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ragwright.app.version_models import EMBEDDER
from ragwright.core.errors import IndexDamaged

if TYPE_CHECKING:
    from ragwright.app.version_models import VersionModels
    from ragwright.ingest.catalog_values import Manifest

IsInt8 = Callable[[str], bool]
"""Whether a fingerprint is that of an int8 model which is accepted here, or was."""


def check_layout(version: str, manifest: Manifest) -> None:
    """Refuse an index whose payload this program does not read.

    Raises:
        IndexDamaged: With both layouts and the command that mends it.
    """
    from ragwright.retrieval.payload import SCHEMA_VERSION

    if manifest.schema != SCHEMA_VERSION:
        raise IndexDamaged(
            f"index {version} has layout {manifest.schema} and this version of ragwright reads "
            f"{SCHEMA_VERSION}; run: ragwright ingest --rebuild"
        )


def check_model(version: str, manifest: Manifest, models: VersionModels, *, is_int8: IsInt8) -> None:
    """Refuse an index that the promoted model did not make, or the configured one where none was promoted.

    Raises:
        IndexDamaged: With both names and the command that mends it.
        ModelError: The model cannot be opened.
    """
    encoder = models.encoder
    if manifest.fingerprint == encoder.fingerprint:
        return
    both = manifest.dimension, encoder.dimension
    then, now = both if both[0] != both[1] else (None, None)
    made = _named(manifest.model, manifest.fingerprint, then, is_int8)
    present = _named(models.encoder_name, encoder.fingerprint, now, is_int8)
    promoted = EMBEDDER in models.parts
    kind = "the promoted model" if promoted else "the configured model"
    settings = "encoder.precision" if promoted else "encoder.model, encoder.precision"
    raise IndexDamaged(
        f"index {version} was made with {made}, and {kind} is {present}; "
        f"set {settings} and encoder.dimension back, or run: ragwright ingest --rebuild"
    )


def _named(name: str, fingerprint: str, dimension: int | None, is_int8: IsInt8) -> str:
    """A model as messages name it; the dimension where it is told."""
    facts = [fingerprint, *(["int8"] if is_int8(fingerprint) else [])]
    if dimension is not None:
        facts.append(f"{dimension} dimensions")
    return f"{name} ({', '.join(facts)})"
