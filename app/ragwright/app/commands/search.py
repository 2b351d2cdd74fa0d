"""`ragwright search`: find chunks and the evidence in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.access import reading
from ragwright.app.console import Console, Styled, escape_control
from ragwright.app.layout import shortened, tell_text
from ragwright.app.session import Options, Session, open_session
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.core.types import Hit, Scope

_INDENT = 3
_PREVIEW_CHARACTERS = 160
_LIKELY = 0.5  # that a passage answers, from which the words that do so are shown

Query = Annotated[
    str,
    typer.Argument(metavar="QUERY", help="A question or keywords, in quotation marks.", show_default=False),
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", metavar="COUNT", help="Most hits.")]
EvidenceShare = Annotated[
    float | None,
    typer.Option(
        "--evidence",
        metavar="SHARE",
        help="Share of the best sentence's score to reach, 0 (generous) to 1 (precise).",
    ),
]
Budget = Annotated[
    int | None, typer.Option("--budget", metavar="TOKENS", help="Most tokens of evidence in all.")
]
SearchMode = Annotated[str | None, typer.Option("--mode", metavar="MODE", help="hybrid, dense or lexical.")]
Rerank = Annotated[
    str | None, typer.Option("--rerank", metavar="MODE", help="none, evidence, late, cross or reader.")
]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", metavar="KEY=VALUE", help="source, title, page, type or other metadata; repeatable."
    ),
]
Tenant = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        metavar="NAME",
        help="See what a caller of this tenant sees; without this and --group everything is seen.",
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option("--group", metavar="NAME", help="A group of the tenant that the caller is in; repeatable."),
]
Explain = Annotated[bool, typer.Option("--explain", help="Show each stage's part of every score.")]


def search(
    options: Options,
    query: Query,
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
    """Find passages and the evidence in them.

    Below each passage stand the sentences that answer the query best, with their offsets in the document's
    text.
    """
    given = {"limit": limit, "evidence": evidence, "budget": budget, "mode": mode, "rerank": rerank}
    session = open_search_session(options, given)
    wanted = parse_filters(filters)
    with reading(session.config, purpose="ragwright search", console=session.console) as workspace:
        hits = workspace.retriever.within(caller_scope(tenant, groups)).search(query, filters=wanted)
    if options.json:
        session.console.emit_json({"query": query, "hits": hits})
    if not hits:
        session.console.note(nothing_found(wanted))
    for number, hit in enumerate(hits, 1):
        _tell_hit(number, hit, session.console, explain=explain)
    return 0


def open_search_session(options: Options, given: Mapping[str, str | float | None]) -> Session:
    """The settings of a command that searches.

    Args:
        options: The common options.
        given: The command's own, by their name in the section `search`; None: not given.
    """
    return open_session(options, flags={f"search.{name}": value for name, value in given.items()})


def parse_filters(given: Sequence[str] | None) -> Mapping[str, str]:
    """Filters as typed, by field.

    Raises:
        InputError: One is not of the form key=value.
    """
    filters = {}
    for each in given or ():
        key, equals, value = each.partition("=")
        if not equals or not key or not value:
            raise InputError(f'the filter "{each}" is not of the form key=value, such as type=pdf')
        filters[key] = value
    return filters


def caller_scope(tenant: str | None, groups: Sequence[str] | None) -> Scope:
    """What someone of this tenant and these groups may see; with neither given, everything."""
    from ragwright.core.types import OWNER, Scope

    if tenant is None and not groups:
        return OWNER
    return Scope(frozenset({tenant or ""}), frozenset(groups or ()))


def nothing_found(filters: Mapping[str, str]) -> str:
    """What to say when there is no hit: the filters are the likely cause."""
    given = " and ".join(f"{key}={value}" for key, value in filters.items())
    return f"nothing was found with {given}" if given else "nothing was found"


def heading(title: str, headings: Sequence[str]) -> str:
    """A document's title and the headings above a passage, on one line."""
    return escape_control(" › ".join(dict.fromkeys((title, *headings))), keep="")


def place(source: str, page: int | None) -> str:
    """Where a passage stands, on one line."""
    return escape_control(source + (f", page {page}" if page else ""), keep="")


def tell_scores(hit: Hit, console: Console) -> None:
    """Show each stage's part of a score on one line."""
    parts = [f"{name} {value:.4g}" for name, value in hit.scores.items()]
    console.out(Styled("   scores: " + ", ".join(parts), "dim"))


def _tell_hit(number: int, hit: Hit, console: Console, *, explain: bool) -> None:
    span, margin = hit.chunk.span, " " * _INDENT
    if number > 1:
        console.out("")
    console.out(Styled(f"{number}. ", "bold"), Styled(heading(hit.title, hit.chunk.headings), "cyan"))
    console.out(Styled(f"{margin}{place(hit.source, hit.chunk.page)} [{span.start}-{span.end}]", "dim"))
    if explain:
        tell_scores(hit, console)
    for evidence in hit.evidence:
        score = f", {evidence.score:.3f}" if explain else ""
        where = f"[{evidence.span.start}-{evidence.span.end}{score}]"
        tell_text(console, evidence.text, indent=_INDENT, tail=where)
    if not hit.evidence:
        console.out(Styled(f"{margin}no sentence is close enough to the best one; it begins:", "dim"))
        tell_text(console, shortened(hit.chunk.text, _PREVIEW_CHARACTERS), indent=_INDENT)
    if hit.answer is not None and hit.answer.score >= _LIKELY:
        answer = shortened(" ".join(hit.answer.text.split()), _PREVIEW_CHARACTERS)
        console.out(Styled(f"{margin}answer: ", "green"), escape_control(answer, keep=""))
    for other in hit.duplicates:
        also = f"{margin}also in {place(other.source, None)} [{other.span.start}-{other.span.end}]"
        console.out(Styled(also, "dim"))
