"""`ragwright eval chunking`: what ways of cutting documents allow at best, before anything is encoded."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.commands.eval_run import DatasetPath, Format, load
from ragwright.app.console import Console
from ragwright.app.eval_output import figure
from ragwright.app.session import Options, open_session
from ragwright.app.workspace import Workspace
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.core.types import Document, Question, Span
    from ragwright.eval.overlap import ChunkMap
    from ragwright.eval.statistics import Estimate
    from ragwright.eval.values import Dataset

_STRATEGIES = ("structure", "recursive", "sentence", "fixed")
_TOKENS = (64, 128, 200, 254)


@dataclass(frozen=True, slots=True)
class _Cut:
    """One way of cutting, and what it allows.

    Attributes:
        strategy: How documents are cut.
        tokens: Longest chunk.
        overlap: Tokens that neighbours share.
        chunks: How many.
        mean_tokens: Their mean length, as the encoder reads them.
        omega: Precision Omega over the questions.
        whole: Share of references that stand in one chunk as a whole.
        seconds: What cutting took.
    """

    strategy: str
    tokens: int
    overlap: int
    chunks: int
    mean_tokens: float
    omega: Estimate
    whole: float
    seconds: float


def eval_chunking(
    options: Options,
    dataset: DatasetPath,
    *,
    format: Format = None,  # noqa: A002 - the option's name
    strategy: Annotated[
        list[str] | None,
        typer.Option("--strategy", metavar="NAME", help="How documents are cut; repeatable."),
    ] = None,
    tokens: Annotated[
        list[int] | None,
        typer.Option("--tokens", metavar="COUNT", help="Longest chunk; repeatable. [default: 64 to 254]"),
    ] = None,
    overlap: Annotated[
        list[int] | None,
        typer.Option("--overlap", metavar="COUNT", help="Tokens that chunks share; repeatable. [default: 0]"),
    ] = None,
) -> int:
    """Compare ways of cutting documents before anything is encoded.

    Precision Omega is the IoU that would be reached if exactly the chunks that touch a reference were found:
    small chunks raise it. The share of references that stand in one chunk as a whole falls with small chunks.
    The strategy semantic cuts by vectors, so it is tried only when it is named.
    Documents are those of the data set, or those of the present workspace if it has none.
    """
    session = open_session(options)
    loaded = load(dataset, format=format)
    grid = list(itertools.product(strategy or _STRATEGIES, tokens or _TOKENS, overlap or (0,)))
    workspace = Workspace(session.config)
    try:
        cuts = _measure(workspace, loaded, grid)
    finally:
        workspace.close()
    if options.json:
        session.console.emit_json({"dataset": loaded.name, "cuts": cuts})
    _tell(cuts, session.console)
    return 0


def _tell(cuts: Sequence[_Cut], console: Console) -> None:
    rows = [
        (
            each.strategy,
            str(each.tokens),
            str(each.overlap),
            f"{each.chunks:,}",
            f"{each.mean_tokens:.0f}",
            figure(each.omega.mean),
            f"{figure(each.omega.low)} to {figure(each.omega.high)}",
            figure(each.whole),
            f"{each.seconds:.1f}",
        )
        for each in sorted(cuts, key=lambda each: -each.omega.mean)
    ]
    names = ["strategy", "tokens", "overlap", "chunks", "mean", "omega", "95 % interval", "whole", "seconds"]
    console.table(names, rows)


def _measure(workspace: Workspace, dataset: Dataset, grid: Sequence[tuple[str, int, int]]) -> list[_Cut]:
    from ragwright.eval.binding import bind

    documents = _documents(workspace, dataset)
    questions = bind(
        dataset, documents, lambda source: documents[source].text if source in documents else None
    )
    answerable = [question for question in questions if question.references]
    if not answerable or dataset.judgements:
        raise InputError(f"{dataset.name} labels no spans; chunking is measured against spans")
    return [_cut(workspace, list(documents.values()), answerable, *point) for point in grid]


def _documents(workspace: Workspace, dataset: Dataset) -> dict[str, Document]:
    """The documents by source: those of the data set, else those of the present workspace."""
    from ragwright.ingest.texts import as_document

    if dataset.texts:
        made = (as_document(t.source, t.text, title=t.title, metadata=t.metadata) for t in dataset.texts)
        return {each.source: each for each in made}
    workspace.live()
    return {each.document.source: each.document for each in workspace.catalog.documents()}


def _cut(
    workspace: Workspace,
    documents: Sequence[Document],
    questions: Sequence[Question],
    strategy: str,
    tokens: int,
    overlap: int,
) -> _Cut:
    from ragwright.eval.overlap import Characters, ChunkMap, precision_omega
    from ragwright.eval.statistics import estimate
    from ragwright.ingest.chunk import build_chunker

    started = time.perf_counter()
    chunker = build_chunker(
        workspace.profile,
        workspace.tokenizer,
        encoder=workspace.encoder if strategy == "semantic" else None,
        strategy=strategy,
        tokens=tokens,
        overlap=overlap,
    )
    chunks = [(document.source, chunk) for document in documents for chunk in chunker(document)]
    seconds = time.perf_counter() - started
    spans = [replace(chunk.span, document_id=source) for source, chunk in chunks]
    places = ChunkMap(spans)
    omega = [precision_omega(question.references, places, Characters()) for question in questions]
    return _Cut(
        strategy=strategy,
        tokens=tokens,
        overlap=overlap,
        chunks=len(chunks),
        mean_tokens=sum(chunk.tokens for _, chunk in chunks) / max(1, len(chunks)),
        omega=estimate(omega, measure="precision_omega"),
        whole=_whole(questions, places),
        seconds=seconds,
    )


def _whole(questions: Sequence[Question], chunks: ChunkMap) -> float:
    """Share of the references that stand in one chunk as a whole."""
    references = [each for question in questions for each in question.references]
    kept = [any(_holds(chunk, each) for chunk in chunks.overlapping([each])) for each in references]
    return sum(kept) / len(kept)


def _holds(chunk: Span, reference: Span) -> bool:
    return chunk.start <= reference.start and reference.end <= chunk.end
