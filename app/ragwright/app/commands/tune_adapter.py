"""`ragwright tune adapter`: a matrix that moves questions towards their answers; nothing is indexed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.commands.eval_gate import NOT_PASSED
from ragwright.app.console import Console, Styled, escape_control
from ragwright.app.session import Options, open_session

if TYPE_CHECKING:
    from ragwright.app.tuning.adapter import TunedAdapter

_FEW = 30  # dev questions

Documents = Annotated[
    list[str] | None,
    typer.Option(
        "--documents",
        metavar="PATTERN",
        help="Learn from questions about these documents alone, such as 'policies/*'; repeatable.",
    ),
]


def tune_adapter(
    options: Options,
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the tuned model.")] = "adapter",
    documents: Documents = None,
) -> int:
    """Train a query adapter in seconds; nothing is indexed again.

    It moves the vectors of questions to where their answers stand. How strongly it is held back towards
    changing nothing, and how long it learns, the dev questions decide. Where none is better than none,
    nothing is kept and the exit code is 4. It answers after: ragwright tune promote NAME.
    """
    from ragwright.app.access import reading
    from ragwright.app.tuning.adapter import Wanted
    from ragwright.app.tuning.adapter import tune_adapter as tune

    session = open_session(options)
    console = session.console

    def told(step: int, measured: Mapping[str, float]) -> None:
        console.note(f"step {step:,}: " + ", ".join(f"{key} {value:.4f}" for key, value in measured.items()))

    with reading(session.config, purpose="ragwright tune adapter", console=console) as workspace:
        done = tune(workspace, Wanted(name, tuple(documents or ())), told=told)
    return _tell(done, console)


def _tell(done: TunedAdapter, console: Console) -> int:
    fitted = done.fitted
    if console.json:
        console.emit_json(
            {
                "kept": done.tuned is not None,
                "folder": done.folder if done.tuned else None,
                "examples": done.examples,
                "dev_questions": done.dev,
                "before": fitted.start,
                "after": fitted.dev,
                "strength": fitted.strength,
                "steps": fitted.steps,
                "seconds": fitted.seconds,
            }
        )
    console.out(f"{done.examples:,} examples, chosen by {done.dev:,} dev questions, {fitted.seconds:.1f} s")
    rows = [(key, f"{value:.4f}", f"{fitted.dev[key]:.4f}") for key, value in fitted.start.items()]
    console.table(["dev questions", "without", "with"], rows)
    if done.dev < _FEW:
        console.note(f"with fewer than {_FEW} dev questions the choice is partly luck; promotion tells")
    if done.tuned is None:
        console.out(Styled("refused: ", "red"), "no adapter serves the dev questions better than none")
        return NOT_PASSED
    console.out("\nadapter ", escape_control(str(done.folder), keep=""))
    console.note(f"to let it answer: ragwright tune promote {done.tuned.name}")
    return 0
