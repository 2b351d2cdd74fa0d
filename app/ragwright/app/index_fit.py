"""Whether an index fits the program and the model that are to use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragwright.core.errors import IndexDamaged

if TYPE_CHECKING:
    from ragwright.ingest.catalog_values import Manifest


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """The model that the settings name.

    Attributes:
        name: As it is configured.
        fingerprint: Vectors of equal fingerprints may be compared.
        dimension: Length of a vector.
        is_int8: Whether a fingerprint is that of an int8 model which is accepted here, or was.
    """

    name: str
    fingerprint: str
    dimension: int
    is_int8: Callable[[str], bool]


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


def check_model(version: str, manifest: Manifest, model: ConfiguredModel) -> None:
    """Refuse an index that the configured model did not make.

    Raises:
        IndexDamaged: With both names and the command that mends it.
    """
    if manifest.fingerprint != model.fingerprint:
        both = manifest.dimension, model.dimension
        then, now = both if both[0] != both[1] else (None, None)
        made = _named(manifest.model, manifest.fingerprint, then, model)
        configured = _named(model.name, model.fingerprint, now, model)
        raise IndexDamaged(
            f"index {version} was made with {made}, and the configured model is {configured}; "
            "set encoder.model, encoder.precision and encoder.dimension back, "
            "or run: ragwright ingest --rebuild"
        )


def _named(name: str, fingerprint: str, dimension: int | None, model: ConfiguredModel) -> str:
    """A model as messages name it; the dimension where it is told."""
    facts = [fingerprint, *(["int8"] if model.is_int8(fingerprint) else [])]
    if dimension is not None:
        facts.append(f"{dimension} dimensions")
    return f"{name} ({', '.join(facts)})"
