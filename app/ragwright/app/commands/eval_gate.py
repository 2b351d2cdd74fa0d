"""`ragwright eval gate`: refuse a run that is worse than its baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.console import Console, Styled, escape_control
from ragwright.app.run_folders import find_run
from ragwright.app.session import Options, open_session
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.eval.gate import GateResult

NOT_PASSED = 4

_Gated = Annotated[str, typer.Argument(metavar="RUN", help="Folder or name of a run.", show_default=False)]
_Baseline = Annotated[
    str | None, typer.Option("--baseline", metavar="RUN", help="The run it must not fall behind.")
]
_Required = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        metavar="RULE",
        help="Bound on a measure's difference to the baseline, such as 'iou>=-0.01'; repeatable.",
    ),
]
_Floors = Annotated[
    list[str] | None,
    typer.Option("--floor", metavar="RULE", help="Bound on a measure itself, such as 'recall>=0.75'."),
]


def eval_gate(
    options: Options,
    run: _Gated,
    *,
    baseline: _Baseline = None,
    require: _Required = None,
    floor: _Floors = None,
) -> int:
    """Refuse a run that breaks a rule: exit code 4.

    A rule on a measure that one of the runs lacks is an error, never a pass. The run's report is written anew
    with the verdict.
    """
    from ragwright.eval.compare import compare
    from ragwright.eval.gate import GateResult, check_floors, check_gate, check_side, parse_requirement
    from ragwright.eval.report import write_report
    from ragwright.eval.runs import REPORT, read_run

    session = open_session(options)
    if not require and not floor:
        raise InputError("no rule was given; name one, such as --baseline RUN --require 'iou>=-0.01'")
    if require and not baseline:
        raise InputError("--require bounds the difference to a baseline; name one with --baseline")
    differences, values = (tuple(map(parse_requirement, rules or ())) for rules in (require, floor))
    for rule in (*differences, *values):
        check_side(rule)
    folder = find_run(session.config, run)
    mine, theirs = read_run(folder), read_run(find_run(session.config, baseline)) if baseline else None
    verdicts = list(check_floors(mine, values).verdicts) if values else []
    if theirs is not None and differences:
        verdicts += check_gate(compare(mine, theirs), differences).verdicts
    result = GateResult(tuple(verdicts))
    report = write_report(mine, folder / REPORT, baseline=theirs, gate=result)
    if options.json:
        session.console.emit_json({"passed": result.passed, "verdicts": result.verdicts, "report": report})
    _tell(result, report, session.console)
    return 0 if result.passed else NOT_PASSED


def _tell(result: GateResult, report: Path, console: Console) -> None:
    for verdict, sentence in zip(result.verdicts, result.sentences(), strict=True):
        console.out(Styled(sentence, "green" if verdict.passed else "red"))
    console.out("the gate is passed" if result.passed else "the gate is not passed")
    console.out("report ", escape_control(str(report), keep=""))
