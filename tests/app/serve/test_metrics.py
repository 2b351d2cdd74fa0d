"""What is counted, who may read it, and what the log says of every request."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.app.serve.serving import Served, serving
from tests.app.serve.slow import SlowGenerator, question

from ragwright.app.serve.logs import start_log, stop_log
from ragwright.core.config import Config

CHAT = "/v1/chat/completions"


def read(text: str) -> dict[tuple[str, str], float]:
    """Values by name and by their labels' values, joined by blanks."""
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_answers_and_their_steps_are_counted(new_config: Callable[[], Config]) -> None:
    slow = SlowGenerator()
    with serving(new_config(), adapted=slow.with_it) as served, served.client() as client:
        name = "ragwright/documents:extractive"
        for text in ("Who keeps the key of the tide gate?", "zzz qqq xxx"):
            assert client.post(CHAT, json={**question(text, stream=False), "model": name}).status_code == 200
        client.get("/nothing/at/all")
        client.request("BREW", "/healthz")
        with client.stream("POST", CHAT, json=question()):
            slow.wait_until(running=1)
            during = read(client.get("/metrics").text)
        while served.app.state.limits.places.inside:  # the client has left; its trace is being kept
            time.sleep(0.01)
        told = read(client.get("/metrics").text)
    assert during["ragwright_requests_at_work", ""] == 1
    assert told["ragwright_requests_at_work", ""] == told["ragwright_requests_waiting", ""] == 0
    assert told["ragwright_requests_total", f"POST {CHAT} 200"] == 3
    assert told["ragwright_requests_total", "GET none 404"] == 1  # not a row for every path that is tried
    assert told["ragwright_requests_total", "other /healthz 405"] == 1
    outcomes = {key[1]: value for key, value in told.items() if key[0] == "ragwright_answers_total"}
    assert outcomes == {
        "documents extractive answered": 1,
        "documents extractive refused": 1,
        "documents slow stopped": 1,
    }
    steps = {key[1] for key in told if key[0] == "ragwright_step_seconds_count"}
    assert {"rewrite", "encode", "search", "score", "evidence", "answer", "all"} <= steps
    assert told["ragwright_first_token_seconds_count", "extractive"] == 2
    assert told["ragwright_hits_count", ""] == 2
    assert told["ragwright_ready", "documents"] == 1


def test_metrics_are_for_this_machine_and_for_keys_that_see_everything(
    new_config: Callable[[], Config],
) -> None:
    with serving(new_config()) as served:
        plain, admin = served.key("plain", write=True), served.key("admin", admin=True)
        elsewhere = {"x-forwarded-for": "10.0.0.9"}
        with served.client() as client:
            assert client.get("/metrics").status_code == 200  # from this machine, also while there are keys
            assert client.get("/metrics", headers=elsewhere).status_code == 401
        with served.client(plain) as client:
            assert client.get("/metrics", headers=elsewhere).status_code == 403
        with served.client(admin) as client:
            told = client.get("/metrics", headers=elsewhere)
        assert told.status_code == 200 and "plain" not in told.text  # who asked is not counted


# The log


@contextmanager
def logged(form: Literal["text", "json"], *, quiet: bool = False) -> Iterator[io.StringIO]:
    """What is logged."""
    stream = io.StringIO()
    handler = start_log(stream, form=form, quiet=quiet)
    try:
        yield stream
    finally:
        stop_log(handler)


NASTY = "tide\r\n2026 info 200 \x1b[31mred \u202e\x9bgate \u2028 \x7f key"


@pytest.fixture(scope="module")
def curious(new_config: Callable[[], Config]) -> Iterator[Served]:
    """A server that logs what was asked."""
    with serving(new_config(), log_questions=True) as running:
        yield running


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_request_is_one_line_without_control_characters(
    curious: Served, form: Literal["text", "json"]
) -> None:
    with logged(form) as log, curious.client() as client:
        client.post(CHAT, json=question(NASTY, stream=False), headers={"x-request-id": "request-1"})
        client.get("/a%0d%0ab%1b%5b31m%e2%80%aec")
        wait_for_lines(log, 3)
    asked, answered, other = log.getvalue().splitlines()
    for line in (asked, answered, other):
        assert line.isascii() and line.isprintable()
    assert "request-1" in answered and "200" in answered and CHAT in answered and "local" in answered
    assert "\\r\\n2026 info" in asked or "\\x0d\\x0a2026 info" in asked
    if form == "json":
        assert json.loads(asked)["message"] == f"asked: {NASTY}"
        told = json.loads(answered)
        assert (told["level"], told["caller"], told["request_id"]) == ("info", "local", "request-1")


def test_what_was_asked_is_not_logged_unless_wanted(served: Served) -> None:
    with logged("json") as log, served.client() as client:
        client.post(CHAT, json=question("Who keeps the canary?", stream=False))
        client.get("/v1/documents", params={"query": "canary"})
        client.post("/v1/retrieve", json={"query": "canary"})
        client.post("/v1/retrieve", json={"canary": 1})
        wait_for_lines(log, 4)
    assert len(log.getvalue().splitlines()) == 4 and "canary" not in log.getvalue()


def wait_for_lines(log: io.StringIO, count: int) -> None:
    """A request's line is written once its answer is on its way, so a client may be ahead of the log."""
    until = time.monotonic() + 5
    while log.getvalue().count("\n") < count and time.monotonic() < until:
        time.sleep(0.005)


def test_a_quiet_log_tells_only_what_went_wrong(served: Served) -> None:
    with logged("text", quiet=True) as log, served.client() as client:
        client.get("/healthz")
        logging.getLogger("ragwright.serve").warning("disk is\nfull")
    assert log.getvalue().count("\n") == 1 and "warning disk is\\x0afull" in log.getvalue()
