"""Training examples of a workspace's questions: positives of its index, negatives of its retriever."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.app.tuning.run_folder import DEV, EXAMPLES, TRAIN
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.config_tuning import NegativesConfig
    from ragwright.core.types import Hit
    from ragwright.finetune.corpus import Corpus
    from ragwright.finetune.examples import Examples, MiningReport
    from ragwright.finetune.negatives import Guards
    from ragwright.finetune.values import LabelledQuestion, Part
    from ragwright.retrieval.search import HybridRetriever

AUDIT, REPORT = "audit.jsonl", "report.json"
FILES: Mapping[Part, str] = {"train": TRAIN, "dev": DEV}
"""Of the parts that examples are made for: the third is held out."""

_ASKED = 64  # questions in one search
_FETCHED = 512  # chunks

Told = Callable[[int], None]
"""Told how many questions have been asked."""


@dataclass(frozen=True, slots=True)
class MinedExamples:
    """What was written.

    Attributes:
        folder: Of the files.
        reports: By part.
    """

    folder: Path
    reports: Mapping[Part, MiningReport]


def questions_by_part(workspace: Workspace) -> dict[Part, list[LabelledQuestion]]:
    """The questions to learn from and to choose by.

    Raises:
        InputError: There are none, or none to learn from.
    """
    from ragwright.app.tuning.questions import FOLDER, QUESTIONS
    from ragwright.finetune.questions.splitting import PART
    from ragwright.finetune.rows import read_questions

    path = workspace.folder / FOLDER / QUESTIONS
    if not path.is_file():
        raise InputError(f"{path.parent} holds no questions; run: ragwright tune questions")
    parts: dict[Part, list[LabelledQuestion]] = {part: [] for part in FILES}
    for question in read_questions(path):
        if (part := question.metadata.get(PART)) in parts:
            parts[part].append(question)
    if not parts["train"]:
        raise InputError(f"none of the questions in {path} belongs to the part train; make more of them")
    return parts


def mine_examples(workspace: Workspace, *, told: Told) -> MinedExamples:
    """Make examples of the workspace's questions, and write them with their audit and report.

    Raises:
        InputError: There are no questions, or none of them is answered by a chunk.
    """
    from ragwright.finetune.rows import write_audit, write_examples

    parts = questions_by_part(workspace)
    corpus = corpus_of(
        workspace, {source for part in parts.values() for each in part for source in each.sources}
    )
    folder = workspace.folder / EXAMPLES
    made: dict[Part, Examples] = {}
    before = 0
    for part, questions in parts.items():
        others = _others(workspace, part)
        asked = partial(_told_behind, told, before)
        made[part] = mined(workspace, questions, corpus=corpus, passed_over=others, told=asked)
        before += len(questions)
    reports = {part: each.report for part, each in made.items()}
    write_audit(folder / AUDIT, (row for each in made.values() for row in each.audit))
    _write_report(folder / REPORT, reports)
    for part, each in made.items():
        write_examples(folder / FILES[part], each.examples)
    if not made["train"].examples:
        raise InputError(f"no chunk answers any of the questions; {folder / AUDIT} says why")
    return MinedExamples(folder, reports)


def mined(
    workspace: Workspace,
    questions: Sequence[LabelledQuestion],
    *,
    corpus: Corpus,
    passed_over: Collection[str] = (),
    told: Told = lambda asked: None,
) -> Examples:
    """Examples of questions; nothing is written.

    Args:
        workspace: Its own retriever is asked as deep as `negatives.depth`.
        questions: With references in documents of the corpus.
        corpus: Their chunks.
        passed_over: Sources whose chunks are no candidates: of documents that are held out.
        told: Told how far this is.
    """
    from ragwright.finetune.examples import make_examples

    hits = hits_of(workspace, questions, told=told)
    left = [[hit for hit in found if hit.source not in passed_over] for found in hits]
    guards = guards_of(workspace.config.negatives)
    return make_examples(questions, left, corpus=corpus, guards=guards)


def guards_of(settings: NegativesConfig) -> Guards:
    """The guards of the `[negatives]` section."""
    from ragwright.finetune.negatives import Guards

    return Guards(
        per_question=settings.per_question,
        margin=settings.margin,
        neighbours=settings.neighbours,
        duplicate=settings.duplicate,
        common=settings.common,
    )


def corpus_of(workspace: Workspace, sources: Collection[str]) -> Corpus:
    """The chunks of these documents of the configured tenant, as the index holds them."""
    from ragwright.finetune.corpus import Corpus

    version, manifest = workspace.live()
    index = workspace.open_index(version, manifest)
    known = workspace.catalog.sources(workspace.config.ingest.tenant)
    names = {known[source]: source for source in sources if source in known}
    rows = workspace.catalog.ledger(version, list(names))
    chunks = []
    for first in range(0, len(rows), _FETCHED):
        fetched = index.fetch([row.id for row in rows[first : first + _FETCHED]])
        chunks += [(each.chunk, names[each.chunk.span.document_id]) for each in fetched.values()]
    return Corpus(chunks, seed=workspace.config.tune.seed)


def hits_of(
    workspace: Workspace, questions: Sequence[LabelledQuestion], *, told: Told = lambda asked: None
) -> list[list[Hit]]:
    """What the workspace's retriever finds for questions, each asked within its document if it says so."""
    retriever = tenant_retriever(workspace)
    depth = workspace.config.negatives.depth
    options = replace(workspace.models.search_options(), limit=depth, budget=None, rerank="none")
    options = replace(options, candidates=max(options.candidates, depth))
    hits: list[list[Hit]] = []
    for first in range(0, len(questions), _ASKED):
        part = questions[first : first + _ASKED]
        filters = [filters_of(each) for each in part]
        hits += retriever.search_many([each.text for each in part], filters=filters, options=options)
        told(len(hits))
    return hits


def tenant_retriever(workspace: Workspace) -> HybridRetriever:
    """The workspace's retriever for whoever may see every document of the configured tenant."""
    from ragwright.core.types import Scope

    return workspace.retriever.within(Scope(frozenset({workspace.config.ingest.tenant}), None))


def filters_of(question: LabelledQuestion) -> Mapping[str, str]:
    """What every hit of a question must have."""
    from ragwright.finetune.questions.round_trip import WITHIN

    within = question.metadata.get(WITHIN)
    return {"source": str(within)} if within else {}


def _told_behind(told: Told, before: int, asked: int) -> None:
    """Tell how many were asked, those of earlier parts included."""
    told(before + asked)


def _others(workspace: Workspace, part: Part) -> frozenset[str]:
    """Documents of other parts: what is learnt of them, and be it that they answer nothing, leaks."""
    from ragwright.app.tuning.questions import FOLDER, SPLITS, read_split

    split = read_split(workspace.folder / FOLDER / SPLITS)
    if split is None or split.by != "document":
        return frozenset()
    return frozenset(source for source, own in split.parts.items() if own != part)


def _write_report(path: Path, reports: Mapping[Part, MiningReport]) -> None:
    document = {part: asdict(each) for part, each in reports.items()}
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from None
