"""Whatever a key asks, on every route and over MCP, no byte of an answer is of another tenant."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import cycle, islice, product
from random import Random
from typing import Any

import httpx
import pytest
from tests.app.serve.serving import Served
from tests.app.serve.tenant_attacks import ATTACKS, CHAT, DOCUMENT, MCP, OTHERS, RETRIEVE, Sent, disguise
from tests.app.serve.test_uploads import ended
from tests.app.serve.two_tenants import BOARDS, MEMBERS, READERS, WRITERS, Member, Targets, World, two_tenants

from ragwright.core.config import Config

SEED = 20
QUERIES = 1_000
ATTACKERS = READERS[0], WRITERS[1], READERS[1], BOARDS[0]
# How often each is asked in a round; a key's uploads are bounded, and cost an ingest each.
ROUND = (
    *(CHAT,) * 8,
    *(RETRIEVE,) * 6,
    *(MCP,) * 6,
    *(f"GET {DOCUMENT}",) * 2,
    *("GET /v1/traces/{trace_id}",) * 2,
    *(name for name in ATTACKS if name not in (CHAT, RETRIEVE, MCP)),
)
# Whose answers hold words of the asker's own documents and questions: else finding none would say nothing.
TELLING = {
    CHAT,
    RETRIEVE,
    MCP,
    "GET /v1/documents",
    f"GET {DOCUMENT}",
    f"GET {DOCUMENT}/original",
    "GET /v1/documents/jobs",
    "GET /v1/documents/jobs/{job_id}",
    "GET /v1/traces",
    "GET /v1/traces/{trace_id}",
    "POST /v1/feedback",
}
# Whose answers hold no word of a document, or none that was not asked for.
SHOWN = {f"GET {DOCUMENT}/pages/{{page}}", f"GET {DOCUMENT}/pages/{{page}}/image"}
# What differs between two answers that say the same.
_VOLATILE = re.compile(
    r"(chatcmpl-|rerank-)?\b[0-9a-f]{32}\b"
    r'|"(created|at|seconds|all|rewrite|encode|search|rank|evidence|answer|first|fetch)":\s?[\d.e-]+'
)
_OWN_HEADERS = {"date", "x-request-id", "content-length"}


@pytest.fixture(scope="module")
def world(new_config: Callable[[], Config]) -> Iterator[World]:
    with two_tenants(new_config(), seed=SEED) as filled:
        yield filled


def test_every_operation_that_the_server_describes_is_attacked_here(served: Served) -> None:
    """A new route fails this test until requests for it stand in `tenant_attacks.py`."""
    with served.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    described = {f"{method.upper()} {path}" for path, each in paths.items() for method in each}
    assert described == ATTACKS.keys() - {MCP}


def leaks(world: World, member: Member, written: str, answered: httpx.Response) -> list[str]:
    """Words and ids of others in an answer, which its asker did not write."""
    headers = b"\n".join(name + b": " + value for name, value in answered.headers.raw)
    told = (headers + b"\n\n" + answered.content).lower()
    return [each for each in world.may_not_see(member) if each.encode() in told and each not in written]


def ask(client: httpx.Client, sent: Sent) -> httpx.Response:
    return client.request(sent.method, sent.path, **sent.given)


def told(answered: httpx.Response, named: list[str]) -> tuple[int, dict[str, str], str]:
    """An answer without what differs from one to the next, and without the names that were asked for."""
    text = answered.text
    for name in named:
        text = text.replace(name, "NAMED")
    headers = {
        name: value
        for name, value in answered.headers.items()
        if name not in _OWN_HEADERS and not name.startswith("x-ratelimit")
    }
    return answered.status_code, headers, _VOLATILE.sub("VOLATILE", text)


@pytest.mark.slow
def test_the_same_requests_show_everyone_their_own(world: World) -> None:
    """The other half of the promise, first: without it an empty answer to everything would do."""
    for member in (*WRITERS, *BOARDS):
        own, words = world.targets[member.name], world.may_see(member)
        telling, shown = set(), set()
        with world.client(member) as client:
            for number, name in product(range(6), sorted(TELLING | SHOWN)):
                sent = ATTACKS[name](Random(number), own)
                answered = ask(client, sent)
                assert not leaks(world, member, sent.text(), answered)
                if answered.is_success:
                    shown.add(name)
                if any(each in answered.text and each not in sent.text() for each in words):
                    telling.add(name)
        assert telling == TELLING and shown == TELLING | SHOWN, member


class Attacker:
    """A member who knows the ids of what others have, but none of their words."""

    def __init__(self, world: World, member: Member, client: httpx.Client) -> None:
        self._world, self._member, self._client = world, member, client
        self._theirs = world.victims(member)
        self._asked = ""  # which the member's own traces may repeat

    def pair(self, name: str, seed: str) -> list[Any]:
        """What is told to a request that names what others have, and to one that names what nobody has."""
        both = self._theirs, self._theirs.unknown(Random(seed))
        named = sorted((each for targets in both for each in targets.everything()), key=len, reverse=True)
        return [self._told(name, seed, targets, named) for targets in both]

    def _told(self, name: str, seed: str, targets: Targets, named: list[str]) -> Any:
        random = Random(seed)
        sent = ATTACKS[name](random, targets)
        sent = sent.with_headers(disguise(random, targets))
        answered = ask(self._client, sent)
        if answered.status_code == 202:
            ended(self._client, answered)  # else it would be found by one of a pair alone
        written = sent.text() + (self._asked if "traces" in name else "")
        self._asked += sent.text() if name == CHAT else ""
        assert answered.status_code < 500, (sent, answered.text)
        assert not leaks(self._world, self._member, written, answered), (sent, answered.text)
        return told(answered, named) if sent.alike else answered.status_code


@pytest.mark.slow
def test_of_a_thousand_hostile_requests_none_learns_anything_of_others(world: World) -> None:
    """Each is sent twice: naming what others have, and naming what nobody has; both are told the same."""
    before = {each.name: _state(world, each) for each in MEMBERS}
    statuses: dict[str, Counter[int]] = defaultdict(Counter)
    names = list(islice(cycle(ROUND), QUERIES // len(ATTACKERS)))
    for member in ATTACKERS:
        with world.client(member) as client:
            attacker = Attacker(world, member, client)
            for number, name in enumerate(names):
                first, second = attacker.pair(name, f"{SEED}-{member.name}-{number}")
                assert first == second, (member, name, number)
                statuses[name][first[0] if isinstance(first, tuple) else first] += 1
    assert sum(each.total() for each in statuses.values()) == QUERIES
    assert statuses.keys() == ATTACKS.keys()
    assert {200, 401, 403, 404, 422} <= {status for each in statuses.values() for status in each}
    assert {each.name: _state(world, each) for each in MEMBERS} == before, "nothing of others was changed"


def _state(world: World, member: Member) -> list[object]:
    """What a member's documents, and the ratings of its answers, are now."""
    targets = world.targets[member.name]
    with world.client(member) as client:
        documents = [client.get(f"/v1/documents/{each}").json() for each in targets.documents + targets.pdfs]
        traces = [client.get(f"/v1/traces/{each}").json() for each in targets.traces]
        jobs = [client.get(f"/v1/documents/jobs/{each}").json() for each in targets.jobs]
    return [documents, traces, jobs]


@pytest.mark.slow
def test_what_needs_no_key_holds_nothing_of_anybody(world: World) -> None:
    outsider = Member("nobody", "")
    with world.served.client() as client:
        for sent in OTHERS:
            assert not leaks(world, outsider, sent.text(), ask(client, sent))
