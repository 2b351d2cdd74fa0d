"""S-09: four times as many clients as the server works for, for a minute, and then none."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.app.conftest import MAIN
from tests.app.serve.serving import add_key

SECONDS = 60.0
CLIENTS = 128  # four times server.concurrency
RECOVERY_SECONDS = 2.0
LONGEST_SECONDS = 30.0  # that a client waits: three times server.queue_seconds
TOLD_TO_WAIT = {429, 503}
TEXT = "The harbour master keeps the key of the tide gate, and the ferry leaves at seven. " * 6


@dataclass
class Seen:
    """What all clients saw.

    Attributes:
        statuses: How many answers had which status.
        without_retry: How many were told to come later, and not when.
        broken: How many answers ended early, or never came.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    without_retry: int = 0
    broken: int = 0


def bodies(number: int) -> tuple[str, dict[str, Any]]:
    """The route and body of a client's request: answers, whole and streamed, searches, and long encodings."""
    said = f"Who keeps the key of gate {number}?"
    asked = {"messages": [{"role": "user", "content": said}], "stream": number % 2 == 0}
    return (
        ("/v1/chat/completions", asked),
        ("/v1/retrieve", {"query": said}),
        ("/v1/embeddings", {"input": [f"{each} {TEXT}" for each in range(16)]}),
        ("/v1/rerank", {"query": said, "documents": [f"{each} {TEXT}" for each in range(16)]}),
    )[number // 2 % 4]


def request(number: int, key: str) -> bytes:
    path, body = bodies(number)
    sent = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(sent)}\r\n\r\n"
    )
    return head.encode() + sent


async def answered(address: tuple[str, int], sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer, on a connection of its own."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(sent)
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body
    finally:
        writer.close()


async def client(address: tuple[str, int], key: str, number: int, seen: Seen) -> None:
    """Ask without end; every other client takes no notice of what it is told to wait."""
    while True:
        number += CLIENTS
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                status, headers, body = await answered(address, request(number, key))
        except (TimeoutError, OSError, IndexError, ValueError):
            seen.broken += 1
            continue
        seen.statuses[status] += 1
        if "event-stream" in headers.get("content-type", "") and b"data: [DONE]" not in body:
            seen.broken += 1
        if status in TOLD_TO_WAIT:
            told = headers.get("retry-after", "")
            seen.without_retry += not told.isdecimal()
            await asyncio.sleep(float(told or 1) if number % 4 < 2 else 0.02)


async def crowd(address: tuple[str, int], keys: list[str], *, seconds: float) -> Seen:
    """What a crowd saw that asks for a while, and then leaves all at once."""
    seen = Seen()
    asking = [asyncio.create_task(client(address, keys[n % len(keys)], n, seen)) for n in range(CLIENTS)]
    await asyncio.sleep(seconds)
    assert not any(task.done() for task in asking)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    return seen


@contextmanager
def command(folder: Path, log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`ragwright serve` as a process, once it takes requests, and its address."""
    line = [sys.executable, "-c", MAIN, "serve", "--json", "--port", "0"]
    with log.open("w") as errors:
        running = subprocess.Popen(line, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=errors)
    try:
        told = ""
        while not told.endswith("}\n"):
            read = running.stdout.readline() if running.stdout else ""
            assert read, log.read_text()
            told += read
        yield running, json.loads(told)["url"]
    finally:
        running.kill()
        running.communicate()


def resident(process: int) -> int:
    """Megabytes of a process that no file backs."""
    found = re.findall(r"RssAnon:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[0]) // 1000


def recovered(url: str, key: str) -> float:
    """Seconds until a request is answered and nothing is at work or waits any more."""
    started = time.monotonic()
    body = {"messages": [{"role": "user", "content": "Who keeps the key of the tide gate?"}]}
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=10) as one:
        while time.monotonic() < started + 10:
            at_work = re.findall(r"^ragwright_requests_\w+ (\d)", one.get("/metrics").text, re.MULTILINE)
            with suppress(httpx.HTTPError):
                if one.post("/v1/chat/completions", json=body).status_code == 200 and set(at_work) == {"0"}:
                    return time.monotonic() - started
    return time.monotonic() - started


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_too_many_clients_are_told_when_to_come_again_and_cost_no_memory(
    project: Path, tmp_path: Path
) -> None:
    keys = [add_key(project / ".ragwright", f"k{n}", requests_per_minute=1_000_000) for n in range(3)]
    keys.append(add_key(project / ".ragwright", "hurried", requests_per_minute=60))
    calm = add_key(project / ".ragwright", "calm", requests_per_minute=1_000)
    log = tmp_path / "log"
    with command(project, log) as (running, url):
        address = httpx.URL(url).host, httpx.URL(url).port or 80
        asyncio.run(crowd(address, keys, seconds=5.0))  # loads what is needed, and fills the allocator
        before = resident(running.pid)
        seen = asyncio.run(crowd(address, keys, seconds=SECONDS))
        assert recovered(url, calm) < RECOVERY_SECONDS
        after = resident(running.pid)
    assert seen.statuses.keys() == {200, *TOLD_TO_WAIT}
    assert not seen.without_retry and not seen.broken
    assert after < before * 1.2
    assert "Traceback" not in log.read_text()
