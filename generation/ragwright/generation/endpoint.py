"""Where an OpenAI-compatible model is reached: connections, what is sent along, and what may come back.

The client that LlamaIndex uses reads addresses, proxies and keys from the environment, sends facts about this
machine with every request, and reads answers of any size. So it is given a transport that does none of that.
The key is known to the transport alone, so that no object or message of theirs can hold it.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from ragwright.core.errors import ConfigError
from ragwright.generation.endpoint_failures import CallFailed

_SENT = frozenset({"host", "content-type", "content-length", "connection"})
_KINDS = frozenset({"application/json", "text/event-stream", "text/html", "text/plain"})
_TAIL_BYTES = 16
_END_SECONDS = 0.2  # from the last event to the end of the stream
_MOST_ERROR_BYTES = 65_536  # of an error's body, which only its code is read from


class Endpoint:
    """One address, with connections that calls of one event loop share.

    Attributes:
        url: The address, up to and with the API's version.
    """

    def __init__(self, url: str, key: SecretStr | None) -> None:
        """Make one; nothing is sent.

        Args:
            url: The address.
            key: Sent as a bearer token; None sends none.

        Raises:
            ConfigError: The address or the key cannot be used.
        """
        self.url = _checked_url(url)
        self._key = _checked_key(key)
        self._pools: dict[asyncio.AbstractEventLoop, AsyncGenerator[httpx.AsyncHTTPTransport, None]] = {}
        self._transports: dict[asyncio.AbstractEventLoop, httpx.AsyncHTTPTransport] = {}

    async def call(self, *, most_bytes: int) -> Call:
        """What carries one request and its answer.

        Args:
            most_bytes: Of the answer; what is behind them is not read.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._transports:
            # An event loop that ends closes the generators that it began: so the connections end with it.
            pool = self._pool(loop)
            self._transports[loop] = await anext(pool)
            self._pools[loop] = pool
        return Call(self._transports[loop], self._key, most_bytes=most_bytes, name=self.url)

    async def _pool(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[httpx.AsyncHTTPTransport, None]:
        transport = httpx.AsyncHTTPTransport(
            verify=_certificates() if self.url.startswith("https:") else False,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=5.0),
        )
        try:
            yield transport
        finally:
            self._transports.pop(loop, None)
            self._pools.pop(loop, None)
            await transport.aclose()

    def close(self) -> None:
        """Let go of the connections; those of a loop that runs are closed by it."""
        for loop, pool in list(self._pools.items()):
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(_ended(pool), loop)


async def _ended(pool: AsyncGenerator[httpx.AsyncHTTPTransport, None]) -> None:
    await pool.aclose()


class Call(httpx.AsyncBaseTransport):
    """Carries one request over the connections of all.

    Attributes:
        answered: Whether the endpoint began to answer.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, key: SecretStr | None, *, most_bytes: int, name: str
    ) -> None:
        self.answered = False
        self._transport = transport
        self._key = key
        self._most_bytes = most_bytes
        self._name = name
        self._response: httpx.Response | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send what must be sent and nothing else, and look at the answer before it is read.

        Raises:
            CallFailed: It is no stream of events.
        """
        for name in set(request.headers) - _SENT:
            del request.headers[name]
        own = {"accept": "text/event-stream", "accept-encoding": "identity", "user-agent": "ragwright"}
        request.headers.update(own)
        if self._key is not None:
            request.headers["authorization"] = f"Bearer {self._key.get_secret_value()}"
        response = self._response = await self._transport.handle_async_request(request)
        self.answered = True
        failed = not response.is_success
        if not failed:
            self._check_kind(response)
        stream = response.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            raise TypeError(f"the transport gave a {type(stream).__name__}")
        response.stream = _First(stream, _MOST_ERROR_BYTES if failed else self._most_bytes)
        return response

    def _check_kind(self, response: httpx.Response) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if kind != "text/event-stream" or coding != "identity":
            seen = kind if kind in _KINDS else "another kind of content"
            compressed = "" if coding == "identity" else ", compressed"
            raise CallFailed(
                f"{self._name} answered with {seen}{compressed}, wanted plain text/event-stream; set "
                "generator.url to an OpenAI-compatible endpoint that streams, up to and with /v1"
            )

    async def aclose(self) -> None:
        """Stop reading; an answer that is not complete costs its connection, which tells the endpoint."""
        if self._response is not None:
            await self._response.aclose()


class _First(httpx.AsyncByteStream):
    """The first bytes of a stream."""

    def __init__(self, stream: httpx.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._chunks = aiter(stream)
        self._most = most
        self._last = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for chunk in self._chunks:
            self._last = (self._last + chunk)[-_TAIL_BYTES:]
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                break

    async def aclose(self) -> None:
        """Close it; behind its last event it is read to its end, so that the connection serves again."""
        if self._last.rstrip().endswith(b"[DONE]"):
            with suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(_END_SECONDS):
                    await anext(self._chunks, b"")
        await self._stream.aclose()


def _checked_url(url: str) -> str:
    wanted = "wanted one such as http://localhost:8000/v1"
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"generator.url is no address ({error}); {wanted}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"generator.url has the scheme {parts.scheme!r} or no host; {wanted}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(
            "generator.url holds a user, a password, a query or a fragment; set it to the plain address, and "
            "the key by RAGWRIGHT_GENERATOR__API_KEY"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"


def _checked_key(key: SecretStr | None) -> SecretStr | None:
    text = key.get_secret_value().strip() if key is not None else ""
    if not re.fullmatch(r"[!-~]*", text):
        raise ConfigError(
            "generator.api_key holds white space or letters that no header may hold; set "
            "RAGWRIGHT_GENERATOR__API_KEY to the key alone"
        )
    return SecretStr(text) if text else None


def _certificates() -> ssl.SSLContext:
    """The certificates that this machine trusts, and those of the public authorities."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
