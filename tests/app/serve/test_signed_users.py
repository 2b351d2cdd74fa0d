"""The signed user header: only what the front end signed counts, and it only ever narrows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.app.serve.serving import add_key

from ragwright.app.serve.authentication import Asking, Authentication, Keyring
from ragwright.app.serve.errors import HttpError
from ragwright.app.serve.key_file import KeyFile
from ragwright.app.serve.keys import Key
from ragwright.app.serve.signed_users import HEADER, TokenRefused, User, narrowed, user_of
from ragwright.core.config_serving import ServerConfig
from ragwright.core.errors import ConfigError
from ragwright.core.types import Access

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0
CLAIMS = {"sub": "ada", "role": "user", "groups": ["staff"], "iat": NOW, "exp": NOW + 300}


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def token(
    claims: object = CLAIMS, *, header: object = None, secret: bytes = SECRET, kind: str = "sha256"
) -> str:
    signed = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    return f"{signed}.{part(hmac.new(secret, signed.encode(), kind).digest())}"


def test_a_signed_user_has_groups_and_a_role() -> None:
    assert user_of(token(), secret=SECRET, now=NOW) == User("ada", frozenset({"staff", "role:user"}))
    plain = {"sub": "ada", "exp": NOW + 300}
    assert user_of(token(plain), secret=SECRET, now=NOW) == User("ada", frozenset())


def test_no_role_is_a_group_and_no_group_a_role() -> None:
    claims = {**CLAIMS, "role": "board", "groups": ["staff", "role:admin"]}
    assert user_of(token(claims), secret=SECRET, now=NOW).groups == {"staff", "role:board"}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (token(secret=b"another secret, as long as it is.."), "signature"),
        (token(kind="sha512"), "signature"),
        (token().rpartition(".")[0] + ".", "signature"),
        (token()[:-2], "signature|no signed"),
        (token() + "=", "no signed"),
        (token(header={"alg": "none"}), "HS256"),
        (token(header={"alg": "HS512"}), "HS256"),
        (token(header={"alg": "HS256", "crit": ["x"]}), "HS256"),
        (token(header=[1]), "JSON object"),
        (token(b"{"), "no JSON"),
        (token("text"), "JSON object"),
        (token(without("exp")), "expired"),
        (token({**CLAIMS, "exp": NOW - 61}), "expired"),
        (token({**CLAIMS, "exp": "later"}), "expired"),
        (token({**CLAIMS, "exp": True}), "expired"),
        (token({**CLAIMS, "exp": float("nan")}), "expired"),
        (token({**CLAIMS, "exp": float("inf")}), "expired"),
        (token({**CLAIMS, "exp": 10**400}), "expired"),
        (token({**CLAIMS, "nbf": float("nan")}), "future"),
        (token({**CLAIMS, "iat": -(10**400)}), "future"),
        (token({**CLAIMS, "iat": NOW + 61}), "future"),
        (token({**CLAIMS, "nbf": NOW + 61}), "future"),
        (token(without("sub")), "no user"),
        (token({**CLAIMS, "sub": ""}), "no user"),
        (token({**CLAIMS, "sub": "x" * 201}), "no user"),
        (token({**CLAIMS, "groups": "staff"}), "groups"),
        (token({**CLAIMS, "groups": [1]}), "groups"),
        (token({**CLAIMS, "x": "y" * 9000}), "no signed"),
        ("", "no signed"),
        ("a.b", "no signed"),
        ("a.b.c.d", "no signed"),
        ("\u00e4.\u00fc.\u00f6", "no signed|signature"),
    ],
)
def test_a_token_that_is_not_right_is_refused(text: str, why: str) -> None:
    with pytest.raises(TokenRefused, match=why):
        user_of(text, secret=SECRET, now=NOW)


def test_an_unsigned_token_of_old_is_refused() -> None:
    signed = f"{part({'alg': 'none'})}.{part(CLAIMS)}"
    with pytest.raises(TokenRefused):
        user_of(f"{signed}.", secret=SECRET, now=NOW)
    with pytest.raises(TokenRefused):
        user_of(f"{signed}.{part(hashlib.sha256(signed.encode()).digest())}", secret=SECRET, now=NOW)


names = st.sampled_from(["staff", "board", "guests", "other", "*", ""])
groups = st.frozensets(names)


@given(
    st.booleans(),
    groups,
    groups,
    st.sampled_from(["", "acme"]),
    st.sampled_from(["acme", "", "other"]),
    groups,
)
def test_a_user_never_sees_more_than_the_key(
    admin: bool, own: frozenset[str], claimed: frozenset[str], tenant: str, owner: str, of: frozenset[str]
) -> None:
    usable = tuple(own - {"*", ""})
    key = Key("web", "0" * 64, admin=True) if admin else Key("web", "0" * 64, tenant=tenant, groups=usable)
    user = narrowed(key.caller(), User("ada", claimed))
    document = Access(owner, tuple(of - {"*", ""}))
    if user.scope.allows(document):
        assert key.caller().scope.allows(document)
        assert not document.groups or claimed & set(document.groups)
    assert not user.may_write and not user.sees_all
    assert user.scope.tenants == frozenset({key.tenant})  # one tenant, also behind a key of all of them


def asked(tmp_path: Path, headers: dict[str, str], *, secret: bytes | None = SECRET, **rights: Any) -> Asking:
    key = add_key(tmp_path, "web", tenant="acme", groups=("staff", "board"), **rights)
    settings = ServerConfig(user_secret=SecretStr(secret.decode()) if secret else None)
    keyring = Keyring(KeyFile.in_folder(tmp_path))
    return Authentication(keyring, settings).asking({"x-api-key": key, **headers}, "10.0.0.9")


def fresh(**changed: Any) -> str:
    now = time.time()
    return token({**CLAIMS, "iat": now, "exp": now + 300, **changed})


def test_a_request_is_narrowed_to_its_user_and_counted_by_its_key(tmp_path: Path) -> None:
    who = asked(tmp_path, {HEADER: fresh(groups=["board", "secret"])})
    (key,) = KeyFile.in_folder(tmp_path).read()
    assert (who.key, who.caller.name) == (key.identity, f"web#{key.id}/ada")
    assert who.caller.scope.groups == frozenset({"board"})
    assert who.caller.scope.tenants == frozenset({"acme"})


def test_a_bad_token_is_refused_and_plain_headers_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(HttpError) as refused:
        asked(tmp_path, {HEADER: token()[:-3] + "AAA"})
    assert (refused.value.status, refused.value.code) == (401, "invalid_user")
    plain = {"x-openwebui-user-role": "admin", "x-openwebui-user-id": "root"}
    (tmp_path / "keys.json").unlink()
    assert asked(tmp_path, plain).caller.name.startswith("web#")


def test_a_key_for_signed_users_alone_is_refused_without_one(tmp_path: Path) -> None:
    with pytest.raises(HttpError, match="wants it with every request"):
        asked(tmp_path, {}, users=True)


def test_a_token_that_cannot_be_checked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HttpError, match=r"no server\.user_secret"):
        asked(tmp_path, {HEADER: fresh()}, secret=None)


def test_a_secret_that_could_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"server\.user_secret has 5 bytes; wanted at least 32") as refused:
        asked(tmp_path, {}, secret=b"guess")
    assert "guess" not in str(refused.value)
