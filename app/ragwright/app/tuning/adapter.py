"""Training a query adapter: from a workspace's examples and index to a tuned model's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragwright.app.tuning.run_folder import read_lessons, run_folder
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.tuning.dev_search import DevQuestion, DevSearch
    from ragwright.app.tuning.run_folder import Lessons
    from ragwright.app.workspace import Workspace
    from ragwright.core.types import Vectors
    from ragwright.finetune.adapter_loss import AdapterData
    from ragwright.finetune.query_adapter import AdapterSettings, FittedAdapter
    from ragwright.finetune.tuned_model import TunedModel
    from ragwright.finetune.values import Example

_FETCHED = 4096  # vectors
_ENCODED = 1024  # questions

_PURPOSE = """\
A matrix that moves the vectors of questions; the index stays as it is. It is used by
`ragwright tune promote {name}`, by naming its folder as `encoder.query_adapter`, or as an expert:
`ragwright tune routing add {name}`. It fits the encoder that is named below and no other."""

Told = Callable[[int, Mapping[str, float]], None]
"""Told the step and what the dev questions showed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which adapter is to be trained.

    Attributes:
        name: Of the tuned model.
        documents: Patterns of sources, such as `policies/*`; examples of other documents are left out. Empty:
            none are.
    """

    name: str
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TunedAdapter:
    """What came of it.

    Attributes:
        folder: Of the tuned model.
        tuned: Its manifest; None: no adapter serves the dev questions better than none, and nothing is kept.
        fitted: The training.
        examples: How many were learnt from.
        dev: How many dev questions chose.
    """

    folder: Path
    tuned: TunedModel | None
    fitted: FittedAdapter
    examples: int
    dev: int


def tune_adapter(workspace: Workspace, wanted: Wanted, *, told: Told) -> TunedAdapter:
    """Train an adapter for the encoder that answers now, and complete its folder.

    Raises:
        InputError: There are no examples of these documents, none to choose by, or the name is taken.
    """
    from ragwright.finetune.query_adapter import fit_adapter

    folder = run_folder(workspace, wanted.name)
    lessons = read_lessons(workspace)
    train, dev = (chosen(part, wanted.documents) for part in (lessons.train, lessons.dev))
    _check(train, dev, wanted)
    settings = settings_of(workspace)
    looks: list[tuple[int, Mapping[str, float]]] = []

    def look(step: int, measured: Mapping[str, float]) -> None:
        looks.append((step, measured))
        told(step, measured)

    fitted = fit_adapter(
        adapter_data(workspace, train),
        dev=encoded(workspace, [each.query for each in dev]),
        measure=_dev_search(workspace, dev),
        base=(workspace.models.encoder_name, workspace.encoder.fingerprint),
        settings=settings,
        look=look,
    )
    tuned = None
    if fitted.adapter is not None:
        tuned = _described(wanted, fitted, settings, lessons, train)
        _keep(folder, tuned, fitted, looks)
    return TunedAdapter(folder, tuned, fitted, len(train), len(dev))


def settings_of(workspace: Workspace) -> AdapterSettings:
    """How an adapter is trained, by the `[tune]` section."""
    from ragwright.finetune.query_adapter import AdapterSettings

    config = workspace.config.tune
    return AdapterSettings(rank=config.adapter_rank, seed=config.seed)


def chosen(examples: Sequence[Example], documents: Sequence[str]) -> list[Example]:
    """The examples whose best positive stands in a document that fits a pattern; all without patterns."""
    if not documents:
        return list(examples)
    return [each for each in examples if any(fnmatch(each.positives[0].source, name) for name in documents)]


def adapter_data(workspace: Workspace, examples: Sequence[Example]) -> AdapterData:
    """The vectors of examples: questions encoded, chunks from the index."""
    from ragwright.finetune.adapter_loss import AdapterData

    version, manifest = workspace.live()
    index = workspace.open_index(version, manifest)
    ids = sorted({p.id for each in examples for p in (*each.positives, *each.negatives)})
    vectors: dict[str, Vectors] = {}
    for first in range(0, len(ids), _FETCHED):
        found = index.encodings(ids[first : first + _FETCHED])
        vectors |= {key: each.vector for key, each in found.items()}
    return AdapterData.of(
        examples, queries=encoded(workspace, [each.query for each in examples]), chunks=vectors
    )


def encoded(workspace: Workspace, texts: Sequence[str]) -> Vectors:
    """The encoder's own vectors of questions, shape (n, dim)."""
    encoder = workspace.encoder
    parts = [
        encoder.encode_queries(texts[first : first + _ENCODED]) for first in range(0, len(texts), _ENCODED)
    ]
    return np.concatenate(parts)


def _dev_search(workspace: Workspace, examples: Sequence[Example]) -> DevSearch:
    from ragwright.app.tuning.dev_search import dev_search
    from ragwright.app.tuning.examples import tenant_retriever

    version, manifest = workspace.live()
    names = workspace.catalog.names()
    return dev_search(
        dev_questions(workspace, examples),
        retriever=tenant_retriever(workspace),
        index=workspace.open_index(version, manifest),
        options=workspace.models.search_options(),
        sources={row.id: names[row.document_id] for row in workspace.catalog.ledger(version)},
    )


def dev_questions(workspace: Workspace, examples: Sequence[Example]) -> list[DevQuestion]:
    """Examples as questions that are looked at, each asked within its document if it says so."""
    from ragwright.app.tuning.dev_search import DevQuestion
    from ragwright.app.tuning.examples import filters_of, questions_by_part

    filters = {each.id: filters_of(each) for each in questions_by_part(workspace)["dev"]}
    return [
        DevQuestion(
            each.query, frozenset(passage.id for passage in each.positives), filters.get(each.question_id, {})
        )
        for each in examples
    ]


def _check(train: Sequence[Example], dev: Sequence[Example], wanted: Wanted) -> None:
    """Refuse to learn from nothing, and to choose by nothing."""
    of_these = f" of documents like {', '.join(wanted.documents)}" if wanted.documents else ""
    for examples, part, purpose in ((train, "train", "learn from"), (dev, "dev", "choose by")):
        if not examples:
            raise InputError(
                f"there are no examples{of_these} in the part {part} to {purpose}; make more questions: "
                "ragwright tune questions, then: ragwright tune negatives"
            )


def _described(
    wanted: Wanted,
    fitted: FittedAdapter,
    settings: AdapterSettings,
    lessons: Lessons,
    train: Sequence[Example],
) -> TunedModel:
    from ragwright.finetune.card import describe
    from ragwright.finetune.query_adapter import describe_settings

    assert fitted.adapter is not None
    metrics = {f"start.{key}": value for key, value in fitted.start.items()}
    metrics |= {f"dev.{key}": value for key, value in fitted.dev.items()}
    return describe(
        wanted.name,
        "adapter",
        base=fitted.adapter.base,
        base_fingerprint=fitted.adapter.base_fingerprint,
        data=lessons.data,
        examples=train,
        seed=settings.seed,
        settings={**describe_settings(settings, fitted), "documents": list(wanted.documents)},
        metrics={**metrics, "steps": float(fitted.steps), "seconds": round(fitted.seconds, 1)},
    )


def _keep(
    folder: Path, tuned: TunedModel, fitted: FittedAdapter, looks: Sequence[tuple[int, Mapping[str, float]]]
) -> None:
    from ragwright.core.query_adapter import write_query_adapter
    from ragwright.finetune.card import finish
    from ragwright.finetune.rows import write_lines
    from ragwright.finetune.tuned_model import CURVES

    adapter = fitted.adapter
    assert adapter is not None
    write_lines(folder / CURVES, ({"step": step, "dev": dict(measured)} for step, measured in looks))
    finish(
        folder,
        tuned,
        save=lambda place: write_query_adapter(place, adapter),
        purpose=_PURPOSE.format(name=tuned.name),
    )
