"""Uploaded files: kept under names of our own, ingested once, seen by their tenant, and deleted for good."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.app.serve.serving import Served, serving

from ragwright.app.access import reading, writing
from ragwright.app.console import Console
from ragwright.app.indexing import rebuild_index
from ragwright.app.progress import Progress
from ragwright.app.serve import job_records
from ragwright.app.serve.errors import HttpError
from ragwright.app.serve.observations import FILE_NAME, Observations
from ragwright.app.serve.receiving import Uploads
from ragwright.app.serve.upload_files import UploadFiles
from ragwright.app.serve.upload_job import Job
from ragwright.app.serve.upload_jobs import MOST_OPEN_OF_KEY, UploadJobs
from ragwright.app.serve.upload_names import LONGEST_NAME, shown_name, stored_name
from ragwright.app.serve.values import LOCAL
from ragwright.core.config import Config, with_settings
from ragwright.core.errors import ServiceError
from ragwright.core.types import Access
from ragwright.ingest.discover import SourceFile
from ragwright.ingest.doctor import examine

HOSTILE_NAMES = [
    "../../x", "..\\..\\x", "/etc/x", "C:\\x", "%2e%2e%2fx", "a\0b.txt", "x\u202egnp.md", "x" * 4000 + ".md",
    "e\u0301.txt", "CON", "..",
]  # fmt: skip
MORE_NAMES = [
    "é.txt", "NUL.txt", ".", "-rf", "~root", "$(id).txt", "<img src=x onerror=alert(1)>.md", ".bashrc", " ",
    "\ufeff", "a;b.txt", "x.md\u2028y",
]  # fmt: skip


@pytest.fixture(scope="module")
def server(new_config: Callable[[], Config]) -> Iterator[Served]:
    """A server with keys of two tenants."""
    with serving(new_config(), upload_megabytes=1) as running:
        running.key("owner", admin=True)
        yield running


@pytest.fixture(scope="module")
def keys(server: Served) -> dict[str, str]:
    return {
        "a": server.key("a", tenant="a", write=True),
        "a2": server.key("a2", tenant="a", groups=("law", "tax"), write=True),
        "reader": server.key("reader", tenant="a"),
        "b": server.key("b", tenant="b", write=True),
        "root": server.key("root", admin=True),
    }


@pytest.fixture(scope="module")
def clients(server: Served, keys: dict[str, str]) -> Iterator[dict[str, httpx.Client]]:
    opened = {name: server.client(key) for name, key in keys.items()}
    yield opened
    for each in opened.values():
        each.close()


FORM, END = "multipart/form-data; boundary=b", b"--b--\r\n"
PART = b"--b\r\nContent-Disposition: form-data"


def send(client: httpx.Client, text: str | bytes, name: str = "note.md", **given: Any) -> httpx.Response:
    data = text.encode() if isinstance(text, str) else text
    return client.post("/v1/documents", files={"file": (name, data)}, **given)


def ended(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """The job of an upload once it has ended."""
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    until = time.monotonic() + 20
    while job["ended"] is None:
        assert time.monotonic() < until, job
        time.sleep(0.02)
        job = client.get(f"/v1/documents/jobs/{job['id']}").json()
    return job


def found(client: httpx.Client, query: str) -> set[str]:
    """Texts that a search finds."""
    hits = client.post("/v1/retrieve", json={"query": query}).json()["data"]
    return {hit["text"] for hit in hits}


def files_of(server: Served) -> set[Path]:
    return {path for path in (server.folder / "uploads").rglob("*") if path.is_file()}


def uploads(server: Served) -> Uploads:
    every: dict[str, Uploads] = server.app.state.uploads
    return every["documents"]


def test_a_search_finds_what_was_uploaded_once_its_job_is_done(clients: dict[str, httpx.Client]) -> None:
    before = clients["root"].get("/v1/documents").json()["data"]
    job = ended(clients["a"], send(clients["a"], "The walrus keeps the lamp room.", "walrus_lamp.md"))
    assert (job["state"], job["stage"], job["chunks"]) == ("done", "ended", 1)
    assert job["documents"]["added"] == [job["document_id"]]
    assert job["graph_is_due"] is False
    assert any("walrus" in text for text in found(clients["a"], "Who keeps the lamp room?"))
    shown = clients["a"].get(f"/v1/documents/{job['document_id']}").json()
    assert (shown["title"], shown["name"]) == ("walrus lamp", "walrus_lamp.md")
    after = clients["root"].get("/v1/documents").json()["data"]
    assert len(after) == len(before) + 1, "an upload prunes no other document"
    listed = clients["a"].get("/v1/documents").json()["data"]
    assert ("walrus_lamp.md", "text/markdown") in {(each["name"], each["media_type"]) for each in listed}


def test_nothing_of_an_upload_reaches_another_tenant(clients: dict[str, httpx.Client]) -> None:
    job = ended(clients["a"], send(clients["a"], "The heron signs the tide ledger."))
    document = f"/v1/documents/{job['document_id']}"
    for path in (document, f"{document}/original", f"{document}/pages/1", f"/v1/documents/jobs/{job['id']}"):
        theirs, nobodys = clients["b"].get(path), clients["b"].get(re.sub(r"[0-9a-f]{24,32}", "f" * 24, path))
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.json() == nobodys.json(), "a document of another tenant is not told from none"
    assert clients["b"].delete(document).status_code == 404
    assert clients["b"].get("/v1/documents/jobs").json()["data"] == []
    assert clients["b"].get("/v1/documents").json()["data"] == []
    assert not any("heron" in text for text in found(clients["b"], "Who signs the tide ledger?"))
    assert clients["a"].get(document).status_code == 200


def test_a_key_without_the_right_neither_uploads_nor_deletes(clients: dict[str, httpx.Client]) -> None:
    job = ended(clients["a"], send(clients["a"], "The otter mends nets."))
    assert send(clients["reader"], "x").status_code == 403
    answer = clients["reader"].delete(f"/v1/documents/{job['document_id']}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
    assert clients["reader"].get(f"/v1/documents/{job['document_id']}").json()["may_delete"] is False


def test_an_upload_is_seen_by_the_groups_it_names_alone(clients: dict[str, httpx.Client]) -> None:
    job = ended(clients["a2"], send(clients["a2"], "The stork files the tax.", data={"groups": ["tax"]}))
    document = f"/v1/documents/{job['document_id']}"
    assert clients["a2"].get(document).json()["groups"] == ["tax"]
    assert clients["a"].get(document).status_code == 404
    assert clients["root"].get(document).status_code == 200
    own = ended(clients["a2"], send(clients["a2"], "The stork files the law."))
    assert clients["a2"].get(f"/v1/documents/{own['document_id']}").json()["groups"] == ["law", "tax"]


@pytest.mark.parametrize(
    ("key", "groups", "status"),
    [("a2", ["sales"], 403), ("a2", ["law", "sales"], 403), ("a", ["law"], 403), ("root", ["*"], 400)],
)
def test_nobody_gives_groups_that_are_not_theirs(
    clients: dict[str, httpx.Client], server: Served, key: str, groups: list[str], status: int
) -> None:
    before = files_of(server)
    assert send(clients[key], "The crow counts.", data={"groups": groups}).status_code == status
    assert files_of(server) == before


def test_a_tenant_cannot_be_named(clients: dict[str, httpx.Client]) -> None:
    answer = send(clients["a"], "The auk waits.", data={"tenant": "b"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "tenant")


@pytest.mark.parametrize("name", ["group", "access", "File", "groups[]", " file", "x" * 9000])
@pytest.mark.parametrize("file", ["", '; filename="a.txt"'])
def test_a_field_that_is_not_known_is_refused_by_name(
    clients: dict[str, httpx.Client], server: Served, name: str, file: str
) -> None:
    before = files_of(server)
    known = PART + b'; name="file"; filename="x.txt"\r\n\r\nThe auk waits.\r\n'
    body = known + PART + f'; name="{name}"{file}\r\n\r\nboard\r\n'.encode() + END
    answer = clients["a"].post("/v1/documents", content=body, headers={"content-type": FORM})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, name[:50])
    assert files_of(server) == before


@pytest.mark.parametrize(
    "name", [*HOSTILE_NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE_NAMES)], ids=ascii
)
def test_a_name_chooses_no_place(clients: dict[str, httpx.Client], server: Served, name: str) -> None:
    """P-07: the file lies under a generated name, and nothing outside of the folder has changed."""
    project = server.folder.parent
    before = {path for path in project.rglob("*") if ".ragwright/indexes" not in str(path)}
    content = f"The name {[*HOSTILE_NAMES, *MORE_NAMES].index(name)} is kept as text."
    boundary = "b0undary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="'.encode()
    body = head + name.encode() + f'"\r\n\r\n{content}\r\n--{boundary}--\r\n'.encode()
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    job = ended(clients["a"], clients["a"].post("/v1/documents", content=body, headers=headers))
    assert job["state"] == "done", job
    new = {path for path in project.rglob("*") if ".ragwright/indexes" not in str(path)} - before
    (file,) = (path for path in new if path.is_file() and path.name.partition(".")[0] not in ("catalog",))
    assert file.parent.parent == server.folder / "uploads"
    assert re.fullmatch(r"[0-9a-f]{32}(\.(md|txt))?", file.name)
    assert file.stat().st_mode & 0o777 == 0o600
    shown = clients["a"].get(f"/v1/documents/{job['document_id']}").json()
    for kept in (shown["metadata"]["name"], job["name"]):
        assert kept.isprintable()
        assert 0 < len(kept) <= LONGEST_NAME
        assert not set(kept) & set("/\\") or "\\u" in kept
    assert shown["title"]
    saved = clients["a"].get(f"/v1/documents/{job['document_id']}/original")
    assert saved.content.decode() == content
    assert saved.headers["content-disposition"].startswith('attachment; filename="')
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["x-content-type-options"] == "nosniff"


def test_the_same_bytes_twice_are_one_document(clients: dict[str, httpx.Client], server: Served) -> None:
    first = ended(clients["a"], send(clients["a"], "The puffin digs twice.", "one.md"))
    before = files_of(server)
    second = ended(clients["a"], send(clients["a"], "The puffin digs twice.", "two.md"))
    assert first["document_id"] == second["document_id"]
    assert second["documents"]["unchanged"] == [first["document_id"]]
    assert files_of(server) == before


def test_parallel_uploads_of_the_same_file_are_one_document(
    clients: dict[str, httpx.Client], server: Served
) -> None:
    before = files_of(server)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: send(clients["a"], "The gull dives at once."), range(6)))
    jobs = [ended(clients["a"], each) for each in answers]
    assert len({job["document_id"] for job in jobs}) == 1
    assert sorted(len(job["documents"]["added"]) for job in jobs) == [0, 0, 0, 0, 0, 1]
    assert len(files_of(server) - before) == 1
    assert len([text for text in found(clients["a"], "Who dives at once?") if "gull" in text]) == 1


def test_tenants_with_the_same_file_have_a_document_each(clients: dict[str, httpx.Client]) -> None:
    mine = ended(clients["a"], send(clients["a"], "The teal is everyone's."))
    theirs = ended(clients["b"], send(clients["b"], "The teal is everyone's."))
    assert mine["document_id"] != theirs["document_id"]
    assert theirs["documents"]["added"]
    assert clients["a"].delete(f"/v1/documents/{mine['document_id']}").status_code == 200
    assert clients["b"].get(f"/v1/documents/{theirs['document_id']}").status_code == 200


def test_a_request_that_is_sent_again_is_the_same_job(clients: dict[str, httpx.Client]) -> None:
    key = {"Idempotency-Key": "again-1"}
    sent = send(clients["a"], "The tern returns.", headers=key)
    first = sent.json()
    assert send(clients["a"], "The tern returns.", headers=key).json()["id"] == first["id"]
    other = send(clients["a"], "The tern does not return.", headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    theirs = send(clients["b"], "The tern returns.", headers=key)
    assert theirs.json()["id"] != first["id"]
    assert send(clients["a"], "x", headers={"Idempotency-Key": "x" * 300}).status_code == 422
    assert ended(clients["a"], sent)["state"] == ended(clients["b"], theirs)["state"] == "done"


@pytest.mark.parametrize("declared", [True, False])
def test_a_file_over_the_limit_is_refused_while_it_is_read(
    clients: dict[str, httpx.Client], server: Served, declared: bool
) -> None:
    before = files_of(server)
    boundary = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.txt"\r\n\r\n'
    body = boundary + b"x" * 1_020_000 + b"\r\n--b--\r\n"
    headers = {"content-type": FORM}
    content = body if declared else (body[at : at + 50_000] for at in range(0, len(body), 50_000))
    answer = clients["a"].post("/v1/documents", content=content, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"
    assert files_of(server) == before


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (FORM, b"", 400),
        (FORM, END, 422),
        (FORM, PART + b'; name="file"\r\n\r\nhalf', 400),
        (FORM, PART + b"\r\n\r\nx\r\n" + END, 400),
        (FORM, b"garbage", 400),
        ("multipart/form-data; boundary=" + "b" * 300, b"--b--", 400),
        ("multipart/form-data", END, 400),
        ("application/json", b"{}", 400),
        ("text/plain", b"x", 400),
        ("", b"x", 400),
        (
            FORM,
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="e.txt"\r\n\r\n\r\n--b--\r\n',
            422,
        ),
        (
            FORM,
            b'--b\r\nContent-Disposition: form-data; name="groups"\r\n\r\ny\r\n' * 60 + END,
            400,
        ),
        (
            FORM,
            b'--b\r\nContent-Disposition: form-data; name="groups"\r\n\r\n' + b"y" * 5000 + b"\r\n--b--\r\n",
            400,
        ),
        (
            FORM,
            b"--b\r\n" + b"X-Header: y\r\n" * 10_000 + b"\r\nx\r\n--b--\r\n",
            400,
        ),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_read_is_refused(
    clients: dict[str, httpx.Client], server: Served, kind: str, body: bytes, status: int
) -> None:
    before = files_of(server)
    answer = clients["a"].post("/v1/documents", content=body, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]
    assert files_of(server) == before


@pytest.mark.parametrize(
    ("name", "data"), [("x.pdf", b"%PDF-1.4 broken"), ("x.md", b"\x89PNG\r\n\x1a\n" + b"\0" * 99)]
)
def test_a_file_that_cannot_be_read_fails_with_a_reason_and_leaves_nothing(
    clients: dict[str, httpx.Client], server: Served, name: str, data: bytes
) -> None:
    before = files_of(server)
    job = ended(clients["a"], send(clients["a"], data, name))
    assert job["state"] == "failed"
    (failure,) = job["documents"]["failed"]
    assert failure["name"] == name
    assert "PDF" in failure["reason"] or "PNG" in failure["reason"]
    assert str(server.folder) not in failure["reason"]
    assert files_of(server) == before
    assert not uploads(server).collection.workspace.catalog.failures()
    assert clients["a"].get(f"/v1/documents/{job['document_id']}").status_code == 404


def test_a_deleted_document_is_found_no_more_at_once(
    clients: dict[str, httpx.Client], server: Served
) -> None:
    job = ended(clients["a"], send(clients["a"], "The dunlin guards the weir."))
    document, question = f"/v1/documents/{job['document_id']}", "Who guards the weir?"
    asked = {"model": "ragwright/documents", "messages": [{"role": "user", "content": question}]}
    assert "dunlin" in clients["a"].post("/v1/chat/completions", json=asked).text
    trace = clients["a"].get("/v1/traces", params={"limit": 1}).json()["data"][0]["id"]
    assert "dunlin" in clients["a"].get(f"/v1/traces/{trace}").text
    before = files_of(server)
    answer = clients["a"].delete(document).json()
    assert (answer["deleted"], answer["file_deleted"]) == (True, True)
    assert not any("dunlin" in text for text in found(clients["a"], question))
    assert "dunlin" not in clients["a"].post("/v1/chat/completions", json=asked).text
    for path in ("", "/original", "/pages/1"):
        assert clients["a"].get(document + path).status_code == 404
    assert clients["a"].delete(document).status_code == 404
    assert len(before - files_of(server)) == 1
    for key in ("a", "root"):
        assert "dunlin" not in clients[key].get(f"/v1/traces/{trace}").text


def test_a_document_of_a_folder_can_be_deleted_and_its_file_stays(
    clients: dict[str, httpx.Client], server: Served
) -> None:
    listed = clients["root"].get("/v1/documents").json()["data"]
    ferry = next(each for each in listed if each["source"].endswith("ferry.txt"))
    assert clients["root"].delete(f"/v1/documents/{ferry['id']}").json()["file_deleted"] is False
    assert (server.folder.parent / "docs/mail/ferry.txt").is_file()
    assert clients["root"].get(f"/v1/documents/{ferry['id']}").status_code == 404


@pytest.mark.slow
def test_searches_go_on_while_files_are_ingested_and_deleted(clients: dict[str, httpx.Client]) -> None:
    """R-08: no search fails, and every one of them finds what was there all the time."""
    stopped, failures, asked = threading.Event(), [], 0

    def ask() -> None:
        nonlocal asked
        while not stopped.is_set():
            answer = clients["root"].post("/v1/retrieve", json={"query": "tide gate key harbour"})
            asked += 1
            if answer.status_code != 200 or "harbour master" not in answer.text:
                failures.append(answer.text)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for each in threads:
        each.start()
    for number in range(2):
        text = "\n\n".join(f"Ship {number} of {line} carries stone {line}." for line in range(100))
        job = ended(clients["b"], send(clients["b"], text))
        assert job["state"] == "done"
        assert clients["b"].delete(f"/v1/documents/{job['document_id']}").status_code == 200
    stopped.set()
    for each in threads:
        each.join()
    assert asked > 5
    assert not failures, failures[0]


def test_what_a_killed_server_left_is_deleted_at_the_next_start(tmp_path: Path) -> None:
    files = UploadFiles(tmp_path / "uploads")
    with files.incoming() as incoming:
        incoming.file.write(b"known")
        known = files.keep(incoming, access=Access("a"), digest="1" * 64, name="a.md")
    (known.parent / "unknown.md").write_text("half", encoding="utf-8")
    (files.folder / ".incoming-abc").write_text("half", encoding="utf-8")
    outside = tmp_path / "outside"
    outside.write_text("stays", encoding="utf-8")
    (known.parent / "link").symlink_to(outside)
    assert len(files.clean({known}, older_than=3600)) == 0
    assert len(files.clean({known})) == 3
    assert known.read_bytes() == b"known"
    assert outside.read_text(encoding="utf-8") == "stays"
    assert not files.remove(outside), "only uploaded files are ever deleted"


def test_a_name_in_two_normal_forms_is_shown_as_one() -> None:
    assert shown_name("e\u0301.txt") == shown_name("é.txt") == "é.txt"
    assert stored_name(Access("a"), digest="1", name="x.exe") == stored_name(
        Access("a"), digest="1", name="x"
    )
    assert len({stored_name(Access(t, g), digest="1", name="x") for t in "ab" for g in ((), ("c",))}) == 4


def test_jobs_are_listed_newest_first_for_their_own_key(clients: dict[str, httpx.Client]) -> None:
    ended(clients["a"], send(clients["a"], "The eider is last."))
    listed = clients["a"].get("/v1/documents/jobs", params={"limit": 2}).json()
    assert len(listed["data"]) == 2
    assert listed["data"][0]["created"] >= listed["data"][1]["created"]
    assert clients["reader"].get("/v1/documents/jobs").json()["data"] == []


def test_a_key_has_so_many_files_waiting_and_another_may_still_send(server: Served, tmp_path: Path) -> None:
    """What is refused leaves no file behind."""
    kept = Observations(tmp_path / FILE_NAME, traces=0)
    workspace = uploads(server).collection.workspace
    jobs = UploadJobs(
        workspace, UploadFiles(tmp_path), collection="documents", kept=kept.jobs, told=lambda _: None
    )
    jobs.close(seconds=0)  # nothing runs: every job stays open

    def job(caller: str, number: int) -> Job:
        return waiting(tmp_path / caller / f"{number}.md", caller)

    for number in range(MOST_OPEN_OF_KEY):
        jobs.add(job("a", number))
    last = job("a", MOST_OPEN_OF_KEY)
    with pytest.raises(HttpError, match=f"{MOST_OPEN_OF_KEY} files of this key wait") as refused:
        jobs.add(last)
    assert (refused.value.status, refused.value.code) == (429, "too_many_uploads")
    assert not last.file.path.exists()
    jobs.add(job("b", 0))
    assert jobs.open() == MOST_OPEN_OF_KEY + 1
    kept.close()
    lost = job("b", 1)
    with pytest.raises(ServiceError):
        jobs.add(lost)
    assert not lost.file.path.exists(), "a job that would be forgotten is none"


def waiting(path: Path, caller: str, document_id: str = "") -> Job:
    """A job whose file lies there."""
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("x")
    file = SourceFile(path, str(path), path.name)
    return Job(file, Access(caller), caller, document_id or f"{caller} {path.stem}", 1)


@pytest.mark.slow  # two servers; those below are quick
def test_a_job_is_known_after_the_server_s_end_and_one_that_it_interrupted_says_so(
    new_config: Callable[[], Config], tmp_path: Path
) -> None:
    config = new_config()
    with serving(config) as running, running.client() as client:
        done = ended(client, send(client, "The whimbrel whistles.", "bird.md"))
        broken = ended(client, send(client, b"%PDF-1.4 broken", "broken.pdf"))
        kept: Observations = running.app.state.observations
        stopped = waiting(tmp_path / "stopped.md", "local")
        whole = waiting(tmp_path / "whole.md", "local", done["document_id"])
        elsewhere = waiting(tmp_path / "elsewhere.md", "other")
        for each in (stopped, whole, elsewhere):
            each.state = "running"
            kept.jobs.add(each, collection="documents")  # as if killed before it could say how it ended
    began = time.time()
    with serving(config) as running:
        owner, other = running.key("root", admin=True), running.key("other")
        with running.client(owner) as client, running.client(other) as stranger:
            for job in (done, broken):
                assert client.get(f"/v1/documents/jobs/{job['id']}").json() == job
            told = client.get(f"/v1/documents/jobs/{stopped.id}").json()
            assert (told["state"], told["stage"]) == ("failed", "ended")
            assert told["documents"]["failed"][0]["reason"].endswith("; upload it again")
            assert began <= told["ended"] <= time.time()
            told = client.get(f"/v1/documents/jobs/{whole.id}").json()
            assert (told["state"], told["documents"]["added"]) == ("done", [done["document_id"]])
            listed = client.get("/v1/documents/jobs").json()["data"]
            ids = [elsewhere.id, whole.id, stopped.id, broken["id"], done["id"]]
            assert [each["id"] for each in listed] == ids
            for name in (*ids, "f" * 32):
                assert stranger.get(f"/v1/documents/jobs/{name}").status_code == 404
            assert stranger.get("/v1/documents/jobs").json()["data"] == []
            assert client.delete(f"/v1/documents/{done['document_id']}").status_code == 200
            for name in (done["id"], whole.id):  # they tell its name
                assert client.get(f"/v1/documents/jobs/{name}").status_code == 404


def test_of_a_job_that_was_interrupted_the_catalog_knows_what_became(server: Served, tmp_path: Path) -> None:
    """Its server died before it could say so."""
    workspace = uploads(server).collection.workspace
    there = next(iter(workspace.catalog.names()))
    kept = Observations(tmp_path / FILE_NAME, traces=0)
    stopped, whole = waiting(tmp_path / "s.md", "a"), waiting(tmp_path / "w.md", "a", there)
    for each in (stopped, whole):
        kept.jobs.add(each, collection="documents")
    jobs = UploadJobs(
        workspace, UploadFiles(tmp_path), collection="documents", kept=kept.jobs, told=lambda _: None
    )
    jobs.settle()
    told = jobs.record(stopped.id, LOCAL)
    assert told is not None
    assert (told["state"], told["stage"], told["documents"]["added"]) == ("failed", "ended", [])
    assert told["documents"]["failed"][0]["reason"].endswith("; upload it again")
    told = jobs.record(whole.id, LOCAL)
    assert told is not None
    assert (told["state"], told["documents"]["added"], told["documents"]["failed"]) == ("done", [there], [])
    assert [each["id"] for each in jobs.records(LOCAL, limit=9)] == [whole.id, stopped.id]
    kept.close()


def test_of_each_key_the_last_jobs_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_records, "_KEPT", 3)
    kept = Observations(tmp_path / FILE_NAME, traces=0)
    made = [waiting(tmp_path / "x" / f"{number}.md", "a") for number in range(5)]
    others = [waiting(tmp_path / "y" / "0.md", "b"), waiting(tmp_path / "z" / "0.md", "a")]
    kept.jobs.add(others[0], collection="documents")
    kept.jobs.add(others[1], collection="law")
    for each in made:
        kept.jobs.add(each, collection="documents")
    listed = kept.jobs.of(LOCAL, collection="documents", limit=9)
    assert [each["id"] for each in listed] == [*(job.id for job in reversed(made[2:])), others[0].id]
    assert kept.jobs.get(others[1].id, LOCAL, collection="law") is not None
    kept.close()


def test_beside_other_servers_only_old_jobs_are_taken_for_interrupted(tmp_path: Path) -> None:
    kept = Observations(tmp_path / FILE_NAME, traces=0)
    old, new = waiting(tmp_path / "old.md", "a"), waiting(tmp_path / "new.md", "a")
    old.created -= 100
    for each in (old, new):
        kept.jobs.add(each, collection="documents")
    now = time.time()
    kept.jobs.settle("documents", is_there=lambda _: False, before=now - 50, now=now)
    states = {each["id"]: each["state"] for each in kept.jobs.of(LOCAL, collection="documents", limit=9)}
    assert states == {old.id: "failed", new.id: "queued"}
    kept.close()


@pytest.mark.slow
def test_the_bytes_of_a_deleted_document_are_gone(new_config: Callable[[], Config]) -> None:
    """A-09: at once from catalog, traces, logs and uploads; from the engine's files once it is made anew."""
    config = new_config()
    canary = "qzxwvkjy"
    with serving(config) as running, running.client() as client:
        job = ended(client, send(client, f"The {canary} opens the sluice.", f"{canary}.md"))
        asked = {"messages": [{"role": "user", "content": "Who opens the sluice?"}]}
        assert canary in client.post("/v1/chat/completions", json=asked).text
        places = {path.relative_to(config.workspace).parts[0] for path in _holding(config.workspace, canary)}
        assert {"catalog.sqlite3-wal", "indexes", "uploads"} <= places, "the test would not see what stays"
        assert client.delete(f"/v1/documents/{job['document_id']}").status_code == 200
        until = time.monotonic() + 10
        while _outside_index(config, canary) and time.monotonic() < until:
            time.sleep(0.05)
        assert not _outside_index(config, canary)
    with writing(config, purpose="a test") as workspace:
        rebuild_index(workspace, Progress(Console(quiet=True)))
    assert not _holding(config.workspace, canary)


def _outside_index(config: Config, canary: str) -> list[Path]:
    return [each for each in _holding(config.workspace, canary) if "indexes" not in each.parts]


def _holding(folder: Path, canary: str) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if canary.encode() in path.read_bytes()]


def test_the_first_document_of_an_empty_workspace_can_be_uploaded(
    new_config: Callable[[], Config], tmp_path: Path
) -> None:
    config = with_settings(new_config(), {"workspace": tmp_path / "new" / ".ragwright"})
    with serving(config) as running, running.client() as client:
        assert client.get("/v1/documents").json()["data"] == []
        assert client.get(f"/v1/documents/{'0' * 24}").status_code == 404
        job = ended(client, send(client, "The bittern booms in the reeds."))
        assert job["state"] == "done"
        assert any("bittern" in text for text in found(client, "What booms in the reeds?"))
        assert client.delete(f"/v1/documents/{job['document_id']}").status_code == 200
        assert client.get("/v1/documents").json()["data"] == []


KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from ragwright.app.serve.observations import Observations
from ragwright.app.serve.opening import Named, opened
from ragwright.app.serve.receiving import Uploads
from ragwright.app.serve.multipart import Form
from ragwright.app.serve.values import LOCAL
from ragwright.core.config import Config, with_settings

workspace, cache, file = sys.argv[1:]
settings = {"workspace": Path(workspace), "encoder.cache": Path(cache), "encoder.threads": 1}
with opened([Named("documents", with_settings(Config(), settings))]) as collections:
    kept = Observations.in_folder(Path(workspace), traces=0)
    uploads = Uploads(collections.get(None), kept=kept.jobs, told=lambda counts: None)
    data = Path(file).read_bytes()
    with uploads.files.incoming() as incoming:
        incoming.file.write(data)
        job = uploads.accept(incoming, Form("long.md", "0" * 64, len(data)), LOCAL)
    print(job.id, flush=True)
    while job.chunks == 0:
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_server_that_is_killed_while_it_ingests_leaves_nothing_half(
    new_config: Callable[[], Config], tmp_path: Path
) -> None:
    config, file = new_config(), tmp_path / "long.md"
    lines = (f"Barge {number} carries {number * 7} bales of wool." for number in range(3000))
    file.write_text("\n\n".join(lines), encoding="utf-8")
    arguments = [str(config.workspace), str(config.encoder.cache), str(file)]
    command = [sys.executable, "-c", KILLED, *arguments]
    killed = subprocess.run(command, check=False, timeout=120, stdout=subprocess.PIPE, text=True)
    assert killed.returncode == -signal.SIGKILL
    assert list((config.workspace / "uploads").rglob("*.md")), "the killed server kept its file"
    with serving(config) as running, running.client() as client:
        assert files_of(running) == set()
        interrupted = client.get(f"/v1/documents/jobs/{killed.stdout.strip()}").json()
        assert "upload it again" in interrupted["documents"]["failed"][0]["reason"]
        listed = client.get("/v1/documents").json()["data"]
        assert len(listed) == 3
        assert "harbour master" in client.post("/v1/retrieve", json={"query": "key of the tide gate"}).text
        assert not any("Barge" in text for text in found(client, "Barge 12 bales of wool"))
        job = ended(client, send(client, "The smew crosses after the storm."))
        assert job["state"] == "done"
    with reading(config, purpose="a test", console=Console(quiet=True)) as workspace:
        version, manifest = workspace.live()
        assert list(examine(workspace.catalog, workspace.open_index(version, manifest), version)) == []
