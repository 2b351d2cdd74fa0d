"""`/mcp`: the MCP server over streamable HTTP, behind the same gate as every other route."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from ragwright.app.serve.citing import viewer_addresses
from ragwright.app.serve.dependencies import base_url, caller, service, settings
from ragwright.core.errors import MissingExtra

if TYPE_CHECKING:
    from mcp.server import Server

    from ragwright.app.serve.citing import Addresses
    from ragwright.app.serve.collections import Collection
    from ragwright.app.serve.mcp_tools import ToolCaller


def router() -> APIRouter:
    """The route of this file; other methods are refused, since there are no sessions and no streams."""
    routes = APIRouter()
    routes.add_api_route("/mcp", exchange, methods=["POST"], include_in_schema=False)
    return routes


async def exchange(request: Request) -> Response:
    """Answer one message of the protocol.

    Raises:
        MissingExtra: The package mcp is not installed.
    """
    server = _server()
    from ragwright.app.serve.mcp_server import Exchange

    return Exchange(server, longest_body=settings(request).body_megabytes * 1_000_000)


@cache
def _server() -> Server[Any]:
    """The one server of this process: whom it serves is told by each request."""
    try:
        from ragwright.app.serve.mcp_server import create_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise MissingExtra("mcp", "mcp") from None
    return create_server(_caller)


def _caller(request: Request) -> ToolCaller:
    from ragwright.app.serve.mcp_tools import ToolCaller

    base = base_url(request)

    def addresses(collection: Collection) -> Addresses:
        return viewer_addresses(base, collection.name)

    return ToolCaller(service(request), caller(request), addresses)
