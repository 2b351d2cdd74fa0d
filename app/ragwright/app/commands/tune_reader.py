"""`ragwright tune reader`: a model that reads the hits and finds the evidence in them."""

from __future__ import annotations

from typing import Annotated

import typer

from ragwright.app.commands.tune_embedder import Fresh, Minutes, Told, tell_result
from ragwright.app.session import Options, open_session

_PURPOSE = "ragwright tune"


def tune_reader(
    options: Options,
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the tuned model.")] = "reader",
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="MODEL",
            help="The encoder it is made from, or a reader that goes on learning; else what answers now.",
        ),
    ] = None,
    minutes: Minutes = None,
    fresh: Fresh = False,
) -> int:
    """Train a reader on the workspace's questions.

    It reads a question and a passage together, finds the evidence, marks the words that answer, and tells how
    likely there is an answer. Needs the examples of ragwright tune negatives, and the extra tune. A training
    that was interrupted goes on when it is called again. The weights that served the dev questions best are
    kept, and what they say is made to hold on them. Nothing changes for searches before: ragwright tune
    promote.
    """
    from ragwright.app.access import reading
    from ragwright.app.tuning.reader import Wanted, prepare
    from ragwright.app.tuning.reader import tune_reader as train

    session = open_session(options, flags={"tune.minutes": minutes})
    with reading(session.config, purpose=_PURPOSE, console=session.console) as workspace:
        prepared = prepare(workspace, Wanted(name, base, fresh=fresh))
    count, dev = len(prepared.lessons.train), len(prepared.lessons.dev)
    session.console.note(f"{count:,} examples to learn, {dev:,} dev questions to choose by")
    tell_result(train(prepared, told=Told(session)), session, folder=str(prepared.folder))
    return 0
