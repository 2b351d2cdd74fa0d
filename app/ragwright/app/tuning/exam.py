"""What a tuned model is asked before it may answer, and what it must show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.version_models import Part
    from ragwright.app.workspace import Workspace
    from ragwright.eval.gate import Requirement
    from ragwright.eval.values import Dataset, Item

LEAST_QUESTIONS = 30
"""With fewer, an interval says little."""

_HELD_OUT = "test"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the exam is to be; None leaves it to the workspace and its settings.

    Attributes:
        questions: A data set about the workspace's documents.
        outside: A data set of another domain with its documents.
        skip_outside: Whether nothing is asked of another domain.
        gate: What must be gained on the questions.
    """

    questions: Path | None = None
    outside: Path | None = None
    skip_outside: bool = False
    gate: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Exam:
    """Questions and requirements.

    Attributes:
        questions: About the workspace's documents; none of them was trained on.
        gate: Bounds on what is gained on them, which whole intervals must reach.
        outside: Of another domain, with documents; None: nothing is asked.
        outside_gate: Bounds on the mean differences there.
        left_out: Questions that were left out, since their documents have changed.
    """

    questions: Dataset
    gate: tuple[Requirement, ...]
    outside: Dataset | None
    outside_gate: tuple[Requirement, ...]
    left_out: int = 0


def exam_for(workspace: Workspace, part: Part, wanted: Wanted) -> Exam:
    """The exam of a tuned model.

    Args:
        workspace: Holds the documents, and the questions that were made of them.
        part: Which the model is to play.
        wanted: What was asked for.

    Raises:
        InputError: There are no held-out questions, or too few; there is no data set of another domain; one
            cannot be read; or a requirement is none.
    """
    settings = workspace.config.tune
    given = settings.reader_gate if part == "reader" else settings.gate
    gate = _requirements(given if wanted.gate is None else wanted.gate)
    outside_gate = _requirements(settings.outside_gate)
    questions, left_out = _questions(workspace, wanted.questions)
    outside = None if wanted.skip_outside else _outside(wanted.outside or settings.outside)
    return Exam(questions, gate, outside, outside_gate, left_out)


def _requirements(texts: Sequence[str]) -> tuple[Requirement, ...]:
    from ragwright.eval.gate import check_side, parse_requirement

    found = tuple(map(parse_requirement, texts))
    for each in found:
        check_side(each)
    return found


def _questions(workspace: Workspace, path: Path | None) -> tuple[Dataset, int]:
    """The questions, and how many of them do not fit the documents any more."""
    from ragwright.eval.datasets import load_dataset

    if path is not None:
        return _enough(load_dataset(path), f"the data set {path}"), 0
    from ragwright.app.tuning.questions import FOLDER, QUESTIONS

    file = workspace.folder / FOLDER / QUESTIONS
    if not file.is_file():
        raise InputError(
            "there are no held-out questions to measure with; make some: ragwright tune questions, or name a "
            "data set with --questions"
        )
    held_out = _held_out(load_dataset(file, name="held-out questions"))
    fitting = tuple(_fitting(workspace, held_out.items))
    return _enough(_part_of(held_out, fitting), str(file)), len(held_out.items) - len(fitting)


def _held_out(dataset: Dataset) -> Dataset:
    """The questions that nothing was learnt of, or chosen by."""
    from ragwright.finetune.questions.splitting import PART

    return _part_of(dataset, tuple(item for item in dataset.items if item.metadata.get(PART) == _HELD_OUT))


def _fitting(workspace: Workspace, items: Sequence[Item]) -> Iterator[Item]:
    """Those whose references stand in the documents as they are now."""
    sources = workspace.catalog.sources()
    for item in items:
        found = [(each, workspace.catalog.document(sources.get(each.source, ""))) for each in item.references]
        if all(doc is not None and doc.text[ref.start : ref.end] == ref.text for ref, doc in found):
            yield item


def _outside(path: Path | None) -> Dataset:
    from ragwright.eval.datasets import load_dataset

    if path is None:
        raise InputError(
            "no data set of another domain is named, on which the model must not fall; set tune.outside or "
            "give --outside DATASET, or --no-outside to do without"
        )
    dataset = load_dataset(path)
    if not dataset.texts:
        raise InputError(f"{path} brings no documents; name a data set that does, for --outside")
    return _enough(dataset, f"the data set {path}")


def _enough(dataset: Dataset, where: str) -> Dataset:
    answerable = sum(item.answerable for item in dataset.items)
    if answerable < LEAST_QUESTIONS:
        raise InputError(
            f"{where} has {answerable} questions that can be measured with; wanted at least {LEAST_QUESTIONS}"
        )
    return dataset


def _part_of(dataset: Dataset, items: tuple[Item, ...]) -> Dataset:
    from ragwright.eval.datasets import digest_of

    part = replace(dataset, items=items)
    return replace(part, digest=digest_of(part))
