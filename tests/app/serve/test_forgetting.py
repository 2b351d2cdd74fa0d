"""The text of a document that is gone leaves the traces, whoever removed it; nothing tells of it again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.app.serve.kept_text import readable
from tests.app.serve.serving import serving
from tests.app.serve.test_observations import feedback, trace
from typer.testing import Result

from ragwright.app.access import open_workspace
from ragwright.app.serve.forgetting import forget_gone, visible_part
from ragwright.app.serve.observations import FILE_NAME, Observations
from ragwright.app.serve.opening import Named, opened
from ragwright.app.serve.trace_record import trace_record
from ragwright.app.serve.values import Trace
from ragwright.core.config import Config
from ragwright.core.types import OWNER, Span
from ragwright.ingest.discover import document_id
from ragwright.ingest.pipeline import forget

Run = Callable[..., Result]
HARBOUR, FERRY = document_id("docs/harbour.md", ""), document_id("docs/mail/ferry.txt", "")
SECRETS = {each: os.urandom(900).hex() for each in (HARBOUR, FERRY)}  # a page of the file holds each
OLD = 1_000_000.0  # seconds since 1970: long before anything here is forgotten


def quoting(document: str, number: int, **changed: Any) -> Trace:
    """A trace that quotes a document, which is there or not, with a text of its own."""
    made = trace(number, text=SECRETS[document])
    assert made.answer
    (hit,), (citation,) = made.answer.hits, made.answer.citations
    span = Span(document, 0, 20)
    chunk = replace(hit.chunk, span=span)
    evidence = tuple(replace(each, span=span) for each in hit.evidence)
    answer = replace(
        made.answer,
        hits=(replace(hit, chunk=chunk, evidence=evidence),),
        citations=(replace(citation, span=span),),
    )
    return replace(made, at=OLD + number, answer=answer, **changed)


def keep(folder: Path, *traces: Trace) -> None:
    """Rated traces in the observations of a workspace."""
    with closing(Observations.in_folder(folder, traces=100)) as kept:
        for each in traces:
            kept.keep(each)
            kept.add_feedback(feedback(each, id=each.id))


@pytest.fixture
def quoted(project: Path) -> Path:
    """A workspace with a trace of each of two documents, and one of an answer that never came."""
    folder = project / ".ragwright"
    stopped = quoting(HARBOUR, 3)
    keep(folder, quoting(HARBOUR, 1), quoting(FERRY, 2), replace(stopped, answer=None, error="stopped"))
    assert holds(folder) == {HARBOUR, FERRY}, "the test would not see what stays"
    return folder


def holds(folder: Path) -> set[str]:
    """The documents whose text can be read in the files of the observations."""
    text = readable(folder, f"{FILE_NAME}*")
    return {each for each, secret in SECRETS.items() if secret[:40].encode() in text}


def exported(run: Run, *arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run("feedback", "export", "--json", *arguments).stdout)["rows"]
    return rows


def redacted(rows: list[dict[str, Any]]) -> dict[int, bool]:
    """Whether each exported trace has lost its text, by its number."""
    for row in rows:
        assert row["redacted"] is (row["hits"] == []) or row["answer"] is None
        assert row["question"] == "What is the code?", "what a person asked is theirs"
    return {int(row["trace_id"], 16): row["redacted"] for row in rows}


def remove_by_command(project: Path, run: Run) -> None:
    assert run("forget", "docs/harbour.md").exit_code == 0


def remove_by_ingest(project: Path, run: Run) -> None:
    (project / "docs" / "harbour.md").unlink()
    assert run("ingest", "docs").exit_code == 0


def remove_by_python(project: Path, run: Run) -> None:
    with open_workspace(project / ".ragwright", write=True) as workspace:
        version, manifest = workspace.live()
        forget([HARBOUR], workspace.target(version, workspace.open_index(version, manifest)))


@pytest.mark.parametrize(
    "remove",
    [
        remove_by_command,
        *(pytest.param(e, marks=pytest.mark.slow) for e in (remove_by_ingest, remove_by_python)),
    ],
)
def test_a_document_that_a_command_removes_leaves_traces_export_and_files(
    project: Path, quoted: Path, run: Run, remove: Callable[[Path, Run], None]
) -> None:
    assert redacted(exported(run)) == {1: False, 2: False, 3: False}
    remove(project, run)
    assert holds(quoted) == {FERRY}, "and the answer that never came may have quoted anything"
    assert redacted(exported(run)) == {1: True, 2: False, 3: True}


@pytest.mark.slow
def test_what_nobody_asked_to_remove_stays(project: Path, quoted: Path, run: Run) -> None:
    for command in (("forget", "docs", "--dry-run"), ("ingest", "docs"), ("forget", "nothing")):
        run(*command)
    assert holds(quoted) == {HARBOUR, FERRY}


def test_traces_that_cannot_be_read_are_told_before_a_document_is_removed(
    project: Path, quoted: Path, run: Run
) -> None:
    """Else its text would stay behind unseen."""
    for each in quoted.glob(f"{FILE_NAME}*"):
        each.unlink()
    (quoted / FILE_NAME).write_bytes(b"no database" * 100)
    refused = run("forget", "docs/harbour.md")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "is damaged" in refused.stderr and "move the file away" in refused.stderr
    assert "docs/harbour.md" in run("status", "--documents").stdout


@pytest.mark.slow  # a server of its own; `test_uploads` has the quick part
def test_the_route_removes_the_text_at_once(new_config: Callable[[], Config]) -> None:
    config = new_config()
    keep(config.workspace, quoting(HARBOUR, 1), quoting(FERRY, 2))
    with serving(config) as running, running.client() as client:
        assert client.delete(f"/v1/documents/{HARBOUR}").status_code == 200
        assert holds(config.workspace) == {FERRY}
        assert SECRETS[HARBOUR] not in client.get(f"/v1/traces/{1:032x}").text
        assert SECRETS[FERRY] in client.get(f"/v1/traces/{2:032x}").text


def test_a_server_that_begins_removes_what_went_while_none_ran(new_config: Callable[[], Config]) -> None:
    """As after a crash between the catalog and the traces, or in a workspace that keeps no traces itself."""
    config = new_config()
    gone = trace(1, text=SECRETS[HARBOUR])  # its document is in no catalog
    keep(config.workspace, gone, quoting(FERRY, 2), replace(gone, id=f"{3:032x}", collection="other"))
    kept = Observations.in_folder(config.workspace, traces=9)
    with closing(kept), opened([Named("documents", config)]) as collections:
        assert kept.mentioned("documents") == {"d1", FERRY}
        forget_gone(kept, collections)
        assert kept.mentioned("documents") == {FERRY}
    assert holds(config.workspace) == {FERRY}


def test_an_empty_catalog_is_taken_for_another_one_but_nothing_is_told_by_it(
    new_config: Callable[[], Config], run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "empty" / ".ragwright"
    keep(folder, quoting(HARBOUR, 1))
    with opened([Named("documents", new_config().model_copy(update={"workspace": folder}))]) as collections:
        _ = collections.get(None).workspace.catalog  # makes one
        with closing(Observations.in_folder(folder, traces=9)) as kept:
            forget_gone(kept, collections)
    assert holds(folder) == {HARBOUR}
    assert redacted(exported(run, "--workspace", str(folder))) == {1: True}


def test_what_a_collection_quotes_that_is_not_named_is_not_exported(
    project: Path, quoted: Path, run: Run
) -> None:
    """Nobody could tell whether its documents are still there; named, it is asked."""
    keep(quoted, quoting(FERRY, 5, collection="law"))
    told = run("feedback", "export")
    assert "of the collection law answers are written without the texts of documents (1)" in told.stderr
    assert SECRETS[FERRY] not in told.stdout.splitlines()[-1]
    assert redacted(exported(run))[5] is True
    law = project / "other" / ".ragwright"
    law.mkdir(parents=True)
    shutil.copy(quoted / "catalog.sqlite3", law)
    assert redacted(exported(run, "--collection", f"law={law}"))[5] is False


def test_nobody_is_shown_the_prompt_of_an_answer_that_never_came_of_an_unknown_collection() -> None:
    stopped = trace_record(replace(quoting(HARBOUR, 1), answer=None))
    assert SECRETS[HARBOUR] in json.dumps(stopped)
    assert SECRETS[HARBOUR] not in json.dumps(visible_part(stopped, OWNER, lambda name: None))
