"""`ragwright keys`: who may ask the server, and what each may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.console import Styled
from ragwright.app.session import Options, Session, open_session
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.serve.key_file import KeyFile
    from ragwright.app.serve.keys import Key

_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Names it in lists and, with its id, in logs and traces.")
]
_Tenant = Annotated[
    str, typer.Option("--tenant", metavar="TENANT", help="Whose documents it sees; else nobody's.")
]
_Groups = Annotated[
    list[str] | None,
    typer.Option("--group", metavar="GROUP", help="Sees documents of this group, too; repeatable."),
]
_Write = Annotated[bool, typer.Option("--write", help="May upload and delete documents.")]
_Admin = Annotated[bool, typer.Option("--admin", help="Sees and may do everything, whoever's it is.")]
_Users = Annotated[
    bool, typer.Option("--signed-users", help="Wants the signed user header with every request.")
]
_Rate = Annotated[
    int | None,
    typer.Option("--requests-per-minute", metavar="COUNT", min=1, help="Else as configured."),
]


def add_key(
    options: Options,
    name: _Name,
    *,
    tenant: _Tenant = "",
    group: _Groups = None,
    write: _Write = False,
    admin: _Admin = False,
    signed_users: _Users = False,
    requests_per_minute: _Rate = None,
) -> int:
    """Make an API key, and show it this once.

    Only its digest is kept. A server that runs knows it at once. Without --tenant it sees the documents that
    were ingested for nobody in particular; without --group those that everyone of the tenant may see.
    """
    from ragwright.app.serve.keys import Key, digest_of, new_secret

    _check_admin(admin=admin, narrowed=bool(tenant or group), signed_users=signed_users)
    session, secret = open_session(options), new_secret()
    key = Key(
        name=name,
        digest=digest_of(secret),
        tenant=tenant,
        groups=tuple(group or ()),
        write=write,
        admin=admin,
        users=signed_users,
        requests_per_minute=requests_per_minute,
    )
    kept = _file(session).add(key)
    if options.json:
        session.console.emit_json({"name": name, "id": kept.id, "key": secret})
    session.console.out(secret)
    session.console.note("this is shown once; send it as: Authorization: Bearer KEY")
    return 0


def _check_admin(*, admin: bool, narrowed: bool, signed_users: bool) -> None:
    """Refuse what an admin key cannot be.

    Raises:
        InputError: It is asked for.
    """
    if admin and narrowed:
        raise InputError("an admin key sees every tenant and group; leave out --tenant and --group")
    if admin and signed_users:
        raise InputError(
            "an admin key sees every tenant, which signed users must not; leave out --admin or --signed-users"
        )


def list_keys(options: Options) -> int:
    """List the API keys, the revoked ones too; the keys themselves are not known any more."""
    session = open_session(options)
    keys = _file(session).read()
    if options.json:
        session.console.emit_json({"keys": [_as_document(key) for key in keys]})
    if not keys:
        session.console.out("there is no key; next: ragwright keys add NAME")
        return 0
    columns = ["name", "id", "tenant", "groups", "may", "made", "revoked"]
    session.console.table(columns, [_row(key) for key in keys])
    return 0


def revoke_key(options: Options, name: _Name) -> int:
    """Let an API key open nothing any more; a server that runs knows at once."""
    session = open_session(options)
    file = _file(session)
    file.revoke(name)
    session.console.out("revoked ", Styled(name, "bold"))
    if all(key.revoked for key in file.read()):
        session.console.note(f"no key is left, and the server stays closed; to open it, delete {file.path}")
    if options.json:
        session.console.emit_json({"revoked": name})
    return 0


def _file(session: Session) -> KeyFile:
    from ragwright.app.serve.key_file import KeyFile

    return KeyFile.in_folder(session.config.workspace)


def _rights(key: Key) -> list[str]:
    if key.admin:
        return ["everything"]
    return ["ask", *(["write"] if key.write else []), *(["signed users"] if key.users else [])]


def _row(key: Key) -> list[str]:
    return [
        key.name,
        key.id,
        key.tenant,
        ", ".join(key.groups),
        ", ".join(_rights(key)),
        key.created,
        key.revoked or "",
    ]


def _as_document(key: Key) -> dict[str, object]:
    return {
        "name": key.name,
        "id": key.id,
        "tenant": key.tenant,
        "groups": key.groups,
        "rights": _rights(key),
        "requests_per_minute": key.requests_per_minute,
        "created": key.created,
        "revoked": key.revoked,
    }
