"""Questions of a workspace's documents: from its catalog and index to the files of tuning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragwright.core.errors import ConfigError, InputError

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.types import Hit
    from ragwright.eval.values import Dataset, Item
    from ragwright.finetune.questions.asking import QuestionSource, Subject
    from ragwright.finetune.questions.coverage import Coverage
    from ragwright.finetune.questions.given import GivenQuestions
    from ragwright.finetune.questions.making import Amount, Made, Told, Trial
    from ragwright.finetune.questions.splitting import Shares, Split
    from ragwright.finetune.values import Audited, LabelledQuestion

FOLDER = Path("tuning/questions")
"""Of the files, in a workspace; the folder is a data set that `ragwright eval run` reads."""

QUESTIONS, AUDIT, COVERAGE, SPLITS, COMPLETIONS = (
    "questions.jsonl", "audit.jsonl", "coverage.json", "splits.json", "completions.jsonl"
)  # fmt: skip
_FIRST = 1_000  # drafts that are counted of each chunk, at most


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to make.

    Attributes:
        sources: `structure`, `model`, or paths of data sets, of questions, or of exported feedback.
        limit: Most questions in all; None: as the settings say.
        seed: Of everything that is drawn; None: as the settings say.
        fresh: Whether documents are dealt out anew, whatever part they belonged to before.
    """

    sources: tuple[str, ...]
    limit: int | None = None
    seed: int | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run would start from, counted.

    Attributes:
        documents: How many are asked about.
        sections: Of them together.
        chunks: Of them together.
        drafts: By source, how many questions it has to offer before filters; of a language model, how many
            prompts a first round takes.
        tasks: Drafts of the structure by task.
        parts: Documents by part.
    """

    documents: int
    sections: int
    chunks: int
    drafts: Mapping[str, int]
    tasks: Mapping[str, int]
    parts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Sources:
    """What is asked, and what was left out while it was opened."""

    by_name: Mapping[str, QuestionSource]
    audit: tuple[Audited, ...]


def subjects_of(workspace: Workspace) -> list[Subject]:
    """The documents of the configured tenant with their chunks, in order of source.

    Raises:
        InputError: There are none.
    """
    from ragwright.core.profile import load_profile
    from ragwright.finetune.questions.asking import Subject

    version, manifest = workspace.live()
    chunks: dict[str, list[Any]] = {}
    for stored in workspace.open_index(version, manifest).scan():
        for each in stored:
            chunks.setdefault(each.chunk.span.document_id, []).append(each.chunk)
    profile_of = cache(load_profile)
    tenant = workspace.config.ingest.tenant
    found = [
        Subject(
            each.document,
            tuple(sorted(chunks.get(each.document.id, ()), key=lambda chunk: chunk.span)),
            profile_of(each.domain),
        )
        for each in workspace.catalog.documents()
        if each.document.access.tenant == tenant
    ]
    if not found:
        raise workspace.nothing_ingested()
    return sorted(found, key=lambda subject: subject.source)


def make(workspace: Workspace, wanted: Wanted, *, told: Told) -> Made:
    """Make questions and write their files.

    Args:
        workspace: Holds the documents.
        wanted: What is to be made.
        told: Told how many questions are kept so far.

    Raises:
        InputError: There are no documents, a source cannot be used, or nothing was left of the questions;
            then the audit file says why.
        ConfigError: A language model is a source, and none is configured.
        ServiceError: It does not answer.
    """
    from ragwright.finetune.questions.making import make_questions

    subjects = subjects_of(workspace)
    sources = _opened(workspace, wanted, subjects)
    folder = workspace.folder / FOLDER
    made = make_questions(
        subjects,
        list(sources.by_name.values()),
        trial=_trial(workspace),
        amount=_amount(workspace, wanted),
        shares=_shares(workspace, wanted),
        former=None if wanted.fresh else read_split(folder / SPLITS),
        told=told,
    )
    audit = (*sources.audit, *made.audit, *_unplaced(sources))
    _write(made, audit, folder)
    if not made.questions:
        raise InputError(f"none of {made.asked:,} questions was left; {folder / AUDIT} says why")
    return made


def plan(workspace: Workspace, wanted: Wanted) -> Planned:
    """Count what a run would start from; nothing is asked or written.

    Raises:
        InputError: There are no documents, or a source cannot be used.
        ConfigError: A language model is a source, and none is configured.
    """
    from collections import Counter

    from ragwright.finetune.questions.asking import Request
    from ragwright.finetune.questions.splitting import PARTS, split
    from ragwright.finetune.questions.structure import StructureSource

    subjects = subjects_of(workspace)
    sources = _opened(workspace, wanted, subjects)
    places = [(subject, chunk) for subject in subjects for chunk in subject.chunks]
    drafts: dict[str, int] = {}
    tasks: Counter[str] = Counter()
    for name, source in sources.by_name.items():
        if isinstance(source, StructureSource):
            found = [each for place in places for each in source.drafts(*place)]
            tasks.update(each.task for each in found)
            drafts[name] = len(found)
        elif source.origin == "model":
            drafts[name] = len(places)
        else:
            requests = [Request(*place, wanted=_FIRST) for place in places]
            drafts[name] = sum(len(reply.questions) for reply in source.ask(requests))
    former = None if wanted.fresh else read_split(workspace.folder / FOLDER / SPLITS)
    parts = Counter(split(subjects, _shares(workspace, wanted), former=former).parts.values())
    sections = {(subject.source, chunk.headings) for subject, chunk in places}
    return Planned(
        len(subjects),
        len(sections),
        len(places),
        drafts,
        dict(tasks.most_common()),
        {part: parts[part] for part in PARTS},
    )


def read_split(path: Path) -> Split | None:
    """The split that was written before; None where there is none that can be used."""
    from ragwright.finetune.questions.splitting import PARTS, Shares, Split

    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        shares = Shares(float(told["dev_share"]), float(told["test_share"]), int(told["seed"]))
        parts = {str(source): part for part in PARTS for source in told[part]}
        return Split(shares, told["by"], parts)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _opened(workspace: Workspace, wanted: Wanted, subjects: Sequence[Subject]) -> _Sources:
    audit: list[Audited] = []
    by_name: dict[str, QuestionSource] = {}
    for name in wanted.sources:
        if name == "structure":
            from ragwright.finetune.questions.structure import StructureSource

            by_name[name] = StructureSource(subjects, seed=_seed(workspace, wanted))
        elif name == "model":
            by_name[name] = _model_source(workspace, subjects)
        else:
            given, dropped = _given(workspace, Path(name))
            by_name[name] = given
            audit += dropped
    return _Sources(by_name, tuple(audit))


def _model_source(workspace: Workspace, subjects: Sequence[Subject]) -> QuestionSource:
    from ragwright.app.tuning.writer import ModelWriter
    from ragwright.finetune.questions.completions import Remembered
    from ragwright.finetune.questions.model_source import ModelSource, own_examples
    from ragwright.generation.neutralise import Neutraliser

    models = workspace.generators.models
    if not models:
        raise ConfigError(
            f"generator.kind is {workspace.config.generator.kind}, which has no language model to write "
            "questions; set it to openai, local or llama-index, or take --source structure"
        )
    model = next(iter(models.values()))
    texts = {subject.source: subject.document.text for subject in subjects}
    path = workspace.config.questions.examples
    examples = own_examples(_labelled(workspace, path, "user"), texts.get) if path else []
    writer = Remembered(ModelWriter(model), workspace.folder / FOLDER / COMPLETIONS)
    return ModelSource(writer, examples=examples, harmless=Neutraliser(model.special_tokens))


def _given(workspace: Workspace, path: Path) -> tuple[GivenQuestions, list[Audited]]:
    """Questions of a file: exported feedback by its rows, anything else as a data set."""
    from ragwright.finetune.questions.given import GivenQuestions, of_feedback

    if not path.exists():
        raise InputError(
            f"--source {path}: there is no such file; wanted structure, model, or the path of a data set or "
            "of exported feedback"
        )
    rows = _feedback_rows(path)
    if rows is not None:
        questions, audit = of_feedback(rows, workspace.catalog.names())
        return GivenQuestions(questions, origin="feedback"), audit
    origin: Literal["user", "dataset"] = "user" if path.suffix == ".jsonl" else "dataset"
    return GivenQuestions(_labelled(workspace, path, origin), origin=origin), []


def _feedback_rows(path: Path) -> list[dict[str, Any]] | None:
    """The rows of exported feedback; None for any other file."""
    from ragwright.finetune.rows import read_lines

    if path.suffix not in (".jsonl", ".json") or not path.is_file():
        return None
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline()
    if '"trace_id"' not in first or '"reviewed"' not in first:
        return None
    return [row for _, row in read_lines(path)]


def _labelled(workspace: Workspace, path: Path, origin: Literal["user", "dataset"]) -> list[LabelledQuestion]:
    """The answerable questions of a data set about the workspace's documents."""
    from ragwright.eval.binding import bind
    from ragwright.eval.datasets import load_dataset
    from ragwright.finetune.questions.round_trip import WITHIN
    from ragwright.finetune.values import LabelledQuestion

    ids = workspace.catalog.sources(workspace.config.ingest.tenant)

    def text_of(source: str) -> str | None:
        document = workspace.catalog.document(ids.get(source, ""))
        return document.text if document else None

    found = []
    for question in bind(load_dataset(path), ids, text_of):
        if not question.references:
            continue
        source = question.metadata.get("filters", {}).get("source")
        kept = {key: value for key, value in question.metadata.items() if key not in ("filters", "grades")}
        found.append(
            LabelledQuestion(
                id=question.id,
                text=question.text,
                references=question.references,
                quotes=tuple((text_of(s.document_id) or "")[s.start : s.end] for s in question.references),
                answer=question.answer,
                origin=origin,
                task=str(kept.pop("task", "") or ""),
                recipe=str(kept.pop("recipe", "") or ""),
                metadata={**kept, **({WITHIN: source} if source else {})},
            )
        )
    return found


def _trial(workspace: Workspace) -> Trial:
    """How the workspace's own retriever is asked, for documents of the configured tenant."""
    from ragwright.core.types import Scope
    from ragwright.finetune.questions.making import Trial

    depth = workspace.config.questions.round_trip
    scope = Scope(frozenset({workspace.config.ingest.tenant}), None)
    retriever = workspace.retriever.within(scope)

    def search(texts: Sequence[str]) -> list[list[Hit]]:
        return retriever.search_many(texts, limit=depth)

    def within(texts: Sequence[str], sources: Sequence[str]) -> list[list[Hit]]:
        return retriever.search_many(texts, limit=depth, filters=[{"source": source} for source in sources])

    return Trial(search, within, depth)


def _amount(workspace: Workspace, wanted: Wanted) -> Amount:
    from ragwright.finetune.questions.making import Amount

    settings = workspace.config.questions
    return Amount(settings.per_chunk, settings.most if wanted.limit is None else wanted.limit)


def _shares(workspace: Workspace, wanted: Wanted) -> Shares:
    from ragwright.finetune.questions.splitting import Shares

    settings = workspace.config.questions
    if settings.dev_share + settings.test_share >= 1:
        raise ConfigError(
            f"questions.dev_share and questions.test_share are {settings.dev_share:g} and "
            f"{settings.test_share:g}; wanted less than 1 together, so that something is left to train with"
        )
    return Shares(settings.dev_share, settings.test_share, _seed(workspace, wanted))


def _seed(workspace: Workspace, wanted: Wanted) -> int:
    return workspace.config.tune.seed if wanted.seed is None else wanted.seed


def _unplaced(sources: _Sources) -> list[Audited]:
    from ragwright.finetune.questions.given import GivenQuestions

    given = [source for source in sources.by_name.values() if isinstance(source, GivenQuestions)]
    return [row for source in given for row in source.unplaced()]


def _write(made: Made, audit: Sequence[Audited], folder: Path) -> None:
    """Write every file; the questions last, since the others tell of them."""
    from ragwright.eval.writers import write_native
    from ragwright.finetune.rows import write_audit

    write_audit(folder / AUDIT, audit)
    _write_json(folder / COVERAGE, _told(made.coverage))
    _write_json(folder / SPLITS, _split_told(made))
    write_native(_dataset(made), folder)


def _told(coverage: Coverage) -> dict[str, Any]:
    return {**asdict(coverage), "thin": [asdict(place) for place in coverage.thin()]}


def _split_told(made: Made) -> dict[str, Any]:
    from collections import Counter

    from ragwright.finetune.questions.splitting import PART, PARTS

    split = made.split
    counts = Counter(question.metadata[PART] for question in made.questions)
    by_document = split.by == "document"
    parts: dict[str, Any] = {
        part: [
            source for source, own in split.parts.items() if own == part and (by_document or part == "train")
        ]
        for part in PARTS
    }
    return {
        **parts,
        "by": split.by,
        "seed": split.shares.seed,
        "dev_share": split.shares.dev,
        "test_share": split.shares.test,
        "near_duplicates": [list(group) for group in split.groups],
        "apart": list(split.apart),
        "questions": {part: counts[part] for part in PARTS},
    }


def _dataset(made: Made) -> Dataset:
    from ragwright.eval.values import Dataset

    return Dataset("questions", "native", tuple(map(_item, made.questions)))


def _item(question: LabelledQuestion) -> Item:
    """A question as evaluations read it; one that is to be asked within its document has a filter."""
    from ragwright.eval.values import Item, Reference
    from ragwright.finetune.questions.round_trip import WITHIN

    pairs = zip(question.references, question.quotes, strict=True)
    labels = {
        "kind": question.task,
        "origin": question.origin,
        "recipe": question.recipe,
        "task": question.task,
    }
    within = question.metadata.get(WITHIN)
    return Item(
        question.id,
        question.text,
        tuple(Reference(span.document_id, span.start, span.end, quote) for span, quote in pairs),
        question.answer,
        metadata={**question.metadata, **labels},
        filters={"source": within} if within else {},
    )


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write one JSON document beside its place, and move it there."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from None
