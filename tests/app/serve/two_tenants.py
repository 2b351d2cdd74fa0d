"""Two tenants with the same documents but for a word in each, and what each of their keys may come to see."""

from __future__ import annotations

import io
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]
from tests.app.serve.serving import Served, serving
from tests.app.serve.test_uploads import ended, send

from ragwright.core.config import Config

PUMPS = 6
COMMON = "Every pump of the works is painted green and stands on a concrete base."
_MCP = {"accept": "application/json, text/event-stream"}


@dataclass(frozen=True, slots=True)
class Member:
    """Whose key asks.

    Attributes:
        name: Of the key.
        tenant: Whose documents it sees.
        groups: Of the tenant's groups, those that it belongs to.
        write: Whether it uploads and deletes.
    """

    name: str
    tenant: str
    groups: tuple[str, ...] = ()
    write: bool = False


READERS = Member("acme-reader", "acme"), Member("globex-reader", "globex")
WRITERS = Member("acme-writer", "acme", write=True), Member("globex-writer", "globex", write=True)
BOARDS = (
    Member("acme-board", "acme", ("board",), write=True),
    Member("globex-board", "globex", ("board",), write=True),
)
MEMBERS = (*READERS, *WRITERS, *BOARDS)


@dataclass(frozen=True, slots=True)
class Secret:
    """A word or an id that only some may see.

    Attributes:
        text: In lower-case ASCII, as no other text holds it.
        tenant: Whose it is.
        group: Only of this group's members; None: of the whole tenant.
        key: Only of this key; None: of every key that may see the rest.
    """

    text: str
    tenant: str
    group: str | None = None
    key: str | None = None

    def is_for(self, member: Member) -> bool:
        """Whether a member may see it."""
        in_group = self.group is None or self.group in member.groups
        return member.tenant == self.tenant and in_group and self.key in (None, member.name)


@dataclass(slots=True)
class Targets:
    """What requests can name of somebody's things, which is never a canary; every list holds at least one."""

    documents: list[str] = field(default_factory=list)
    pdfs: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    chunks: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    ratings: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)

    def everything(self) -> Iterator[str]:
        """All of it."""
        for name in self.__slots__:
            yield from getattr(self, name)

    def unknown(self, random: Random) -> Targets:
        """As many of the same shape that name nothing."""
        return Targets(
            **{name: [_like(each, random) for each in getattr(self, name)] for name in self.__slots__}
        )


def _like(text: str, random: Random) -> str:
    """A text of the same shape: hexadecimal digits stay such where the text is an id."""
    kinds = (string.digits + "abcdef",) if all(c in string.hexdigits + "-" for c in text) else ()
    letters = kinds[0] if kinds else string.ascii_lowercase
    return "".join(random.choice(letters) if c.isalnum() else c for c in text)


class World:
    """A server with six keys over the documents of two tenants.

    Attributes:
        served: The server.
        secrets: Everything that somebody may not see.
        targets: What each member's own key has made or can see, by the member's name.
    """

    def __init__(self, served: Served, seed: int) -> None:
        self.served = served
        self.secrets: list[Secret] = []
        self.targets = {each.name: Targets() for each in MEMBERS}
        self._random = Random(seed)
        served.key("owner", admin=True)
        self._keys = {each.name: self._key(each) for each in MEMBERS}
        self.secrets += [Secret(each.name, each.tenant, key=each.name) for each in MEMBERS]
        self.secrets += [Secret(each.tenant, each.tenant) for each in READERS]

    def _key(self, member: Member) -> str:
        rights = {"tenant": member.tenant, "groups": member.groups, "write": member.write}
        return self.served.key(member.name, **rights)

    def client(self, member: Member) -> httpx.Client:
        """A client with the member's key, to be closed."""
        return self.served.client(self._keys[member.name])

    def may_not_see(self, member: Member) -> list[str]:
        """Every word and id that no answer to a member may hold."""
        return [each.text for each in self.secrets if not each.is_for(member)]

    def may_see(self, member: Member) -> list[str]:
        """The words and ids of a member's own."""
        own = [each.text for each in self.secrets if each.is_for(member)]
        return [each for each in own if each != member.tenant]  # which stands in names, too

    def victims(self, member: Member) -> Targets:
        """What belongs to others: to the other tenant, and to groups and keys that are not the member's."""
        own = set(self.may_see(member))
        found = Targets()
        for targets in self.targets.values():
            for name in Targets.__slots__:
                foreign = [each for each in getattr(targets, name) if each.lower() not in own]
                getattr(found, name).extend(each for each in foreign if each not in getattr(found, name))
        return found

    def fill(self) -> None:
        """Upload everything, ask a little with every key, and rate the answers."""
        for writer, board in zip(WRITERS, BOARDS, strict=True):
            self._upload_all(writer, group=None)
            self._upload_all(board, group="board")
        for member in MEMBERS:
            self._ask(member)

    def _word(self, member: Member, *, group: str | None = None, own: bool = False) -> str:
        """A new canary."""
        word = "zq" + "".join(self._random.choices(string.ascii_lowercase, k=12))
        self.secrets.append(Secret(word, member.tenant, group, member.name if own else None))
        return word

    def _upload_all(self, member: Member, *, group: str | None) -> None:
        with self.client(member) as client:
            for number in range(PUMPS if group is None else 2):
                word = self._word(member, group=group)
                self._upload(client, member, f"pump-{number}-{word}.md", manual(number, word), group=group)
            word = self._word(member, group=group)
            self._upload(client, member, f"plan-{word}.pdf", drawing(word), group=group)

    def _upload(
        self, client: httpx.Client, member: Member, name: str, data: bytes, *, group: str | None
    ) -> None:
        job = ended(client, send(client, data, name))
        assert job["state"] == "done", job
        document = client.get(f"/v1/documents/{job['document_id']}").json()
        found = self.targets[member.name]
        found.jobs.append(job["id"])
        (found.pdfs if name.endswith(".pdf") else found.documents).append(document["id"])
        found.sources.append(document["source"])
        self.secrets.append(Secret(job["id"], member.tenant, group, member.name))
        for text in (document["id"], document["source"].lower(), name):
            self.secrets.append(Secret(text, member.tenant, group))

    def _ask(self, member: Member) -> None:
        """Leave a trace and ratings whose words nobody else may see."""
        found = self.targets[member.name]
        with self.client(member) as client:
            for number in range(2):
                asked = {"messages": [{"role": "user", "content": f"{question(number)} {self._own(member)}"}]}
                assert client.post("/v1/chat/completions", json=asked).status_code == 200
                trace = client.get("/v1/traces", params={"limit": 1}).json()["data"][0]["id"]
                said = {"trace_id": trace, "rating": "up", "text": self._own(member)}
                rating = client.post("/v1/feedback", json=said).json()["id"]
                found.traces.append(trace)
                found.ratings.append(rating)
                self.secrets += [Secret(each, member.tenant, key=member.name) for each in (trace, rating)]
            hits = client.post("/v1/retrieve", json={"query": "service code", "top_k": 50}).json()["data"]
            foreign = self.may_not_see(member)
            for hit in hits:
                assert not [each for each in foreign if each in hit["text"]], (member, hit)
                found.chunks.append(hit["chunk_id"])
                group = next(iter(member.groups), None) if self._is_of_group(hit["text"]) else None
                self.secrets.append(Secret(hit["chunk_id"], member.tenant, group))

    def _own(self, member: Member) -> str:
        return self._word(member, own=True)

    def _is_of_group(self, text: str) -> bool:
        return any(each.group and each.text in text for each in self.secrets)


def question(number: int) -> str:
    """What both tenants' documents answer in nearly the same words."""
    return f"What is the service code of pump {number % PUMPS}, and at how many bar does it run?"


def manual(number: int, word: str) -> bytes:
    """A document that differs from the other tenant's in one word, and has a paragraph in common with all."""
    return (
        f"# Pump {number} {word}\n\n{COMMON}\n\n## Service\n\nThe service code of pump {number} is {word}. "
        f"It runs at {number + 3} bar, and its seal is changed every {number + 2} months.\n"
    ).encode()


def drawing(word: str) -> bytes:
    """A PDF of one page."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(420, 595), invariant=True)
    canvas.setTitle(f"Plan {word}")
    canvas.drawString(50, 500, f"The service code of the plan is {word}.")
    canvas.drawString(50, 480, COMMON)
    canvas.save()
    return target.getvalue()


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """A call of a tool over MCP."""
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def mcp_headers() -> dict[str, str]:
    """What a request over MCP has to accept."""
    return dict(_MCP)


@contextmanager
def two_tenants(config: Config, *, seed: int) -> Iterator[World]:
    """A server over an own copy of a workspace, filled by the keys of two tenants."""
    with serving(config, requests_per_minute=1_000_000) as served:
        world = World(served, seed)
        world.fill()
        yield world
