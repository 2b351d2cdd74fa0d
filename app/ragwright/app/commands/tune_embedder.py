"""`ragwright tune embedder`: the embedder, trained on the workspace's own questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.console import escape_control
from ragwright.app.session import Options, Session, open_session

if TYPE_CHECKING:
    from ragwright.app.tuning.embedder import Wanted
    from ragwright.finetune.training import Progress
    from ragwright.finetune.tuned_model import TunedModel

_PURPOSE = "ragwright tune"

Base = Annotated[
    str | None,
    typer.Option("--base", metavar="MODEL", help="What is trained, as encoder.model; else what answers now."),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Begin anew, whatever an unfinished training has reached.")
]
Minutes = Annotated[
    int | None, typer.Option("--minutes", min=1, metavar="COUNT", help="Most minutes; else tune.minutes.")
]


def tune_embedder(
    options: Options,
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the tuned model.")] = "embedder",
    base: Base = None,
    minutes: Minutes = None,
    fresh: Fresh = False,
) -> int:
    """Train the embedder on the workspace's questions.

    Needs the examples of ragwright tune negatives, and the extra tune. The workspace is free meanwhile. A
    training that was interrupted goes on when it is called again. The weights that served the dev questions
    best are kept, with a card and curves. Nothing changes for searches before: ragwright tune promote.
    """
    from ragwright.app.tuning.embedder import Wanted

    session = open_session(options, flags={"tune.minutes": minutes})
    return trained(session, Wanted(name, base, fresh=fresh))


def trained(session: Session, wanted: Wanted) -> int:
    """Train what is wanted and tell what came of it; returns the exit code."""
    from ragwright.app.access import reading
    from ragwright.app.tuning.embedder import prepare, tune_embedder

    with reading(session.config, purpose=_PURPOSE, console=session.console) as workspace:
        prepared = prepare(workspace, wanted)
    count, dev = len(prepared.lessons.train), len(prepared.lessons.dev)
    session.console.note(f"{count:,} examples to learn, {dev:,} dev questions to choose by")
    tell_result(tune_embedder(prepared, told=Told(session)), session, folder=str(prepared.folder))
    return 0


class Told:
    """Says on stderr what a training has reached; every look, and now and then a loss."""

    def __init__(self, session: Session) -> None:
        self._console = session.console
        self._shown = 0

    def __call__(self, progress: Progress) -> None:
        """One report."""
        if progress.dev:
            measured = ", ".join(f"{name} {value:.4f}" for name, value in progress.dev.items())
            self._console.note(f"step {progress.step:,} of {progress.steps:,}: dev {measured}")
        elif progress.loss is not None and progress.step - self._shown >= progress.steps // 10:
            self._shown = progress.step
            left = f"{progress.seconds:,.0f} s"
            self._console.note(
                f"step {progress.step:,} of {progress.steps:,}: loss {progress.loss:.4f}, {left}"
            )


def tell_result(tuned: TunedModel, session: Session, *, folder: str) -> None:
    """What came of a training, and what to do with it."""
    console = session.console
    if console.json:
        console.emit_json(tuned)
    names = [name.removeprefix("dev.") for name in tuned.metrics if name.startswith("dev.")]
    if names:
        rows = [
            (name, f"{tuned.metrics.get(f'start.{name}', 0.0):.4f}", f"{tuned.metrics[f'dev.{name}']:.4f}")
            for name in names
        ]
        console.table(["dev questions", "before", "after"], rows)
    console.out(f"{tuned.name} lies in ", escape_control(folder, keep=""))
    if tuned.settings.get("queries_only"):
        console.out("to route questions to it: ragwright tune routing")
    else:
        console.out(f"to let it answer, if it is better: ragwright tune promote {tuned.name}")
