"""`ragwright eval compare`: two runs on the same questions, with the paired test."""

from __future__ import annotations

from typing import Annotated

import typer

from ragwright.app.console import escape_control
from ragwright.app.eval_output import tell_changes, tell_comparison
from ragwright.app.run_folders import find_run
from ragwright.app.session import Options, open_session


def eval_compare(
    options: Options,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder or name of a run.", show_default=False)],
    baseline: Annotated[
        str, typer.Argument(metavar="BASELINE", help="The run to compare it with.", show_default=False)
    ],
    *,
    measures: Annotated[
        list[str] | None,
        typer.Option("--measure", metavar="NAME", help="Only this one, question by question; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="NUMBER", help="Of the tests.")] = 0,
) -> int:
    """Compare two runs on the same data set.

    Every measure is compared over the questions that both runs asked, with a bootstrap interval and a paired
    randomisation test, corrected for the number of measures. The run's folder gets a report with both.
    """
    from ragwright.eval.compare import changes, compare
    from ragwright.eval.report import write_report
    from ragwright.eval.runs import read_run

    session = open_session(options)
    folder, other = (find_run(session.config, each) for each in (run, baseline))
    mine, theirs = read_run(folder), read_run(other)
    comparison = compare(mine, theirs, measures=measures, seed=seed)
    changed = {name: changes(mine, theirs, name) for name in measures or ()}
    report = write_report(mine, folder / f"report-against-{other.name}.html", baseline=theirs)
    if options.json:
        session.console.emit_json({"report": report, "comparison": comparison, "changes": changed})
    tell_comparison(comparison, session.console)
    for name, each in changed.items():
        tell_changes(name, each, mine, session.console)
    session.console.out("\nreport ", escape_control(str(report), keep=""))
    return 0
