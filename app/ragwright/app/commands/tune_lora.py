"""`ragwright tune lora`: LoRA weights for the embedder, trained on the workspace's own questions."""

from __future__ import annotations

from typing import Annotated

import typer

from ragwright.app.commands.tune_embedder import Base, Fresh, Minutes, trained
from ragwright.app.session import Options, open_session


def tune_lora(
    options: Options,
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the tuned model.")] = "lora",
    base: Base = None,
    queries: Annotated[
        bool,
        typer.Option("--queries", help="Weights that read questions only: the index stays as it is."),
    ] = False,
    minutes: Minutes = None,
    fresh: Fresh = False,
) -> int:
    """Train LoRA weights for the embedder on the workspace's questions.

    They are a few megabytes beside their base, which stays as it is. With --queries only the reading of
    questions is trained, which is many times as fast, and nothing is indexed again; such weights are experts
    of ragwright tune routing. Else as ragwright tune embedder.
    """
    from ragwright.app.tuning.embedder import Wanted

    session = open_session(options, flags={"tune.minutes": minutes})
    return trained(session, Wanted(name, base, lora=True, queries_only=queries, fresh=fresh))
