"""API keys: who may ask the server, and what each may see. Only digests of keys are kept.

A key holds 256 random bits, so a plain SHA-256 of it is as hard to turn round as the key is to guess. Slow
hashes exist for passwords, which people choose; here they would only slow every request down.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from ragwright.app.serve.values import LOCAL, Caller
from ragwright.core.errors import InputError
from ragwright.core.types import OWNER, Access, Scope

PREFIX = "rw-"
ENVIRONMENT = "environment"
"""Name of the key that the environment brings."""
RESERVED = frozenset({ENVIRONMENT, LOCAL.name})
"""Names of callers that no key of the file may have: they are told from others by nothing else."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_ID = re.compile(r"[0-9a-f]{16}")
_ID_BEHIND = "#"  # in no name


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key.

    Attributes:
        name: What people call it; another key may be called so once this one is revoked.
        digest: SHA-256 of the key, in hex.
        id: Random, 16 hex digits; "" for a key that was made before keys had one, and for the environment's.
        tenant: Whose documents it sees, and who owns what it uploads.
        groups: Which restricted documents of the tenant it sees, beside the open ones.
        write: Whether it may upload and delete.
        admin: Whether it sees and may do everything; then it has no tenant and no groups.
        users: Whether every request must name its user in the signed header.
        requests_per_minute: None leaves it to the settings.
        created: UTC, such as `2026-11-20T17:00:00Z`.
        revoked: When it was revoked, or None.
    """

    name: str
    digest: str
    id: str = ""
    tenant: str = ""
    groups: tuple[str, ...] = ()
    write: bool = False
    admin: bool = False
    users: bool = False
    requests_per_minute: int | None = None
    created: str = ""
    revoked: str | None = None

    def __post_init__(self) -> None:
        """Refuse names that could be mistaken for others, or break a line of the log.

        Raises:
            InputError: The name holds other characters than letters, digits and `. _ @ -`, or is too long; or
                no document could have this tenant or these groups; or an admin key has a tenant, groups or
                signed users; or the id is none.
        """
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"a key cannot be called {self.name!r}; wanted 1 to 64 letters, digits, dots, dashes,"
                " underscores or @, a letter or digit first"
            )
        if self.admin and (self.users or self.tenant or self.groups):
            raise InputError("a key that may do everything has no tenant, no groups and no signed users")
        if self.id and not _ID.fullmatch(self.id):
            raise InputError(f"the key {self.name} has the id {self.id!r}; wanted 16 hex digits")
        _ = self.access

    @property
    def access(self) -> Access:
        """Who may see what is uploaded with it."""
        return Access(self.tenant, self.groups)

    @property
    def identity(self) -> str:
        """Name and id, such as `web#1f3a9c0d2e4b5a67`, which no other key ever has.

        Traces, jobs, ratings and rates belong to it, so that a later key of the same name inherits nothing.
        A key without an id has its name alone, which no key with one can have.
        """
        return f"{self.name}{_ID_BEHIND}{self.id}" if self.id else self.name

    def caller(self) -> Caller:
        """Whoever brings this key."""
        own = Scope(frozenset({self.tenant}), frozenset(self.groups))
        return Caller(
            name=self.identity,
            scope=OWNER if self.admin else own,
            access=self.access,
            may_write=self.write or self.admin,
            sees_all=self.admin,
            requests_per_minute=self.requests_per_minute,
        )


def new_secret() -> str:
    """A key that nobody has: `rw-` and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def new_id() -> str:
    """An id that no key has: 64 random bits in hex."""
    return secrets.token_hex(8)


def digest_of(secret: str) -> str:
    """What is kept of a key: its SHA-256 in hex, 64 digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def matching(keys: Iterable[Key], secret: str) -> Key | None:
    """The key that a secret is, revoked or not; every one is compared, in the same time."""
    presented, found = digest_of(secret), None
    for key in keys:
        if hmac.compare_digest(key.digest, presented):
            found = key
    return found
