"""One evaluation from a data set to a run: asked how, scored against what."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragwright.app.asking import DIAL, System, ask
from ragwright.app.evaluated import Place
from ragwright.app.judged import judge_facts, judged_by_model
from ragwright.app.perturbed import perturbed_rows
from ragwright.app.run_manifest import run_manifest
from ragwright.app.workspace import Workspace
from ragwright.core.errors import InputError
from ragwright.core.types import Question, Span
from ragwright.eval.values import Dataset, Outcome, Run

if TYPE_CHECKING:
    from ragwright.eval.overlap import Units
    from ragwright.eval.score import Scoring

UnitName = Literal["characters", "tokens"]
_AROUND = 160  # characters that are kept before and after a reference


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate besides retrieval.

    Attributes:
        answers: Whether questions are answered too.
        units: What overlap is counted in.
        published: See `Scoring.published`.
        perturbations: Names of rule-based changes to try as well.
        verdicts: Folder of the verdicts of the configured language model; None: it is not asked.
        seed: Of everything that is drawn.
    """

    answers: bool = True
    units: UnitName = "characters"
    published: int = 0
    perturbations: tuple[str, ...] = ()
    verdicts: Path | None = None
    seed: int = 0

    def facts(self) -> dict[str, Any]:
        """What a manifest says of it: values of unlike requests are not compared."""
        facts = asdict(self)
        del facts["verdicts"]
        return facts


@dataclass(frozen=True, slots=True)
class Prepared:
    """A system with questions whose labels fit its documents.

    Attributes:
        system: What is asked.
        questions: Their references name documents by their source.
        scoring: What outcomes are scored against.
    """

    system: System
    questions: list[Question]
    scoring: Scoring

    @property
    def dial(self) -> Sequence[float]:
        """Positions of the evidence dial to ask for: none where whole documents are judged."""
        return () if self.scoring.judgements else DIAL


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run, and what its outcomes were scored against."""

    run: Run
    scoring: Scoring


def prepare(workspace: Workspace, dataset: Dataset, request: Request) -> Prepared:
    """Check labels against the documents, and get ready to ask.

    Raises:
        InputError: A label does not fit the documents, or holds no unit that is counted; the message names
            the row. Or more chunks are to be scored than are found.
    """
    from ragwright.eval.binding import bind, bind_judgements
    from ragwright.eval.score import Scoring

    texts = _Texts(workspace)
    questions = bind(dataset, texts.sources, texts)
    judgements = bind_judgements(dataset, texts.sources)
    system = _system(workspace, answers=request.answers)
    if request.published > system.options.limit:
        raise InputError(
            f"--published {request.published} wants more chunks than search.limit finds "
            f"({system.options.limit}); raise it with --set search.limit={request.published}"
        )
    units = _units(workspace, texts, request.units)
    if not judgements:
        _check_units(questions, dataset, units)
    scoring = Scoring(units, system.spans, judgements, texts, request.published, request.answers)
    return Prepared(system, questions, scoring)


def evaluate(
    place: Place,
    dataset: Dataset,
    request: Request,
    *,
    name: str,
    done: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Ask every question and score what comes back.

    Args:
        place: The workspace.
        dataset: Questions and labels.
        request: What else to do.
        name: Of the run.
        done: Called after each question.

    Raises:
        InputError: See `prepare`.
    """
    from ragwright.eval.score import frontier, score

    workspace, watch = place.workspace, _Watch()
    prepared = prepare(workspace, dataset, request)
    system, questions, scoring = prepared.system, prepared.questions, prepared.scoring
    watch.lap("prepare")
    outcomes = [_with_gold(each, scoring) for each in ask(system, questions, dial=prepared.dial, done=done)]
    watch.lap("ask")
    rows = score(outcomes, scoring)
    points = frontier(outcomes, scoring.units)
    watch.lap("score")
    rows += perturbed_rows(
        prepared, outcomes, request.perturbations, glossary=workspace.profile.glossary, seed=request.seed
    )
    watch.lap("perturb")
    judged = judged_by_model(workspace, outcomes, cache=request.verdicts) if request.verdicts else None
    watch.lap("judge")
    manifest = run_manifest(
        place, dataset, name=name, request=request.facts(), seconds=watch.seconds, units=scoring.units.name
    )
    manifest |= {"frontier": points, "judge": judged and judge_facts(judged)}
    return Evaluation(Run(manifest, tuple(outcomes), (*rows, *(judged.rows if judged else ()))), scoring)


class _Watch:
    """Wall time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """A stage has ended."""
        now = time.perf_counter()
        self.seconds[stage], self._last = now - self._last, now


def _system(workspace: Workspace, *, answers: bool) -> System:
    """What a workspace offers to be asked."""
    version, _ = workspace.live()
    by_id = workspace.catalog.names()
    ledger = workspace.catalog.ledger(version)
    return System(
        retriever=workspace.retriever,
        generator=workspace.generator if answers else None,
        spans={row.id: Span(by_id[row.document_id], row.start, row.end) for row in ledger},
        sources=by_id,
        options=workspace.search_options(),
    )


class _Texts:
    """Canonical texts of a workspace by source, each read once.

    Attributes:
        sources: Document id of every source.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._catalog = workspace.catalog
        self.sources = workspace.catalog.sources()
        self._known: dict[str, str | None] = {}

    def __call__(self, source: str) -> str | None:
        """The text of a source; None for one that is not there."""
        if source not in self._known:
            document = self._catalog.document(self.sources.get(source, ""))
            self._known[source] = None if document is None else document.text
        return self._known[source]


def _units(workspace: Workspace, texts: _Texts, name: UnitName) -> Units:
    from ragwright.eval.overlap import Characters, TokenUnits

    if name == "characters":
        return Characters()
    encoder = workspace.encoder
    told = f"tokens of {workspace.models.encoder_name} ({encoder.fingerprint})"
    return TokenUnits(lambda source: encoder.tokenizer.spans(texts(source) or ""), name=told)


def _check_units(questions: Sequence[Question], dataset: Dataset, units: Units) -> None:
    """Every label holds something that is counted: else the error would come after everything was asked."""
    rows = {item.id: item.row or item.id for item in dataset.items}
    for question in questions:
        if question.references and not any(
            end > start for _, start, end in units.ranges(question.references)
        ):
            raise InputError(f"{rows[question.id]}: its references hold no {units.name}; count in characters")


def _with_gold(outcome: Outcome, scoring: Scoring) -> Outcome:
    """The outcome with the characters of its references, and what stands around them."""
    gold, around = [], []
    for span in outcome.question.references:
        text = scoring.text_of(span.document_id) or ""
        gold.append(text[span.start : span.end])
        before = text[max(0, span.start - _AROUND) : span.start]
        around.append((before, text[span.end : span.end + _AROUND]))
    return replace(outcome, gold=tuple(gold), around=tuple(around))
