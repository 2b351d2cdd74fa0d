"""The page: its files and the headers they are served with. `page/` holds what a browser shows of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from tests.app.serve.serving import Served

from ragwright.app.serve.page import POLICY, page_files

KIBIBYTES = 1000  # of a hundred; the smaller of both meanings of KB


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as talking:
        yield talking


def test_all_files_together_are_under_100_kilobytes() -> None:
    assert sum(len(file.body) for file in page_files().values()) < 100 * KIBIBYTES
    assert {"index.html", "main.js", "page.css", "icon.svg"} <= set(page_files())


def test_markup_holds_no_script_style_or_handler_of_its_own() -> None:
    html = page_files()["index.html"].body.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+\s*=|javascript:|<script(?![^>]*\ssrc=)", html)
    assert not re.search(r"(?:src|href)=\"(?!/page/|#)", html)


def test_no_file_names_another_origin_or_makes_markup_of_text() -> None:
    for name, file in page_files().items():
        text = file.body.decode()
        namespaces = {"http://www.w3.org/2000/svg"}
        assert set(re.findall(r"https?://[\w.-]+\.\w+[\w./]*", text)) <= namespaces, name
        never = (
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|@import"
        )
        assert not re.search(never, text), name


def test_scripts_import_only_files_that_are_served() -> None:
    for name, file in page_files().items():
        named = re.findall(r"(?:from|import) \"\./([^\"]+)\"", file.body.decode())
        named += re.findall(r"(?:src|href)=\"/page/([^\"]+)\"", file.body.decode())
        assert set(named) <= set(page_files()), name


@pytest.mark.parametrize(
    "path", ["/", "/documents/abc?start=3&end=9", "/traces/abc", "/page/main.js", "/favicon.ico"]
)
def test_files_are_served_under_the_strict_policy(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"):
        assert part in POLICY
    assert "unsafe" not in POLICY and "*" not in POLICY
    wanted = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
    }
    assert {name: answer.headers[name] for name in wanted} == wanted
    assert "set-cookie" not in answer.headers


def test_a_file_that_is_known_is_not_sent_again(client: httpx.Client) -> None:
    for path in ("/", "/page/main.js"):
        first = client.get(path)
        etag = first.headers["etag"]
        assert re.fullmatch(r'"[0-9a-f]{32}"', etag) and first.headers["cache-control"] == "no-cache"
        again = client.get(path, headers={"if-none-match": f'"other", {etag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200
    assert client.get("/").headers["etag"] != client.get("/page/main.js").headers["etag"]


def test_head_says_what_get_would(client: httpx.Client) -> None:
    head, whole = client.head("/page/page.css"), client.get("/page/page.css")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    "name",
    ["nothing.js", "..%2fpage.py", "%2e%2e/page.py", "..%5cpage.py", "main.js%00", "MAIN.JS", "a/b.js"],
)
def test_no_other_file_is_served(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/page/{name}")
    assert answer.status_code == 404 and b"import" not in answer.content
