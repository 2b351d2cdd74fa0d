"""Who asks: the key that a request brings, or this machine's own user while there are no keys."""

from __future__ import annotations

import ipaddress
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragwright.app.serve.errors import HttpError
from ragwright.app.serve.key_file import KeyFile
from ragwright.app.serve.keys import ENVIRONMENT, Key, digest_of, matching
from ragwright.app.serve.signed_users import HEADER, LEAST_SECRET_BYTES, TokenRefused, narrowed, user_of
from ragwright.app.serve.values import LOCAL, Caller
from ragwright.core.errors import ConfigError, InputError

if TYPE_CHECKING:
    from ragwright.core.config_serving import ServerConfig

_LEAST_KEY_CHARACTERS = 24
# Whoever adds one of these passes on what somebody else asks.
_FORWARDING = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"}
)
_FORWARDED = "x-forwarded-"
_CHALLENGE = {"www-authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and by which key.

    Attributes:
        caller: What they may see and do.
        key: Name and id of the key, which limits count by; the users of one front end share it.
    """

    caller: Caller
    key: str


class Keyring:
    """The keys that a server knows now: those of the file, read again when it changes, and one of its own."""

    def __init__(self, file: KeyFile, *, own: str | None = None) -> None:
        """Read the keys.

        Args:
            file: The workspace's keys.
            own: A key that may do everything, from the environment.

        Raises:
            InputError: The file cannot be read.
            ConfigError: The own key could be guessed.
        """
        if own is not None and len(own) < _LEAST_KEY_CHARACTERS:
            raise ConfigError(
                f"server.api_key has {len(own)} characters; wanted at least {_LEAST_KEY_CHARACTERS}, such as"
                " what `ragwright keys add` makes"
            )
        self._file = file
        self._own = () if own is None else (Key(ENVIRONMENT, digest_of(own), admin=True),)
        self._lock = threading.Lock()
        self._state = self._stat()
        self._keys = (*self._own, *file.read())
        self._had_keys = bool(self._keys)

    def keys(self) -> tuple[Key, ...]:
        """Every key, also the revoked ones.

        Raises:
            InputError: The file has changed and cannot be read.
        """
        with self._lock:
            if (state := self._stat()) != self._state:
                self._keys = (*self._own, *self._file.read())
                self._state = state
                self._had_keys = self._had_keys or bool(self._keys)
            return self._keys

    @property
    def needed(self) -> bool:
        """Whether a key is needed: once there was one, revoking or deleting all of them opens nothing."""
        return bool(self.keys()) or self._had_keys

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            facts = os.stat(self._file.path)  # noqa: PTH116 - asked at every request
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_size, facts.st_ino


class Authentication:
    """Tells from a request's headers and its peer who asks."""

    def __init__(self, keyring: Keyring, settings: ServerConfig) -> None:
        """Use a key ring.

        Raises:
            ConfigError: The secret of the user header could be guessed, or the server would listen to other
                machines without a key.
        """
        secret = settings.user_secret.get_secret_value().encode() if settings.user_secret else None
        if secret is not None and len(secret) < LEAST_SECRET_BYTES:
            raise ConfigError(
                f"server.user_secret has {len(secret)} bytes; wanted at least {LEAST_SECRET_BYTES}, such as"
                " what `openssl rand -hex 32` prints"
            )
        if not keyring.needed and not is_loopback(settings.host):
            raise ConfigError(
                f"server.host is {settings.host}, which other machines reach, but there is no API key; make"
                " one: ragwright keys add NAME"
            )
        self._keyring = keyring
        self._secret = secret
        self._is_local_server = is_loopback(settings.host)

    def asking(self, headers: Mapping[str, str], peer: str | None) -> Asking:
        """Who asks.

        Args:
            headers: Names in lower case.
            peer: Address of the other end of the connection; None: not known.

        Raises:
            HttpError: 401 where no key, or none that is known, is brought; 503 where the keys cannot be read.
        """
        try:
            keys = self._keyring.keys()
            if not self._keyring.needed and self._is_own_user(headers, peer):
                return Asking(LOCAL, LOCAL.name)
        except InputError:
            raise HttpError(503, "the server's keys cannot be read", code="keys_unreadable") from None
        presented = presented_key(headers)
        if presented is None:
            raise HttpError(
                401,
                "no API key came with the request; send it as: Authorization: Bearer KEY",
                code="invalid_api_key",
                headers=_CHALLENGE,
            )
        key = matching(keys, presented)
        if key is None or key.revoked is not None:
            raise HttpError(401, "the API key is not known here", code="invalid_api_key", headers=_CHALLENGE)
        return Asking(self._of_user(key, headers.get(HEADER)), key.identity)

    def is_own_machine(self, headers: Mapping[str, str], peer: str | None) -> bool:
        """Whether the request comes from this machine itself, as far as can be told."""
        return is_loopback(peer) and not any(map(_is_forwarding, headers))

    def _is_own_user(self, headers: Mapping[str, str], peer: str | None) -> bool:
        return self._is_local_server and self.is_own_machine(headers, peer)

    def _of_user(self, key: Key, token: str | None) -> Caller:
        if token is None and not key.users:
            return key.caller()
        if self._secret is None:
            raise _user_refused("the server has no server.user_secret to check it with")
        if token is None:
            raise _user_refused("this key wants it with every request")
        try:
            return narrowed(key.caller(), user_of(token, secret=self._secret, now=time.time()))
        except TokenRefused as refused:
            raise _user_refused(str(refused)) from None


def presented_key(headers: Mapping[str, str]) -> str | None:
    """The key that a request brings: as a bearer token, else as `x-api-key`; None without."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip() or None


def _is_forwarding(header: str) -> bool:
    return header in _FORWARDING or header.startswith(_FORWARDED)


def is_loopback(host: str | None) -> bool:
    """Whether an address, or the name `localhost`, is this machine's own."""
    if host is None:
        return False
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _user_refused(why: str) -> HttpError:
    return HttpError(
        401, f"the signed user header is refused: {why}", code="invalid_user", headers=_CHALLENGE
    )
