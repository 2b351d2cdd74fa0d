"""The OpenAPI description of the application: its routes, and how a key is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from ragwright.app.door import package_version
from ragwright.app.serve.route_rules import rule_for

if TYPE_CHECKING:
    from fastapi import FastAPI

_ABOUT = "Questions in, answers with checked citations out: an OpenAI-compatible API over your documents."
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `ragwright keys add`."},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same."},
}


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description of all routes that are there now."""
    description: dict[str, Any] = get_openapi(
        title="Ragwright", version=package_version(), description=_ABOUT, routes=app.routes
    )
    description.setdefault("components", {})["securitySchemes"] = _SCHEMES
    description["security"] = [{"bearer": []}, {"header": []}]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if rule_for(method.upper(), path).public:
                operation["security"] = []
    return description
