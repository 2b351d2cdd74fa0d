"""The user of a chat front end, in a signed header: a JSON Web Token (RFC 7519) under HS256 (RFC 7515).

Open WebUI sends one as X-OpenWebUI-User-Jwt. One algorithm is known here and the token is not asked for
another, so that none can talk its way past the check.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from ragwright.app.serve.values import Caller
from ragwright.core.types import Access, Scope

HEADER = "x-openwebui-user-jwt"
LEAST_SECRET_BYTES = 32  # RFC 7518 section 3.2: as long as the hash
_LONGEST = 8192  # characters of a token
_LEEWAY_SECONDS = 60.0  # for the clocks of two machines
_LONGEST_NAME = 200
_ROLE = "role:"  # before a role among the groups


class TokenRefused(Exception):  # noqa: N818 - a verdict
    """A token is not what it should be; the message says what is wrong, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class User:
    """Who asks through a front end.

    Attributes:
        id: As the front end calls them.
        groups: Their groups there, and their role as `role:NAME`, which no group is mistaken for.
    """

    id: str
    groups: frozenset[str]


def user_of(token: str, *, secret: bytes, now: float) -> User:
    """The user that a token names.

    Args:
        token: Three parts, joined by dots.
        secret: Shared with the front end.
        now: Seconds since 1970.

    Raises:
        TokenRefused: It is signed by somebody else, too old, from the future, or names nobody.
    """
    if len(token) > _LONGEST or token.count(".") != 2:
        raise TokenRefused("it is no signed token")
    signed, _, signature = token.rpartition(".")
    wanted = hmac.new(secret, signed.encode("utf-8", "replace"), hashlib.sha256).digest()
    if not hmac.compare_digest(wanted, _decoded(signature)):
        raise TokenRefused("its signature does not fit")
    header, _, payload = signed.partition(".")
    facts = _object(header)
    if facts.get("alg") != "HS256" or "crit" in facts:
        raise TokenRefused("it is not signed with HS256")
    claims = _object(payload)
    _check_time(claims, now)
    name = claims.get("sub")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise TokenRefused("it names no user")
    return User(name, _groups(claims))


def narrowed(caller: Caller, user: User) -> Caller:
    """A caller that sees what its key and its user may both see, and changes nothing.

    A front end knows nothing of tenants: behind a key of every tenant, its users see those documents that
    are nobody's in particular.
    """
    own = caller.scope.groups
    tenants = caller.scope.tenants
    groups = user.groups if own is None else own & user.groups
    return replace(
        caller,
        name=f"{caller.name}/{user.id}",
        scope=Scope(frozenset({caller.access.tenant}) if tenants is None else tenants, groups),
        access=Access(caller.access.tenant),
        may_write=False,
        sees_all=False,
    )


def _check_time(claims: dict[str, Any], now: float) -> None:
    ends = claims.get("exp")
    if not _is_number(ends) or now > float(ends) + _LEEWAY_SECONDS:
        raise TokenRefused("it has expired, or does not say when it will")
    for name in ("nbf", "iat"):
        begins = claims.get(name, 0)
        if not _is_number(begins) or float(begins) > now + _LEEWAY_SECONDS:
            raise TokenRefused("it is from the future; compare the clocks of both machines")


def _groups(claims: dict[str, Any]) -> frozenset[str]:
    groups = claims.get("groups", [])
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise TokenRefused("its groups are no list of texts")
    role = claims.get("role")
    named = frozenset(group for group in groups if not group.startswith(_ROLE))  # no group passes as a role
    return named | {_ROLE + role} if isinstance(role, str) and role else named


def _is_number(value: Any) -> TypeGuard[int | float]:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float holds
        return False


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(part))
    except (ValueError, RecursionError):
        raise TokenRefused("it holds no JSON") from None
    if not isinstance(value, dict):
        raise TokenRefused("it holds no JSON object")
    return value


def _decoded(part: str) -> bytes:
    if "=" in part:  # RFC 7515 section 2: without padding
        raise TokenRefused("it is no signed token")
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TokenRefused("it is no signed token") from None
