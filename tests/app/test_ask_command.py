"""`ragwright ask`."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.app.conftest import MAIN
from typer.testing import Result

from ragwright.app.commands.ask import _streamed
from ragwright.app.console import Console
from ragwright.app.streamed_text import Status
from ragwright.core.errors import ServiceError
from ragwright.core.types import AnswerEvent, AnswerRequest, Delta

Run = Callable[..., Result]
QUESTION = "What torque do the axlebox cover bolts get?"


def test_answer_is_quotes_and_then_their_sources(in_demo: Path, run: Run) -> None:
    result = run("ask", QUESTION)
    answer, _, sources = result.stdout.partition("\nSources\n")
    assert result.exit_code == 0
    markers = re.findall(r" (\[\d+\])$", answer, re.MULTILINE)
    assert markers == [f"[{n + 1}]" for n in range(len(markers))]
    lines = sources.splitlines()
    assert [line[:3] for line in lines[::2]] == markers
    assert all(line.startswith("    documents/") and line.endswith(", exact]") for line in lines[1::2])


def test_every_quote_stands_in_a_hit_where_it_is_cited(in_demo: Path, run: Run) -> None:
    document = json.loads(run("ask", QUESTION, "--json").stdout)
    answer = document["answer"]
    assert (document["question"], answer["refused"]) == (QUESTION, False)
    chunks = [hit["chunk"] for hit in answer["hits"]]
    for citation in answer["citations"]:
        span = citation["span"]
        assert citation["quote"] in answer["text"]
        assert any(
            chunk["span"]["document_id"] == span["document_id"]
            and chunk["text"][span["start"] - chunk["span"]["start"] :].startswith(citation["quote"])
            for chunk in chunks
        )


def test_question_without_an_answer_is_refused_with_the_nearest_passages(in_demo: Path, run: Run) -> None:
    result = run("ask", "What is the capital of Peru?")
    assert result.exit_code == 0
    assert result.stdout.startswith("The documents do not answer this.\n\nThe nearest passages\n[1] ")
    assert max(map(len, result.stdout.splitlines())) < 320
    assert json.loads(run("ask", "What is the capital of Peru?", "--json").stdout)["answer"]["refused"]


def test_explain_adds_support_and_the_scores_of_every_hit(in_demo: Path, run: Run) -> None:
    output = run("ask", QUESTION, "--explain", "--limit", "4").stdout
    assert "\nHits, support 0." in output
    assert output.count("   scores: ") == 4


def test_filter_without_a_match_is_a_refusal(in_demo: Path, run: Run) -> None:
    result = run("ask", QUESTION, "--filter", "type=doc")
    assert (result.exit_code, result.stdout) == (0, "The documents do not answer this.\n")


def test_question_before_any_ingest_names_the_next_step(folder: Path, run: Run) -> None:
    result = run("ask", "anything")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("holds no documents; run: ragwright ingest PATH\n")
    assert list(folder.iterdir()) == []
    document = json.loads(run("ask", "anything", "--json").stdout)
    assert document["error"]["type"] == "InputError"


def test_empty_question_is_told(in_demo: Path, run: Run) -> None:
    result = run("ask", "  ")
    assert result.exit_code == 1
    assert "holds no letters or digits" in result.stderr


def test_a_person_reads_the_same_answer_while_it_is_written(
    in_demo: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = run("ask", QUESTION).stdout
    monkeypatch.setattr("ragwright.app.commands.ask.is_watched", lambda console: True)
    watched = run("ask", QUESTION).stdout
    assert watched.split() == piped.split()
    assert watched.partition("\nSources\n")[2] == piped.partition("\nSources\n")[2]


def test_text_is_written_as_it_comes_and_stays_when_the_model_breaks_off(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Breaking:
        name = "breaking"

        async def stream(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
            yield Delta("The gate opens at ")
            assert capsys.readouterr().out == "The gate opens at"
            yield Delta("ni")
            raise ServiceError("the model broke off")

    console = Console()
    with pytest.raises(ServiceError):
        asyncio.run(
            _streamed(Breaking(), AnswerRequest("When?", ()), console=console, status=Status(console))
        )
    assert capsys.readouterr().out == " ni\n"


@pytest.mark.slow
def test_on_a_terminal_the_status_gives_way_to_the_answer(in_demo: Path) -> None:
    """As a person sees it: the command as a process, on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-c", MAIN, "ask", QUESTION]
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    told = b""
    with suppress(OSError):  # how a terminal says that nobody writes to it any more
        while part := os.read(ours, 4096):
            told += part
    assert running.wait(20) == 0
    status, _, rest = told.decode().rpartition("\r\x1b[K")
    assert "searching …" in status and "Sources" not in status
    assert "Sources" in rest and "\x1b[1m[1]\x1b[0m" in rest
