"""`ragwright ask`: answer a question with checked citations, or refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.access import reading
from ragwright.app.commands.search import (
    Budget,
    EvidenceShare,
    Explain,
    Filters,
    Groups,
    Limit,
    Rerank,
    SearchMode,
    Tenant,
    caller_scope,
    heading,
    open_search_session,
    parse_filters,
    place,
    tell_scores,
)
from ragwright.app.console import Console, Styled
from ragwright.app.layout import shortened, tell_text
from ragwright.app.session import Options
from ragwright.app.streamed_text import Status, StreamedText, is_watched

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.protocols import Generator
    from ragwright.core.types import Answer, AnswerRequest, Citation, Scope

_NEAREST_CHARACTERS = 300


def ask(
    options: Options,
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="In quotation marks.", show_default=False)
    ],
    *,
    limit: Limit = None,
    evidence: EvidenceShare = None,
    budget: Budget = None,
    mode: SearchMode = None,
    rerank: Rerank = None,
    filters: Filters = None,
    tenant: Tenant = None,
    groups: Groups = None,
    explain: Explain = False,
) -> int:
    """Answer a question with quotes, or refuse.

    Every quote is checked against its document before it is shown. When nothing in the documents supports an
    answer, the nearest passages are listed instead.
    """
    given = {"limit": limit, "evidence": evidence, "budget": budget, "mode": mode, "rerank": rerank}
    session = open_search_session(options, given)
    console, scope, wanted = session.console, caller_scope(tenant, groups), parse_filters(filters)
    with reading(session.config, purpose="ragwright ask", console=console) as workspace:
        answer = _answered(workspace, question, scope=scope, filters=wanted, console=console)
    if options.json:
        console.emit_json({"question": question, "answer": answer})
    if not is_watched(console):
        _tell_text(answer, console)
    _tell_sources(answer, console)
    if explain:
        _explain(answer, console)
    return 0


def _answered(
    workspace: Workspace, question: str, *, scope: Scope, filters: Mapping[str, str], console: Console
) -> Answer:
    """The answer; where a person looks on, its text is written as it comes."""
    from ragwright.core.answering import answered
    from ragwright.core.types import AnswerRequest

    with Status(console) as status:
        status.say("searching")
        hits = workspace.retriever.within(scope).search(question, filters=filters)
        request = AnswerRequest(question, tuple(hits))
        status.say("writing")
        if is_watched(console):
            return asyncio.run(_streamed(workspace.generator, request, console=console, status=status))
        return answered(workspace.generator, request)


async def _streamed(
    generator: Generator, request: AnswerRequest, *, console: Console, status: Status
) -> Answer:
    """The answer, once its text has been written as it came.

    Raises:
        ServiceError: See `Generator.stream`; what came before stays written.
    """
    from ragwright.core.types import Answer, Delta

    text, answer = StreamedText(console), None
    try:
        async with aclosing(generator.stream(request)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    status.clear()
                    text.add(event.text)
                elif isinstance(event, Answer):
                    answer = event
    finally:
        status.clear()
        text.end()
    if answer is None:
        raise RuntimeError(f"generator {generator.name} ended without an answer")
    return answer


def _tell_text(answer: Answer, console: Console) -> None:
    for number, part in enumerate(answer.text.split("\n\n")):
        if number:
            console.out("")
        tell_text(console, part)


def _tell_sources(answer: Answer, console: Console) -> None:
    if answer.citations:
        console.out("")
        console.out(Styled("The nearest passages" if answer.refused else "Sources", "bold"))
    for citation in answer.citations:
        _tell_citation(citation, console, quote=answer.refused)


def _tell_citation(citation: Citation, console: Console, *, quote: bool) -> None:
    marker = f"[{citation.marker}] "
    margin = " " * len(marker)
    console.out(Styled(marker, "bold"), Styled(heading(citation.title, citation.headings), "cyan"))
    offsets = f"[{citation.span.start}-{citation.span.end}, {citation.state}]"
    console.out(Styled(f"{margin}{place(citation.source, citation.page)} {offsets}", "dim"))
    if quote:
        tell_text(console, shortened(citation.quote, _NEAREST_CHARACTERS), indent=len(marker))


def _explain(answer: Answer, console: Console) -> None:
    console.out("")
    console.out(Styled(f"Hits, support {answer.support:.3f}", "bold"))
    for number, hit in enumerate(answer.hits, 1):
        console.out(f"{number}. ", Styled(heading(hit.title, hit.chunk.headings), "cyan"))
        console.out(Styled(f"   {place(hit.source, hit.chunk.page)}", "dim"))
        tell_scores(hit, console)
