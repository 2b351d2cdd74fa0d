"""`ragwright tune promote`: let a tuned model answer, if it passes the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragwright.app.commands.eval_gate import NOT_PASSED
from ragwright.app.console import Console, Styled, escape_control, plain
from ragwright.app.session import Options, Session, open_session
from ragwright.core.errors import InputError, ServiceError

if TYPE_CHECKING:
    from ragwright.app.tuning.exam import Wanted
    from ragwright.app.tuning.promotion import Promotion

Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Let the server there do it, which holds the workspace; an admin key is taken from"
        " RAGWRIGHT_SERVER__API_KEY.",
    ),
]
Collection = Annotated[
    str | None, typer.Option("--collection", metavar="NAME", help="With --server: which of its workspaces.")
]


_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Of a tuned model; see tune list.", show_default=False)
]
_Questions = Annotated[
    Path | None,
    typer.Option(
        "--questions", metavar="DATASET", help="Ask these, not the held-out ones of tune questions."
    ),
]
_Outside = Annotated[
    Path | None,
    typer.Option(
        "--outside", metavar="DATASET", help="Of another domain, with documents; else tune.outside."
    ),
]
_NoOutside = Annotated[
    bool, typer.Option("--no-outside", help="Ask nothing of another domain, at your own risk.")
]
_Gate = Annotated[
    list[str] | None,
    typer.Option("--gate", metavar="RULE", help="What must be gained, not tune.gate; repeatable."),
]


def promote(
    options: Options,
    name: _Name,
    *,
    questions: _Questions = None,
    outside: _Outside = None,
    no_outside: _NoOutside = False,
    gate: _Gate = None,
    server: Server = None,
    collection: Collection = None,
) -> int:
    """Let a tuned model answer, if it passes the gate.

    A new index is built beside the one that answers, from the stored texts. Both are asked the held-out
    questions, and questions of another domain. The new one answers from then on if the gate holds: tune.gate
    by the whole 95 % interval, and tune.outside_gate by the mean. Else nothing changes, the exit code is 4,
    and the report says why. ragwright tune rollback takes it back.
    """
    from ragwright.app.tuning.exam import Wanted

    session = open_session(options)
    if server is not None:
        if any(each is not None for each in (questions, outside, gate)):
            raise InputError(
                "with --server its own settings count: set tune.outside and tune.gate there, and leave "
                "--questions, --outside and --gate out"
            )
        body = {"name": name, "collection": collection, "skip_outside": no_outside}
        return tell_job(run_on_server(session, server, "/v1/tune/promotions", body), session.console)
    refuse_collection(collection)
    wanted = Wanted(questions, outside, no_outside, tuple(gate) if gate else None)
    return _tell(_promoted(session, name, wanted), session.console)


def _promoted(session: Session, name: str, wanted: Wanted) -> Promotion:
    from ragwright.app.tuning.held import ShownWitness, held_workspace
    from ragwright.app.tuning.promotion import promote as promoted

    command = f"ragwright tune promote {name}"
    with (
        held_workspace(session.config, command=command, console=session.console) as workspace,
        ShownWitness(session.console) as witness,
    ):
        return promoted(workspace, name, wanted=wanted, witness=witness)


def _tell(done: Promotion, console: Console) -> int:
    if console.json:
        console.emit_json({"accepted": done.accepted, **plain(done)})
    tell_sentences(done.examined.sentences(), console)
    if done.accepted:
        told = f"{done.name} answers now, as the {done.part}, from index {done.version}"
        console.out(Styled("promoted: ", "green"), escape_control(told, keep=""))
        console.note("to take it back: ragwright tune rollback")
        for each in done.displaced:
            console.note(f"{each} answers no more")
    else:
        console.out(Styled("refused: ", "red"), "nothing has changed; the tuned model stays where it is")
    console.out("report ", escape_control(str(done.folder), keep=""))
    return 0 if done.accepted else NOT_PASSED


def tell_sentences(sentences: Sequence[str], console: Console) -> None:
    """The verdicts, a line each."""
    for sentence in sentences:
        console.out(Styled(sentence, "green" if sentence.startswith("passed") else "red"))


def refuse_collection(collection: str | None) -> None:
    """Refuse an option that would do nothing.

    Raises:
        InputError: It is given.
    """
    if collection is not None:
        raise InputError("--collection goes with --server; without, name a workspace with --workspace")


def run_on_server(session: Session, url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What became of a job of a server; how far it is, is told on stderr."""
    from ragwright.app.tuning.remote import RemoteServer

    last = [""]

    def told(job: Mapping[str, Any]) -> None:
        state = f"{job['stage']} {job['done']}/{job['total']}" if job["total"] else str(job["stage"])
        if state != last[0]:
            last[0] = state
            session.console.note(state)

    key = session.config.server.api_key
    server = RemoteServer(url, key.get_secret_value() if key else None)
    given = {name: value for name, value in body.items() if value is not None}
    return dict(server.run(path, given, told=told))


def tell_job(job: dict[str, Any], console: Console) -> int:
    """What became of a server's job.

    Raises:
        ServiceError: It failed.
    """
    if job["state"] == "failed":
        raise ServiceError(f"the server could not do it: {job['reason']}")
    if console.json:
        console.emit_json(job)
    tell_sentences(job["sentences"], console)
    refused = job["outcome"] == "refused"
    look = Styled(f"{job['outcome']}: ", "red" if refused else "green")
    words = "nothing has changed" if refused else f"index {job['version']} answers now"
    console.out(look, escape_control(f"{job['name']}; {words}", keep=""))
    return NOT_PASSED if refused else 0
