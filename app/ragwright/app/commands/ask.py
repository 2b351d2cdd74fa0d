"""`ragwright ask`: answer a question with checked citations, or refuse."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from ragwright.core.types import Answer, Citation

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
    from ragwright.core.answering import answered
    from ragwright.core.types import AnswerRequest

    given = {"limit": limit, "evidence": evidence, "budget": budget, "mode": mode, "rerank": rerank}
    session = open_search_session(options, given)
    wanted = parse_filters(filters)
    with reading(session.config, purpose="ragwright ask", console=session.console) as workspace:
        hits = workspace.retriever.within(caller_scope(tenant, groups)).search(question, filters=wanted)
        answer = answered(workspace.generator, AnswerRequest(question, tuple(hits)))
    if options.json:
        session.console.emit_json({"question": question, "answer": answer})
    _tell(answer, session.console, explain=explain)
    return 0


def _tell(answer: Answer, console: Console, *, explain: bool) -> None:
    for number, part in enumerate(answer.text.split("\n\n")):
        if number:
            console.out("")
        tell_text(console, part)
    if answer.citations:
        console.out("")
        console.out(Styled("The nearest passages" if answer.refused else "Sources", "bold"))
    for citation in answer.citations:
        _tell_citation(citation, console, quote=answer.refused)
    if explain:
        _explain(answer, console)


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
