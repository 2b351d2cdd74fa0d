"""Training a reader: from a workspace's examples to a tuned model's folder, its odds made to hold here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.app.tuning.run_folder import Lessons, read_lessons, run_folder
from ragwright.core.errors import InputError
from ragwright.core.types import Passage

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.config_tuning import TuneConfig
    from ragwright.core.protocols import Reading, StoredChunk
    from ragwright.core.reader_folder import ReaderRules
    from ragwright.finetune.reader_data import Sentences
    from ragwright.finetune.reader_model import ReaderLearner, ReaderStart
    from ragwright.finetune.reader_rules import Observed
    from ragwright.finetune.training import Progress, Training
    from ragwright.finetune.tuned_model import TunedModel
    from ragwright.finetune.values import Example
    from ragwright.retrieval.evidence_score import QuerySigns
    from ragwright.retrieval.forward import Compute
    from ragwright.retrieval.reader import TransformerReader

_ASKED = 64  # questions in one search
_MOST_HELD = 400  # dev questions that the rules are fitted on


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which reader is to be trained.

    Attributes:
        name: Of the tuned model.
        base: The encoder it is made from, as for `encoder.model`, or a reader's folder, which goes on
            learning; None: the encoder that answers now.
        fresh: Whether an unfinished training of this name is thrown away.
    """

    name: str
    base: str | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What the workspace's retriever found for a dev question.

    Attributes:
        example: The question with what answers it.
        chunks: The hits' chunks, best first.
        signs: What their sentences are compared with.
    """

    example: Example
    chunks: Sequence[StoredChunk]
    signs: QuerySigns


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a training needs of a workspace, which need not be held any longer.

    Attributes:
        wanted: Which reader.
        folder: Of the tuned model.
        lessons: What is learnt from.
        learner: What learns.
        training: How long and how fast.
        sentences: Cuts a chunk as the workspace does.
        found: What was found for the dev questions.
        compute: How the reader is run afterwards.
    """

    wanted: Wanted
    folder: Path
    lessons: Lessons
    learner: ReaderLearner
    training: Training
    sentences: Sentences
    found: Sequence[Found]
    compute: Compute


def prepare(workspace: Workspace, wanted: Wanted) -> Prepared:
    """Read what a training needs.

    Raises:
        InputError: There are no examples, or the name is taken.
        ModelError: The base cannot be opened.
        MissingExtra: A library of the extra `tune` is absent.
    """
    from ragwright.finetune.reader_model import load_reader_learner
    from ragwright.ingest.sentences import SentenceSplitter

    config = workspace.config.tune
    folder = run_folder(workspace, wanted.name, fresh=wanted.fresh)
    lessons = read_lessons(workspace)
    start = starting_point(workspace, wanted.base)
    splitter = SentenceSplitter(workspace.profile.language, workspace.profile.abbreviations)
    return Prepared(
        wanted=wanted,
        folder=folder,
        lessons=lessons,
        learner=load_reader_learner(start, dropout=config.dropout),
        training=training_of(config),
        sentences=lambda text: list(splitter.split(text, 0, len(text))),
        found=found_for(workspace, lessons.dev[:_MOST_HELD]),
        compute=workspace.compute,
    )


def training_of(config: TuneConfig) -> Training:
    """The settings of `[tune]` for models that read a question with all its chunks."""
    from ragwright.finetune.training import Training

    plain = Training.of(config)
    return replace(plain, batch=config.reader_batch, learning_rate=config.reader_learning_rate)


def starting_point(workspace: Workspace, base: str | None) -> ReaderStart:
    """The encoder that a reader is made from.

    Raises:
        InputError: It is LoRA weights.
        ModelError: It cannot be opened.
    """
    from ragwright.core.reader_folder import RULES
    from ragwright.finetune.reader_model import ReaderStart
    from ragwright.retrieval.model import open_model
    from ragwright.retrieval.reader_model import open_reader_model

    name = base or workspace.encoder.model.name
    if (Path(name).expanduser() / RULES).is_file():
        model = open_reader_model(name).model
    else:
        model = open_model(name)
        if model.lora is not None:
            raise InputError(
                f"{name} is LoRA weights, which no reader is made from; name their base with --base"
            )
    return ReaderStart(model.path, name, model.fingerprint, model.padding, model.positions)


def found_for(workspace: Workspace, examples: Sequence[Example]) -> list[Found]:
    """What the workspace's retriever finds for questions, in their order."""
    options = replace(workspace.search_options(), rerank="none")
    retriever = workspace.retriever
    found = []
    for first in range(0, len(examples), _ASKED):
        part = examples[first : first + _ASKED]
        findings = retriever.find_many([each.query for each in part], options=options)
        found += [Found(each, it.chunks, it.query) for each, it in zip(part, findings, strict=True)]
    return found


def tune_reader(prepared: Prepared, *, told: Callable[[Progress], None]) -> TunedModel:
    """Train a reader and complete its folder; an unfinished training of this name is gone on with.

    Raises:
        InputError: An unfinished training of something else has this name, or no example names evidence.
        ModelError: The training does not fit into memory, or went wrong.
    """
    from ragwright.finetune.card import describe, finish
    from ragwright.finetune.reader import PURPOSE, train_reader

    learner, lessons, wanted = prepared.learner, prepared.lessons, prepared.wanted
    trained = train_reader(
        learner,
        lessons.train,
        lessons.dev,
        prepared.folder,
        training=prepared.training,
        sentences=prepared.sentences,
        identity=lessons.identity(),
        report=told,
    )
    rules = fitted_rules(prepared)
    tuned = describe(
        wanted.name,
        "reader",
        base=learner.start.name,
        base_fingerprint=learner.start.fingerprint,
        data=lessons.data,
        examples=lessons.train,
        seed=prepared.training.seed,
        settings={**asdict(prepared.training), **asdict(rules)},
        trained=trained,
    )
    finish(prepared.folder, tuned, save=lambda into: learner.save(into, rules), purpose=PURPOSE)
    return tuned


def fitted_rules(prepared: Prepared) -> ReaderRules:
    """The rules that hold on the dev questions, read as the served reader reads."""
    from ragwright.core.reader_folder import ReaderRules
    from ragwright.finetune.reader import longest_pair
    from ragwright.finetune.reader_rules import PLAIN_ANSWER, PLAIN_EVIDENCE, fit_rules
    from ragwright.retrieval.reader import load_reader

    longest = longest_pair(prepared.learner)
    plain = ReaderRules(longest, PLAIN_EVIDENCE, PLAIN_ANSWER)
    if not prepared.found:
        return plain
    scratch = Path(tempfile.mkdtemp(dir=prepared.folder, prefix=".plain-"))
    try:
        prepared.learner.save(scratch, plain)
        compute = replace(prepared.compute, cache=scratch / ".compiled")
        return fit_rules(observe(load_reader(str(scratch), compute), prepared.found), max_tokens=longest)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def observe(reader: TransformerReader, found: Sequence[Found]) -> list[Observed]:
    """What a reader, and the retriever's own signs, say of the sentences found for questions."""
    readings = reader.read(
        [each.example.query for each in found],
        [[stored.chunk for stored in each.chunks] for each in found],
    )
    return [_observed(each, read) for each, read in zip(found, readings, strict=True) if each.chunks]


def _observed(found: Found, readings: Sequence[Reading]) -> Observed:
    import numpy as np

    from ragwright.finetune.reader_data import covered
    from ragwright.finetune.reader_rules import Observed
    from ragwright.retrieval.evidence_score import read_signs
    from ragwright.retrieval.read_evidence import sign_columns

    evidence = {each.id: each.evidence for each in found.example.positives}
    shares = [
        covered(span, evidence.get(stored.chunk.id, ()))
        for stored in found.chunks
        for span in Passage.of(stored.chunk).sentences
    ]
    signs = read_signs(found.chunks, found.signs)
    rest = [place for place, stored in enumerate(found.chunks) if stored.chunk.id not in evidence]
    without = read_signs([found.chunks[place] for place in rest], found.signs).support()
    return Observed(
        signs=sign_columns(signs, readings),
        shares=np.array(shares, np.float64),
        best=(max(each.passage for each in readings), signs.support()),
        without=(max(readings[place].passage for place in rest), without) if rest else None,
        answered=len(rest) < len(found.chunks),
    )
