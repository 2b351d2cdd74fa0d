"""Training an embedder or LoRA weights for it: from a workspace's examples to a tuned model's folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragwright.app.tuning.run_folder import Lessons, read_lessons, run_folder
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.types import Chunk
    from ragwright.finetune.embedder import Teacher
    from ragwright.finetune.embedder_batches import Frozen
    from ragwright.finetune.learner import Learner, StartingPoint
    from ragwright.finetune.training import Progress, Training
    from ragwright.finetune.tuned_model import TunedModel
    from ragwright.finetune.values import TrainingPassage
    from ragwright.retrieval.model import ModelFolder

_FROZEN = 20_000  # passages that each question is compared with, where they keep their vectors

_WHOLE = """\
Turns text into vectors, in place of its base. It is used by `ragwright tune promote {name}`, which builds an
index with it beside the present one, or as `encoder.model`. The vectors of its base fit no index of it."""
_LORA = """\
LoRA weights: with its base it turns text into vectors. It is used by `ragwright tune promote {name}`, or by
naming the folder `model` as `encoder.model`; the base has to be there too."""
_QUERIES = """\
LoRA weights for questions alone: with its base it turns questions into vectors that fit the base's index, so
that nothing is indexed again. It is used as an expert: `ragwright tune routing`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which model is to be trained.

    Attributes:
        name: Of the tuned model.
        base: What it is made from, as for `encoder.model`; None: the encoder that answers now.
        lora: Whether LoRA weights are trained.
        queries_only: Whether these are to read questions only.
        fresh: Whether an unfinished training of this name is thrown away.
    """

    name: str
    base: str | None = None
    lora: bool = False
    queries_only: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a training needs of a workspace, which need not be held any longer.

    Attributes:
        wanted: Which model.
        folder: Of the tuned model.
        lessons: What is learnt from.
        learner: What learns.
        training: How long and how fast.
        frozen: The passages that keep their vectors; None: passages are read by what learns.
        teacher: Whose order of passages is learnt; None: nobody's.
    """

    wanted: Wanted
    folder: Path
    lessons: Lessons
    learner: Learner
    training: Training
    frozen: Frozen | None
    teacher: Teacher | None


def prepare(workspace: Workspace, wanted: Wanted) -> Prepared:
    """Read what a training needs.

    Raises:
        InputError: There are no examples, the name is taken, or the base does not fit what is wanted.
        ModelError: The base or the teacher cannot be opened.
        MissingExtra: A library of the extra `tune` is absent.
    """
    from ragwright.finetune.learner import EmbedderSettings, load_learner
    from ragwright.finetune.training import Training

    config = workspace.config.tune
    folder = run_folder(workspace, wanted.name, fresh=wanted.fresh)
    lessons = read_lessons(workspace)
    start = starting_point(workspace, wanted)
    settings = EmbedderSettings.of(config, lora=wanted.lora, queries_only=wanted.queries_only)
    return Prepared(
        wanted=wanted,
        folder=folder,
        lessons=lessons,
        learner=load_learner(start, settings, examples=lessons.train, seed=config.seed),
        training=Training.of(config, lora=wanted.lora),
        frozen=_frozen(workspace, lessons, seed=config.seed) if wanted.queries_only else None,
        teacher=_teacher(workspace),
    )


def tune_embedder(prepared: Prepared, *, told: Callable[[Progress], None]) -> TunedModel:
    """Train a model and complete its folder; an unfinished training of this name is gone on with.

    Raises:
        InputError: An unfinished training of something else has this name.
        ModelError: The training does not fit into memory, or went wrong.
    """
    from ragwright.finetune.card import describe, finish
    from ragwright.finetune.embedder import train_embedder

    learner, lessons, wanted = prepared.learner, prepared.lessons, prepared.wanted
    trained = train_embedder(
        learner,
        lessons.train,
        lessons.dev,
        prepared.folder,
        training=prepared.training,
        teacher=prepared.teacher,
        frozen=prepared.frozen,
        identity=lessons.identity(),
        report=told,
    )
    tuned = describe(
        wanted.name,
        "lora" if wanted.lora else "embedder",
        base=learner.start.name,
        base_fingerprint=learner.start.fingerprint,
        data=lessons.data,
        examples=lessons.train,
        seed=prepared.training.seed,
        settings={**asdict(prepared.training), **asdict(learner.settings)},
        trained=trained,
    )
    purpose = _QUERIES if wanted.queries_only else _LORA if wanted.lora else _WHOLE
    finish(prepared.folder, tuned, save=learner.save, purpose=purpose.format(name=wanted.name))
    return tuned


def starting_point(workspace: Workspace, wanted: Wanted) -> StartingPoint:
    """The model that is trained.

    Raises:
        InputError: It is LoRA weights, or questions alone are to be read with another model than the index's.
        ModelError: It cannot be opened.
    """
    from ragwright.finetune.learner import StartingPoint
    from ragwright.retrieval.model import open_model

    present = workspace.encoder.model
    model = open_model(wanted.base) if wanted.base else open_model(present.name)
    if model.lora is not None:
        raise InputError(
            f"{model.name} is LoRA weights on {model.lora.base}; name a whole model with --base, such as that"
        )
    if wanted.queries_only and model.fingerprint != present.fingerprint:
        raise InputError(
            f"the index was made with {present.name} ({present.fingerprint}), and the base is {model.name} "
            f"({model.fingerprint}); weights for questions alone need the model of the index"
        )
    return StartingPoint(
        path=model.path,
        name=_lasting(model),
        fingerprint=model.fingerprint,
        query_prompt=model.query_prompt,
        passage_prompt=model.passage_prompt,
        max_tokens=model.max_tokens,
        padding=model.padding,
    )


def _lasting(model: ModelFolder) -> str:
    """A model's name that means the same in any folder."""
    path = Path(model.name).expanduser()
    return str(path.resolve()) if path.is_dir() else model.name


def _frozen(workspace: Workspace, lessons: Lessons, *, seed: int) -> Frozen:
    """The passages of the examples with their vectors, and others of the index up to a bound."""
    from random import Random

    import numpy as np

    from ragwright.finetune.embedder_batches import Frozen

    version, manifest = workspace.live()
    index = workspace.open_index(version, manifest)
    wanted = {
        each.id: each
        for example in [*lessons.train, *lessons.dev]
        for each in (*example.positives, *example.negatives)
    }
    others = sorted({stored.chunk.id for part in index.scan() for stored in part} - wanted.keys())
    drawn = Random(seed).sample(others, min(len(others), max(0, _FROZEN - len(wanted))))
    wanted |= {key: _passage(each.chunk, each.source) for key, each in index.fetch(drawn).items()}
    vectors = index.encodings(list(wanted))
    passages = [each for key, each in wanted.items() if key in vectors]
    return Frozen(passages, np.stack([vectors[each.id].vector for each in passages]))


def _passage(chunk: Chunk, source: str) -> TrainingPassage:
    from ragwright.finetune.values import TrainingPassage

    return TrainingPassage(chunk.id, source, chunk.context + chunk.text)


def _teacher(workspace: Workspace) -> Teacher | None:
    """The configured cross-encoder as a teacher; its scores as logits."""
    name = workspace.config.tune.teacher
    if name is None:
        return None
    from ragwright.retrieval.cross_encoder import load_cross_encoder

    model = load_cross_encoder(name, workspace.compute)

    def score(pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        found: Any = model.rerank([query for query, _ in pairs], [[_chunk(text)] for _, text in pairs])
        return logits([float(each[0]) for each in found])

    return score


def logits(scores: Sequence[float]) -> list[float]:
    """Scores as logits: those between 0 and 1 went through a sigmoid, which is undone; others stay.

    >>> logits([0.5, 0.0]), logits([0.5, 3.0])
    ([0.0, -13.815509557963773], [0.5, 3.0])
    """
    if any(not 0.0 <= score <= 1.0 for score in scores):
        return list(scores)
    clipped = [min(max(score, 1e-6), 1 - 1e-6) for score in scores]
    return [math.log(score / (1 - score)) for score in clipped]


def _chunk(text: str) -> Chunk:
    """A text as a cross-encoder takes it."""
    from ragwright.core.types import Chunk, Span

    return Chunk("", Span("", 0, len(text)), text, "", (), None, (), 0)
