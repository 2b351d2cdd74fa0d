"""The end of a training: model, card and manifest in the tuned model's folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ragwright.core.model_folder import file_digest
from ragwright.finetune.checkpoints import Checkpoints
from ragwright.finetune.training import Trained
from ragwright.finetune.tuned_model import CARD, CURVES, MODEL, Kind, TunedModel, write_tuned
from ragwright.finetune.values import Example

_PACKAGES = ("ragwright", "torch", "transformers", "sentence-transformers", "accelerate", "peft")


def describe(
    name: str,
    kind: Kind,
    *,
    base: str,
    base_fingerprint: str,
    data: Path | None,
    examples: Iterable[Example],
    seed: int,
    settings: Mapping[str, Any],
    trained: Trained | None = None,
    metrics: Mapping[str, float] | None = None,
) -> TunedModel:
    """The manifest of a model that was trained now.

    Args:
        name: Of its folder.
        kind: What it is.
        base: The model it was made from, as configured.
        base_fingerprint: Of the base.
        data: File of the training examples, for its digest.
        examples: What was trained on; counted by the document of the best positive.
        seed: Of everything that was drawn.
        settings: Every setting of the training.
        trained: What came of it: its looks become the metrics `start.*` and `dev.*`.
        metrics: More metrics.
    """
    counted = Counter(each.positives[0].source for each in examples)
    return TunedModel(
        name=name,
        kind=kind,
        base=base,
        base_fingerprint=base_fingerprint,
        data=file_digest(data) if data is not None else "",
        seed=seed,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        sources=dict(sorted(counted.items())),
        settings=dict(settings),
        metrics={**(_metrics(trained) if trained else {}), **(metrics or {})},
        versions={each: found for each in _PACKAGES if (found := _version(each))},
    )


def finish(folder: Path, tuned: TunedModel, *, save: Callable[[Path], None], purpose: str) -> None:
    """Complete the folder of a tuned model; nothing of the training but its curves stays.

    Args:
        folder: The run's folder, as given to `train`.
        tuned: Its manifest, written last.
        save: Writes the model's files into the folder that it is given, weights as safetensors.
        purpose: What the model is for and how it is used, as Markdown; stands in the card.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder, prefix=f".{MODEL}-"))
    try:
        save(scratch)
        (scratch / CARD).unlink(missing_ok=True)  # the library's own, which knows less
        scratch.chmod(0o755)
        shutil.rmtree(folder / MODEL, ignore_errors=True)
        scratch.rename(folder / MODEL)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _write_text(folder / CARD, card(tuned, purpose=purpose))
    write_tuned(folder, tuned)
    Checkpoints(folder).remove()
    (folder / "lock").unlink(missing_ok=True)


def card(tuned: TunedModel, *, purpose: str) -> str:
    """The model card, as Markdown."""
    base = f"`{tuned.base}` (fingerprint `{tuned.base_fingerprint}`)"
    facts = [("Kind", tuned.kind), ("Base", base), ("Made", tuned.made), ("Seed", str(tuned.seed))]
    if tuned.data:
        facts.append(("Training examples", f"SHA-256 `{tuned.data}`"))
    parts = [
        f"# {tuned.name}",
        purpose.strip(),
        _table(("", ""), facts),
        "## What it showed\n\n"
        "`start` is the model before training, `dev` the one that was kept; both on dev questions, by which "
        f"it was chosen, so they flatter it. `{CURVES}` has every step.",
        _table(("measure", "value"), [(each, f"{value:.4f}") for each, value in tuned.metrics.items()]),
        "## What it learnt from",
        _table(("document", "examples"), [(each, f"{count:,}") for each, count in tuned.sources.items()]),
        "## Settings",
        _table(("setting", "value"), [(each, f"`{value}`") for each, value in tuned.settings.items()]),
        "## Versions",
        _table(("package", "version"), list(tuned.versions.items())),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    """A Markdown table; a dash where there are no rows."""
    if not rows:
        return "None."
    escaped = [tuple(" ".join(cell.replace("|", "\\|").split()) for cell in row) for row in rows]
    return "\n".join(f"| {left} | {right} |" for left, right in [head, ("---", "---"), *escaped])


def _metrics(trained: Trained) -> dict[str, float]:
    found = {f"start.{name}": value for name, value in trained.start.items()}
    found |= {f"dev.{name}": value for name, value in trained.dev.items()}
    counts = {"steps": trained.steps, "best step": trained.best, "seconds": round(trained.seconds, 1)}
    return found | {name: float(value) for name, value in counts.items()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _write_text(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)
