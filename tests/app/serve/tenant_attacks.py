"""Requests to every route that name somebody's things: one's own, another's, or such as nobody has."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.app.serve.two_tenants import COMMON, PUMPS, Targets, call, drawing, manual, mcp_headers, question

CHAT, RETRIEVE, MCP = "POST /v1/chat/completions", "POST /v1/retrieve", "POST /mcp"
DOCUMENT = "/v1/documents/{document_id}"


@dataclass(frozen=True, slots=True)
class Sent:
    """One request.

    Attributes:
        method: Of HTTP.
        path: With its ids filled in.
        given: What else `httpx.Client.request` takes.
        alike: Whether the answer must be the same, to the byte, for what is somebody else's and for what does
            not exist; false where the named thing is read as a text, which may well be found differently.
    """

    method: str
    path: str
    given: Mapping[str, Any] = field(default_factory=dict)
    alike: bool = True

    def text(self) -> str:
        """Everything that the sender wrote, in lower case: an answer may repeat it."""
        return f"{self.path} {json.dumps(dict(self.given), default=repr)}".lower()

    def with_headers(self, headers: Mapping[str, str]) -> Sent:
        """The same with more headers."""
        return replace(self, given={**self.given, "headers": {**self.given.get("headers", {}), **headers}})


Make = Callable[[Random, Targets], Sent]


def _claims(random: Random, targets: Targets) -> dict[str, Any]:
    """Fields by which a body may claim to be somebody else's."""
    every = {
        "tenant": random.choice(("acme", "globex", "*", "")),
        "groups": ["board", "*"],
        "user": random.choice(("acme-board", "globex-board", "owner", "root")),
        "scope": {"tenants": None, "groups": None},
        "admin": True,
        "trace_id": random.choice(targets.traces),
    }
    return {name: every[name] for name in random.sample(sorted(every), random.randint(0, 3))}


def _filters(random: Random, targets: Targets) -> dict[str, str]:
    """What a search may be narrowed to; none of it widens it."""
    named = random.choice(
        (
            ("document", random.choice(targets.documents + targets.pdfs)),
            ("source", random.choice(targets.sources)),
            ("chunk_id", random.choice(targets.chunks)),
            ("tenant", random.choice(("acme", "globex", "", "*"))),
            ("groups", random.choice(("board", "*"))),
            ("access.tenant", "globex"),
            ("type", "md"),
        )
    )
    return dict((named,))


def _searched(random: Random, targets: Targets) -> tuple[str, dict[str, str] | None, bool]:
    """A question, filters, and whether its words are the same whoever's things are named."""
    kind = random.randrange(4)
    if kind == 0:
        return question(random.randrange(PUMPS)), None, True
    if kind == 1:
        return f"service code of {random.choice(targets.chunks + targets.documents)}", None, False
    if kind == 2:
        return random.choice((COMMON, "zq", "service code acme globex board", "Plan " + "zq" * 3)), None, True
    return question(random.randrange(PUMPS)), _filters(random, targets), True


def chat(random: Random, targets: Targets) -> Sent:
    text, filters, alike = _searched(random, targets)
    options: dict[str, Any] = {"trace": True, "evidence": 0.0}
    if filters:
        options["filters"] = filters
    if random.random() < 0.2:
        options |= _claims(random, targets)  # fields that are not ours are refused in this part
    history = [{"role": "user", "content": question(1)}, {"role": "assistant", "content": "It is secret."}]
    body = {
        "model": random.choice(("ragwright/documents", "ragwright/documents:extractive")),
        "messages": [*(history if random.random() < 0.3 else ()), {"role": "user", "content": text}],
        "stream": random.random() < 0.5,
        "stream_options": {"include_usage": True},
        "rag": options,
        **_claims(random, targets),
    }
    return Sent("POST", "/v1/chat/completions", {"json": body}, alike)


def retrieve(random: Random, targets: Targets) -> Sent:
    text, filters, alike = _searched(random, targets)
    claims = _claims(random, targets) if random.random() < 0.2 else {}
    body = {
        "query": text,
        "top_k": 100,
        "evidence": 0.0,
        **({"filters": filters} if filters else {}),
        **claims,
    }
    return Sent("POST", "/v1/retrieve", {"json": body}, alike)


def mcp(random: Random, targets: Targets) -> Sent:
    if random.random() < 0.5:
        text, filters, alike = _searched(random, targets)
        given = {"query": text, "limit": 50, **({"filters": filters} if filters else {})}
        message = call("search", **given)
    else:
        ids = targets.documents + targets.pdfs + targets.chunks + targets.traces + targets.jobs
        named = random.choice(ids)
        message, alike = call("fetch", id=random.choice((named, f"documents/{named}"))), True
    if random.random() < 0.1:
        message = random.choice((call("list_collections"), {**call(""), "method": "resources/list"}))
    return Sent("POST", "/mcp", {"json": message, "headers": mcp_headers()}, alike)


def embeddings(random: Random, targets: Targets) -> Sent:
    text = random.choice((question(0), random.choice(targets.documents)))
    return Sent("POST", "/v1/embeddings", {"json": {"input": text, **_claims(random, targets)}}, alike=False)


def rerank(random: Random, targets: Targets) -> Sent:
    texts = [COMMON, random.choice(targets.documents), question(3)]
    body = {"query": question(3), "documents": texts, "return_documents": True, **_claims(random, targets)}
    return Sent("POST", "/v1/rerank", {"json": body}, alike=False)


def every_document(random: Random, targets: Targets) -> Sent:
    params = random.choice(
        (
            {},
            {"after": random.choice(targets.sources)},
            {"tenant": "globex", "groups": "board", "limit": "500"},
            {"collection": "documents", "after": ""},
        )
    )
    # Where a list goes on behind a source tells nothing of it: sources are only compared.
    return Sent("GET", "/v1/documents", {"params": params}, alike="after" not in params)


def one_document(random: Random, targets: Targets) -> Sent:
    named = random.choice(targets.documents + targets.pdfs)
    params = random.choice(({}, {"start": "0", "end": "9"}, {"start": "99999"}, {"tenant": "globex"}))
    return Sent("GET", f"/v1/documents/{named}", {"params": params})


def page(random: Random, targets: Targets) -> Sent:
    number, params = random.choice((1, 1, 2, 0)), random.choice(({}, {"start": "0", "end": "20"}))
    named = random.choice(targets.pdfs)
    return Sent("GET", f"/v1/documents/{named}/pages/{number}", {"params": params})


def page_image(random: Random, targets: Targets) -> Sent:
    named = random.choice(targets.pdfs + targets.documents[:1])
    return Sent("GET", f"/v1/documents/{named}/pages/1/image", {"params": {"scale": "0.5"}})


def original(random: Random, targets: Targets) -> Sent:
    return Sent("GET", f"/v1/documents/{random.choice(targets.documents + targets.pdfs)}/original")


def upload(random: Random, targets: Targets) -> Sent:
    """Into somebody's group or another collection, or under a key that somebody may have used."""
    name, data = random.choice((("pump-0.md", manual(0, "nothing")), ("plan.pdf", drawing("nothing"))))
    fields = random.choice(({"groups": "board"}, {"groups": ["board", "*"]}, {"collection": "other"}))
    headers = {"idempotency-key": random.choice(targets.jobs)}
    given = {"files": {"file": (name, data)}, "data": fields, "headers": headers}
    return Sent("POST", "/v1/documents", given, alike=False)  # a job that runs says how far it is


def every_job(random: Random, targets: Targets) -> Sent:
    return Sent("GET", "/v1/documents/jobs", {"params": {"limit": "100", "tenant": "globex"}})


def one_job(random: Random, targets: Targets) -> Sent:
    return Sent("GET", f"/v1/documents/jobs/{random.choice(targets.jobs)}")


def promote(random: Random, targets: Targets) -> Sent:
    named = random.choice((*targets.documents, "../../tenants", "router"))
    return Sent("POST", "/v1/tune/promotions", {"json": {"name": named, "skip_outside": True}})


def roll_back(random: Random, targets: Targets) -> Sent:
    return Sent("POST", "/v1/tune/rollbacks", {"json": {}})


def one_promotion(random: Random, targets: Targets) -> Sent:
    return Sent("GET", f"/v1/tune/jobs/{random.choice(targets.jobs)}")


def every_trace(random: Random, targets: Targets) -> Sent:
    bound = {"before": random.choice(targets.traces)} if random.random() < 0.7 else {}
    narrowed = random.choice(({}, {"rated": "any"}, {"refused": "false"}, {"caller": "globex-reader"}))
    return Sent("GET", "/v1/traces", {"params": {"limit": "500", **bound, **narrowed}})


def one_trace(random: Random, targets: Targets) -> Sent:
    return Sent("GET", f"/v1/traces/{random.choice(targets.traces)}")


def rate(random: Random, targets: Targets) -> Sent:
    body: dict[str, Any] = {"trace_id": random.choice(targets.traces), "rating": "down", "text": "of another"}
    if random.random() < 0.3:
        body["marker"] = random.choice((1, 99))
    if random.random() < 0.2:
        body["caller"] = "globex-reader"
    return Sent("POST", "/v1/feedback", {"json": body})


def every_feedback(random: Random, targets: Targets) -> Sent:
    return Sent("GET", "/v1/feedback", {"params": {"before": random.choice(targets.ratings)}})


def every_model(random: Random, targets: Targets) -> Sent:
    return Sent("GET", "/v1/models")


def one_model(random: Random, targets: Targets) -> Sent:
    named = random.choice(("ragwright/documents", f"ragwright/{random.choice(targets.documents)}"))
    return Sent("GET", f"/v1/models/{named}")


def delete(random: Random, targets: Targets) -> Sent:
    return Sent("DELETE", f"/v1/documents/{random.choice(targets.documents + targets.pdfs)}")


def plain(path: str) -> Make:
    """A route that takes nothing."""
    return lambda random, targets: Sent("GET", path, alike=False)


ATTACKS: Mapping[str, Make] = {
    CHAT: chat,
    RETRIEVE: retrieve,
    MCP: mcp,
    "POST /v1/embeddings": embeddings,
    "POST /v1/rerank": rerank,
    "GET /v1/documents": every_document,
    f"GET {DOCUMENT}": one_document,
    f"GET {DOCUMENT}/pages/{{page}}": page,
    f"GET {DOCUMENT}/pages/{{page}}/image": page_image,
    f"GET {DOCUMENT}/original": original,
    "POST /v1/documents": upload,
    f"DELETE {DOCUMENT}": delete,
    "GET /v1/documents/jobs": every_job,
    "GET /v1/documents/jobs/{job_id}": one_job,
    "GET /v1/traces": every_trace,
    "GET /v1/traces/{trace_id}": one_trace,
    "POST /v1/feedback": rate,
    "GET /v1/feedback": every_feedback,
    "POST /v1/tune/promotions": promote,
    "POST /v1/tune/rollbacks": roll_back,
    "GET /v1/tune/jobs": plain("/v1/tune/jobs"),
    "GET /v1/tune/jobs/{job_id}": one_promotion,
    "GET /v1/models": every_model,
    "GET /v1/models/{model}": one_model,
    "GET /healthz": plain("/healthz"),
    "GET /readyz": plain("/readyz"),
    "GET /metrics": plain("/metrics"),
}
"""Every operation of the OpenAPI file, and the one of MCP, with what is sent to it."""

OTHERS = (
    Sent("GET", "/openapi.json", alike=False),
    Sent("GET", "/", alike=False),
    Sent("GET", "/page/main.js", alike=False),
    Sent("GET", "/favicon.ico", alike=False),
)
"""What is served besides, the same for everyone."""


def disguise(random: Random, targets: Targets) -> dict[str, str]:
    """Headers that pretend to be somebody else; most requests have none."""
    if random.random() < 0.5:
        return {}
    return random.choice(
        (
            {"x-tenant": "globex", "x-ragwright-tenant": "acme", "x-groups": "board"},
            {"x-forwarded-user": "owner", "x-remote-user": "globex-board", "remote-user": "acme-board"},
            {"x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1", "x-real-ip": "127.0.0.1"},
            {"x-openwebui-user-role": "admin", "x-openwebui-user-id": "globex-board"},
            {"x-openwebui-user-jwt": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0."},
            {"x-api-key": "rw-" + "x" * 43},
            {"x-request-id": random.choice(targets.traces)},
            {"cookie": "tenant=globex; key=owner"},
            {"x-original-url": f"/v1/traces/{random.choice(targets.traces)}"},
            {"x-http-method-override": "DELETE"},
        )
    )
