"""`ragwright tune routing`: experts for parts of the documents, and what it is worth to route to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.console import Console, Styled, escape_control
from ragwright.app.progress import Counter
from ragwright.app.session import Options, open_session

if TYPE_CHECKING:
    from ragwright.app.tuning.routing_report import RoutingReport, Way

_SURE = 0.05


def add_expert(
    options: Options,
    tuned: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Of a query adapter; see tune list.", show_default=False),
    ],
    *,
    name: Annotated[
        str | None, typer.Option("--name", metavar="EXPERT", help="Of the expert; else that of the model.")
    ] = None,
    pilots: Annotated[
        Path | None,
        typer.Option(
            "--pilots", metavar="DATASET", help="Questions of its domain; else those it was trained with."
        ),
    ] = None,
) -> int:
    """Let a tuned model encode the queries of its domain.

    The domain is told by centroids of questions, so nothing is trained for the choice. A server that routes
    takes the expert up at its next query. Routing begins with: ragwright tune promote router.
    """
    from ragwright.app.tuning.routing import Wanted
    from ragwright.app.tuning.routing import add_expert as add
    from ragwright.app.workspace import Workspace

    session = open_session(options)
    console, workspace = session.console, Workspace(session.config)
    try:
        workspace.live()
        added = add(workspace, Wanted(tuned, name or tuned, pilots))
    finally:
        workspace.close()
    expert = added.expert
    if console.json:
        facts = {"expert": expert.name, "kind": expert.kind, "model": tuned, "pilots": added.pilots}
        console.emit_json({**facts, "centroids": len(expert.centroids), "floor": expert.floor})
    console.out(
        f"expert {expert.name}: {len(expert.centroids)} centroids of {added.pilots:,} questions; "
        f"a query below likeness {expert.floor:.3f} is not its own"
    )
    return 0


def remove_expert(
    options: Options,
    name: Annotated[str, typer.Argument(metavar="EXPERT", help="Its name.", show_default=False)],
) -> int:
    """Take an expert out of the table; the tuned model stays where it is.

    Nothing is trained. A server that routes does without it from its next query on.
    """
    from ragwright.app.tuning.routing import remove_expert as remove
    from ragwright.app.workspace import Workspace

    session = open_session(options)
    workspace = Workspace(session.config)
    try:
        workspace.live()
        left = remove(workspace, name)
    finally:
        workspace.close()
    if options.json:
        session.console.emit_json({"removed": name, "experts": left.names})
    session.console.out(f"{name} is removed; left: {', '.join(left.names) or 'none'}")
    return 0


def list_experts(options: Options) -> int:
    """List the experts that queries are routed to."""
    from ragwright.app.tuning.routing import read_table
    from ragwright.app.workspace import Workspace

    session = open_session(options)
    workspace = Workspace(session.config)
    try:
        workspace.live()
        table = read_table(workspace)
    finally:
        workspace.close()
    if options.json:
        experts = [
            {
                "name": e.name,
                "kind": e.kind,
                "folder": e.folder,
                "centroids": len(e.centroids),
                "floor": e.floor,
            }
            for e in table.experts
        ]
        session.console.emit_json({"base": table.base, "experts": experts})
    rows = [(e.name, e.kind, e.folder, str(len(e.centroids)), f"{e.floor:.3f}") for e in table.experts]
    session.console.table(["expert", "kind", "folder", "centroids", "floor"], rows)
    if not rows:
        session.console.note("there are no experts; add one: ragwright tune routing add NAME")
    return 0


def report_routing(
    options: Options,
    *,
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions", metavar="DATASET", help="Ask these, not the held-out ones of tune questions."
        ),
    ] = None,
    single: Annotated[
        str | None,
        typer.Option("--single", metavar="NAME", help="An adapter for everything, to compare with."),
    ] = None,
) -> int:
    """Measure what routing is worth, on held-out questions.

    Every question is asked of the encoder alone, of each expert, and of the one that the router chooses; with
    --single of one adapter for everything as well. Gains are differences to the encoder alone.
    """
    from ragwright.app.access import reading
    from ragwright.app.tuning.routing import read_table
    from ragwright.app.tuning.routing_report import held_out, routing_report

    session = open_session(options)
    console = session.console
    with reading(session.config, purpose="ragwright tune routing report", console=console) as workspace:
        dataset = held_out(workspace, questions)
        ways = len(read_table(workspace).experts) + 2 + (single is not None)
        with Counter(console, "questions asked", ways * len(dataset.items)) as counter:
            report = routing_report(workspace, dataset, single=single, done=counter.advance)
    _tell(report, console)
    return 0


def _tell(report: RoutingReport, console: Console) -> None:
    if console.json:
        console.emit_json(report)
    for domain, ways in [("", report.ways), *report.domains.items()]:
        chosen = report.chosen[domain]
        count = sum(chosen.values())
        title = f"{count:,} questions" + (f" of the domain of {domain}" if domain else "")
        console.out(Styled(escape_control(title, keep=""), "bold"))
        console.table(["", "nDCG@10", "gain", "p", "R@10", "gain", "p"], map(_row, ways))
        told = ", ".join(f"{name} {number / count:.0%}" for name, number in sorted(chosen.items()))
        console.out("routed to: ", escape_control(told, keep=""), "\n")


def _row(way: Way) -> Sequence[str | Styled]:
    cells: list[str | Styled] = [way.name]
    for measure, value in way.values.items():
        gain, p = way.gains[measure], way.p[measure]
        told = f"{gain.mean:+.3f} [{gain.low:+.3f} to {gain.high:+.3f}]"
        look = Styled(told, "green" if gain.mean > 0 else "red") if p < _SURE else told
        cells += [f"{value.mean:.3f}", look, f"{p:.4f}"]
    return cells
