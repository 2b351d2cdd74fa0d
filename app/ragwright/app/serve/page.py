"""The page: a few static files, the same for everyone, under the strictest policy that a browser knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request, Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Only this server's own files run and are loaded, nobody may frame them, and no text becomes markup."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cache-Control": "no-cache",  # kept, but asked for anew by its ETag, so that an upgrade is seen at once
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page.

    Attributes:
        body: Its bytes.
        media_type: Its Content-Type.
        etag: Strong: names exactly these bytes.
    """

    body: bytes
    media_type: str
    etag: str


@cache
def page_files() -> Mapping[str, PageFile]:
    """Every file of the page by its name, read once."""
    found = {}
    for entry in files("ragwright.app.serve").joinpath("page").iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if suffix in _TYPES:
            body = entry.read_bytes()
            found[entry.name] = PageFile(body, _TYPES[suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return found


def router() -> APIRouter:
    """The routes of this file; no key is asked for, since no file holds a word of a document."""
    routes = APIRouter(include_in_schema=False)
    for path in ("/", "/documents/{document_id}", "/traces/{trace_id}"):
        routes.add_api_route(path, page, methods=["GET", "HEAD"])
    routes.add_api_route("/page/{name}", page_file, methods=["GET", "HEAD"])
    routes.add_api_route("/favicon.ico", favicon, methods=["GET", "HEAD"])
    return routes


async def page(request: Request) -> Response:
    """The page; what it shows beside the conversation stands in its address, which its script reads."""
    return _served(page_files()["index.html"], request)


async def page_file(name: str, request: Request) -> Response:
    """A file that the page names; there are no others, whatever the name."""
    found = page_files().get(name)
    return Response(status_code=404, headers=_HEADERS) if found is None else _served(found, request)


async def favicon(request: Request) -> Response:
    """The page's icon, where browsers look for one without being told."""
    return await page_file("icon.svg", request)


def _served(file: PageFile, request: Request) -> Response:
    headers = {**_HEADERS, "ETag": file.etag}
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if file.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
