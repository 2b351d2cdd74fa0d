"""`ragwright tune rollback`: let answer what did before the last promotion."""

from __future__ import annotations

from collections.abc import Mapping

from ragwright.app.commands.tune_promote import (
    Collection,
    Server,
    refuse_collection,
    run_on_server,
    tell_job,
)
from ragwright.app.console import Styled, escape_control
from ragwright.app.session import Options, open_session


def rollback(options: Options, *, server: Server = None, collection: Collection = None) -> int:
    """Let answer what did before the last promotion.

    Documents that were ingested, changed or removed since are carried over first, from the stored texts. Once
    more takes back the promotion before it, whose index has to be built again.
    """
    from ragwright.app.tuning.held import ShownWitness, held_workspace
    from ragwright.app.tuning.promotion import roll_back

    session = open_session(options)
    if server is not None:
        body = {"collection": collection}
        return tell_job(run_on_server(session, server, "/v1/tune/rollbacks", body), session.console)
    refuse_collection(collection)
    with (
        held_workspace(
            session.config, command="ragwright tune rollback", console=session.console
        ) as workspace,
        ShownWitness(session.console) as witness,
    ):
        done = roll_back(workspace, witness=witness)
    if options.json:
        session.console.emit_json(done)
    now = answering(done.parts)
    told = f"{done.name} answers no more; {now} from index {done.version}"
    session.console.out(Styled("rolled back: ", "green"), escape_control(told, keep=""))
    return 0


def answering(parts: Mapping[str, str]) -> str:
    """What answers, in words.

    >>> answering({"embedder": "policies", "reranker": "pairs"})
    'policies (embedder) and pairs (reranker) answer'
    >>> answering({})
    'what the settings name answers'
    """
    if not parts:
        return "what the settings name answers"
    named = [f"{name} ({part})" for part, name in parts.items()]
    return f"{' and '.join(named)} {'answers' if len(named) == 1 else 'answer'}"
