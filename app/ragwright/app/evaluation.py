"""One evaluation from a data set to a run: which documents, asked how, scored against what."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ragwright.app.access import reading, writing
from ragwright.app.asking import System, ask
from ragwright.app.console import Console
from ragwright.app.indexing import discover_paths, index_texts, ingest_files
from ragwright.app.judged import judge_facts, judged_by_model
from ragwright.app.perturbed import perturbed_rows
from ragwright.app.progress import Progress
from ragwright.app.run_manifest import run_manifest
from ragwright.app.workspace import Workspace
from ragwright.core.types import Question, Span
from ragwright.eval.values import Dataset, Outcome, Run

if TYPE_CHECKING:
    from ragwright.core.config import Config
    from ragwright.eval.overlap import Units
    from ragwright.eval.score import Scoring
    from ragwright.ingest.report import IngestReport

UnitName = Literal["characters", "tokens"]


@dataclass(frozen=True, slots=True)
class Place:
    """The workspace that is evaluated, and the ingest that made it, if it is a temporary one."""

    workspace: Workspace
    ingest: IngestReport | None


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


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run, and what its outcomes were scored against."""

    run: Run
    scoring: Scoring


@contextmanager
def evaluated_workspace(
    config: Config, dataset: Dataset, *, documents: Path | None, present: bool, console: Console
) -> Iterator[Place]:
    """The workspace to ask.

    Args:
        config: Every setting.
        dataset: Whose texts, if it has any, are put into a temporary workspace.
        documents: A file or folder to ingest into a temporary workspace instead.
        present: Ask the present workspace, even though the data set has texts of its own.
        console: Told how far the ingest is.

    Raises:
        InputError: The present workspace holds no documents, or `documents` does not exist.
    """
    if documents is None and (present or not dataset.texts):
        with reading(config, purpose="ragwright eval", console=console) as workspace:
            workspace.live()
            yield Place(workspace, None)
        return
    with tempfile.TemporaryDirectory(prefix="ragwright-eval-") as folder:
        apart = _temporary(config, Path(folder))
        project = None if documents is None else documents.resolve().parent
        with writing(apart, purpose="ragwright eval", make=True, project=project) as workspace:
            yield Place(workspace, _fill(workspace, dataset, documents, console))


def _temporary(config: Config, folder: Path) -> Config:
    """The settings with everything that is stored in a folder of its own, but for converted models."""
    models = config.encoder.cache or config.workspace / "models"
    return config.model_copy(
        update={
            "workspace": folder / ".ragwright",
            "encoder": config.encoder.model_copy(update={"cache": models.absolute()}),
            "index": type(config.index)(),
            "catalog": type(config.catalog)(),
        }
    )


def _fill(workspace: Workspace, dataset: Dataset, documents: Path | None, console: Console) -> IngestReport:
    with Progress(console) as progress:
        if documents is not None:
            return ingest_files(workspace, discover_paths(workspace, [documents]), progress)
        return index_texts(workspace, dataset.texts, progress)


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
        InputError: A label does not fit the documents; the message names the row.
    """
    from ragwright.eval.score import frontier, score

    started = time.perf_counter()
    workspace = place.workspace
    texts = Texts(workspace)
    questions, scoring = bound(workspace, dataset, texts, request)
    system = system_of(workspace, answers=request.answers)
    loaded = time.perf_counter()
    outcomes = [_with_gold(each, texts) for each in ask(system, questions, done=done)]
    asked = time.perf_counter()
    rows = score(outcomes, scoring)
    points = frontier(outcomes, scoring.units)
    scored = time.perf_counter()
    glossary, changes = workspace.profile.glossary, request.perturbations
    rows += perturbed_rows(system, questions, scoring, changes, glossary=glossary, seed=request.seed)
    perturbed = time.perf_counter()
    judged = judged_by_model(workspace, outcomes, cache=request.verdicts) if request.verdicts else None
    seconds = {
        "prepare": loaded - started,
        "ask": asked - loaded,
        "score": scored - asked,
        "perturb": perturbed - scored,
        "judge": time.perf_counter() - perturbed,
    }
    manifest = run_manifest(
        workspace,
        dataset,
        name=name,
        ingest=place.ingest,
        seconds=seconds,
        seeds={"sample": request.seed, "perturbations": request.seed, "bootstrap": 0},
        units=scoring.units.name,
    )
    manifest |= {"frontier": points, "judge": judged and judge_facts(judged)}
    return Evaluation(Run(manifest, tuple(outcomes), tuple(rows) + (judged.rows if judged else ())), scoring)


def system_of(workspace: Workspace, *, answers: bool) -> System:
    """What a workspace offers to be asked."""
    version, _ = workspace.live()
    sources = {identity: source for source, identity in workspace.catalog.sources().items()}
    spans = {
        row.id: Span(sources[row.document_id], row.start, row.end)
        for row in workspace.catalog.ledger(version)
    }
    return System(
        retriever=workspace.retriever,
        generator=workspace.generator if answers else None,
        spans=spans,
        sources=sources,
        options=workspace.search_options(),
    )


class Texts:
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


def bound(
    workspace: Workspace, dataset: Dataset, texts: Texts, request: Request
) -> tuple[list[Question], Scoring]:
    """The questions with checked labels, and what their outcomes are scored against.

    Raises:
        InputError: A label does not fit the documents; the message names the row.
    """
    from ragwright.eval.binding import bind, bind_judgements
    from ragwright.eval.score import Scoring

    questions = bind(dataset, texts.sources, texts)
    judgements = bind_judgements(dataset, texts.sources)
    spans = system_of(workspace, answers=False).spans
    return questions, Scoring(
        _units(workspace, texts, request.units), spans, judgements, texts, request.published
    )


def _units(workspace: Workspace, texts: Texts, name: UnitName) -> Units:
    from ragwright.eval.overlap import Characters, TokenUnits

    if name == "characters":
        return Characters()
    tokenizer = workspace.encoder.tokenizer
    return TokenUnits(lambda source: tokenizer.spans(texts(source) or ""))


def _with_gold(outcome: Outcome, texts: Texts) -> Outcome:
    gold = tuple((texts(s.document_id) or "")[s.start : s.end] for s in outcome.question.references)
    return replace(outcome, gold=gold)
