"""A tuned model on disk: its files, and beside them what it was made of and what it is good for.

In `<workspace>/tuned/<name>/` stand:

- `tuned.json`: this manifest, written last, so that a folder without it is an unfinished one;
- `model/`: what is loaded: a model folder, an adapter folder, or a matrix;
- `README.md`: the model card;
- `curves.jsonl`: loss and dev metric by step.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ragwright.core.errors import ModelError

Kind = Literal["embedder", "lora", "adapter", "reranker", "reader", "sparse", "adapted"]
"""A whole embedder; LoRA weights for one; a matrix for query vectors; a cross-encoder; a reader; a sparse
encoder; an encoder that read the corpus without labels, to start others from."""

MANIFEST, MODEL, CARD, CURVES = "tuned.json", "model", "README.md", "curves.jsonl"


@dataclass(frozen=True, slots=True)
class TunedModel:
    """What is known of a tuned model.

    Attributes:
        name: Of its folder; unique in a workspace.
        kind: What it is.
        base: The model it was made from, as configured.
        base_fingerprint: Of the base.
        data: SHA-256 of the training examples' file, in hex; "" where none were used.
        sources: How many examples came from each document.
        seed: Of everything that was drawn.
        settings: Every setting of the training.
        metrics: What was measured, by name, such as `dev.nDCG@10`.
        versions: Of the packages that computed.
        made: When, as ISO 8601 in UTC.
    """

    name: str
    kind: Kind
    base: str
    base_fingerprint: str
    data: str
    seed: int
    made: str
    sources: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def write_tuned(folder: Path, tuned: TunedModel) -> None:
    """Complete a tuned model's folder by its manifest."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{MANIFEST}-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(tuned), file, indent=2, ensure_ascii=False)
    Path(name).replace(folder / MANIFEST)


def read_tuned(folder: Path) -> TunedModel:
    """The manifest of a tuned model.

    Raises:
        ModelError: There is none, or it cannot be read.
    """
    try:
        return TunedModel(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ModelError(f"{folder} holds no tuned model, or one that is not finished") from None
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder / MANIFEST} cannot be read ({error}); tune the model again") from None


def tuned_models(folder: Path) -> list[tuple[Path, TunedModel]]:
    """Every finished tuned model in a folder, oldest first."""
    if not folder.is_dir():
        return []
    found = [(each, read_tuned(each)) for each in folder.iterdir() if (each / MANIFEST).is_file()]
    return sorted(found, key=lambda pair: (pair[1].made, pair[1].name))
