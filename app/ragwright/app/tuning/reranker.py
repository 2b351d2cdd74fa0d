"""Training a reranker: from a workspace's examples to a tuned model's folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragwright.app.tuning.run_folder import Lessons, read_lessons, run_folder

if TYPE_CHECKING:
    from ragwright.app.tuning.reader import Wanted
    from ragwright.app.workspace import Workspace
    from ragwright.finetune.reader_model import ReaderStart
    from ragwright.finetune.training import Progress, Training
    from ragwright.finetune.tuned_model import TunedModel


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a training needs of a workspace, which need not be held any longer.

    Attributes:
        wanted: Which reranker.
        folder: Of the tuned model.
        lessons: What is learnt from.
        start: The model that is trained.
        model: What learns, a `CrossEncoder`.
        training: How long and how fast.
    """

    wanted: Wanted
    folder: Path
    lessons: Lessons
    start: ReaderStart
    model: Any
    training: Training


def prepare(workspace: Workspace, wanted: Wanted) -> Prepared:
    """Read what a training needs.

    Raises:
        InputError: There are no examples, or the name is taken.
        ModelError: The base cannot be opened.
        MissingExtra: A library of the extra `tune` is absent.
    """
    from ragwright.app.tuning.reader import training_of
    from ragwright.finetune.reranker import load_reranker

    config = workspace.config.tune
    folder = run_folder(workspace, wanted.name, fresh=wanted.fresh)
    lessons = read_lessons(workspace)
    start = starting_point(workspace, wanted.base)
    return Prepared(
        wanted=wanted,
        folder=folder,
        lessons=lessons,
        start=start,
        model=load_reranker(start, dropout=config.dropout, seed=config.seed),
        training=training_of(config),
    )


def starting_point(workspace: Workspace, base: str | None) -> ReaderStart:
    """What a reranker is made from: a cross-encoder, which goes on learning, or an encoder.

    Raises:
        InputError: It is LoRA weights.
        ModelError: It cannot be opened as either.
    """
    from ragwright.app.tuning import reader
    from ragwright.core.errors import ModelError
    from ragwright.finetune.reader_model import ReaderStart
    from ragwright.retrieval.pair_model import open_pair_model

    if base is not None:
        try:
            model = open_pair_model(base).model
        except ModelError:
            return reader.starting_point(workspace, base)
        return ReaderStart(model.path, base, model.fingerprint, model.padding, model.positions)
    return reader.starting_point(workspace, base)


def tune_reranker(prepared: Prepared, *, told: Callable[[Progress], None]) -> TunedModel:
    """Train a reranker and complete its folder; an unfinished training of this name is gone on with.

    Raises:
        InputError: An unfinished training of something else has this name.
        ModelError: The training does not fit into memory, or went wrong.
    """
    from ragwright.finetune.card import describe, finish
    from ragwright.finetune.reranker import PURPOSE, save_reranker, train_reranker

    lessons, wanted, start = prepared.lessons, prepared.wanted, prepared.start
    trained = train_reranker(
        prepared.model,
        start,
        lessons.train,
        lessons.dev,
        prepared.folder,
        training=prepared.training,
        identity=lessons.identity(),
        report=told,
    )
    tuned = describe(
        wanted.name,
        "reranker",
        base=start.name,
        base_fingerprint=start.fingerprint,
        data=lessons.data,
        examples=lessons.train,
        seed=prepared.training.seed,
        settings=asdict(prepared.training),
        trained=trained,
    )
    purpose = PURPOSE.format(name=wanted.name)
    finish(prepared.folder, tuned, save=lambda into: save_reranker(prepared.model, into), purpose=purpose)
    return tuned
