"""Asking what answers now and what is to answer the same questions; the gate judges the difference."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragwright.app.index_building import build_beside

if TYPE_CHECKING:
    from ragwright.app.tuning.candidate import Candidate
    from ragwright.app.tuning.exam import Exam
    from ragwright.app.workspace import Workspace
    from ragwright.eval.gate import GateResult, Requirement
    from ragwright.eval.values import Dataset, Run
    from ragwright.ingest.catalog_values import Manifest
    from ragwright.ingest.writer import Observer

Stage = Literal["building", "asking", "asking outside", "switching"]

REPORT, OUTSIDE_REPORT, VERDICT = "report.html", "outside.html", "verdict.json"


@dataclass(frozen=True, slots=True)
class Witness:
    """Told how far a promotion is, from the thread that does it.

    Attributes:
        begin: A stage begins that has so many steps; 0: nobody knows.
        done: A step of it is done.
    """

    begin: Callable[[Stage, int], None] = lambda stage, steps: None
    done: Callable[[], None] = lambda: None


UNSEEN = Witness()
"""Nobody is told."""


@dataclass(frozen=True, slots=True)
class Built:
    """A `Witness` as an `Observer` of an ingest."""

    witness: Witness
    stage: Stage = "building"

    def start(self, total_files: int) -> None:
        """See `Observer.start`."""
        self.witness.begin(self.stage, total_files)

    def file_done(self, source: str, outcome: str) -> None:
        """See `Observer.file_done`."""
        self.witness.done()

    def chunks_done(self, count: int, tokens: int) -> None:
        """See `Observer.chunks_done`; documents are counted."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of the exam.

    Attributes:
        questions: The verdicts on the questions of the domain.
        outside: Those on the questions of another domain; None: none were asked.
    """

    questions: GateResult
    outside: GateResult | None

    @property
    def passed(self) -> bool:
        """Whether every requirement is fulfilled."""
        return self.questions.passed and (self.outside is None or self.outside.passed)

    def sentences(self) -> list[str]:
        """One for each verdict."""
        outside = [] if self.outside is None else self.outside.sentences()
        return [*self.questions.sentences(), *(f"{each}, in the other domain" for each in outside)]


def examine(
    workspace: Workspace,
    candidate: Candidate,
    made: tuple[str, Manifest],
    exam: Exam,
    *,
    witness: Witness,
) -> Examined:
    """Hold a candidate to what answers now, and write the reports into its folder.

    Args:
        workspace: What answers now.
        candidate: What is to answer.
        made: The version that it would answer from, with its manifest.
        exam: What is asked.
        witness: Told how far this is.

    Raises:
        InputError: A label does not fit the documents, or a requirement names a measure that none has.
    """
    asked = _compared(workspace, made, exam.questions, name=candidate.name, witness=witness)
    questions = _held(asked, exam.gate, sure=True)
    outside = None
    away: tuple[Run, Run] | None = None
    if exam.outside is not None:
        away = _compared_outside(workspace, candidate, exam.outside, witness=witness)
        outside = _held(away, exam.outside_gate, sure=False)
    examined = Examined(questions, outside)
    with _folder(candidate.folder) as folder:
        _write(folder, REPORT, "questions", asked, questions)
        if away is not None:
            _write(folder, OUTSIDE_REPORT, "outside", away, outside)
        _write_verdict(folder, candidate, examined, left_out=exam.left_out)
    return examined


def _compared(
    workspace: Workspace,
    made: tuple[str, Manifest],
    dataset: Dataset,
    *,
    name: str,
    witness: Witness,
    stage: Stage = "asking",
) -> tuple[Run, Run]:
    """A run of what is to answer, and one of what answers now, on the same questions."""
    from ragwright.app.evaluated import Place
    from ragwright.app.evaluation import Request, evaluate

    witness.begin(stage, 2 * len(dataset.items))
    request = Request(answers=False)
    runs = [
        evaluate(Place(view, None), dataset, request, name=called, done=witness.done).run
        for view, called in (
            (workspace.at(*workspace.live()), f"before-{name}"),
            (workspace.at(*made), name),
        )
    ]
    return runs[1], runs[0]


def _compared_outside(
    workspace: Workspace, candidate: Candidate, dataset: Dataset, *, witness: Witness
) -> tuple[Run, Run]:
    """The same in a temporary workspace with the documents of a data set."""
    from ragwright.app.evaluated import temporary_workspace
    from ragwright.app.indexing import index_texts

    stage: Stage = "asking outside"
    observer: Observer = Built(witness, stage)
    before = workspace.live()[1].parts
    with temporary_workspace(workspace.config, workspace.registry, before) as apart:
        apart.patient = workspace.patient
        index_texts(apart, dataset.texts, observer)
        version, manifest = apart.live()
        if candidate.needs_index:
            version, manifest, _ = build_beside(apart, candidate.parts, observer)
        made = version, replace(manifest, parts=candidate.parts)
        return _compared(apart, made, dataset, name=candidate.name, witness=witness, stage=stage)


def _held(runs: tuple[Run, Run], gate: Sequence[Requirement], *, sure: bool) -> GateResult:
    from ragwright.eval.compare import compare
    from ragwright.eval.gate import check_gate

    measures = [each.measure for each in gate]
    return check_gate(compare(*runs, measures=measures), gate, sure=sure)


@contextmanager
def _folder(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of the former one once it is complete."""
    part = folder.with_name(f".{folder.name}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)


def _write(folder: Path, report: str, name: str, runs: tuple[Run, Run], gate: GateResult | None) -> None:
    from ragwright.eval.report import write_report
    from ragwright.eval.runs import write_run

    after, before = runs
    write_report(after, folder / report, baseline=before, gate=gate)
    write_run(after, folder / "runs" / f"{name}-after")
    write_run(before, folder / "runs" / f"{name}-before")


def _write_verdict(folder: Path, candidate: Candidate, examined: Examined, *, left_out: int) -> None:
    from ragwright.eval.runs import write_text

    told = {
        "name": candidate.name,
        "part": candidate.part,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "passed": examined.passed,
        "sentences": examined.sentences(),
        "questions": [asdict(each) for each in examined.questions.verdicts],
        "outside": None if examined.outside is None else [asdict(each) for each in examined.outside.verdicts],
        "questions_left_out": left_out,
    }
    write_text(folder / VERDICT, json.dumps(told, ensure_ascii=False, indent=1) + "\n")


def read_verdict(tuned: Path) -> dict[str, Any] | None:
    """What the last exam of a tuned model said; None where it has none, or one that cannot be read.

    Args:
        tuned: Its folder.
    """
    try:
        told: dict[str, Any] = json.loads((tuned / "promotion" / VERDICT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told
