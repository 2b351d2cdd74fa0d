"""What is found under paths, what is left out, and under which names."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.ingest.discover import Discovery, discover, path_of, source_of


def _sources(discovery: Discovery) -> list[str]:
    return [file.source for file in discovery.files]


def _write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Some text.")


def test_files_are_found_in_order_of_their_sources(tmp_path: Path) -> None:
    _write(tmp_path, "b.md", "a/z.txt", "a/b/c.html", "README", "x.unknown")
    found = discover([tmp_path], project=tmp_path)
    assert _sources(found) == ["README", "a/b/c.html", "a/z.txt", "b.md"]
    assert found.unsupported == ("x.unknown",)
    assert found.problems == {}


def test_paths_that_overlap_give_each_file_once(tmp_path: Path) -> None:
    _write(tmp_path, "docs/a.md", "docs/b.bin")
    paths = [
        tmp_path / "docs",
        tmp_path / "docs/a.md",
        tmp_path / "docs" / ".." / "docs",
        tmp_path / "docs/b.bin",
    ]
    found = discover(paths, project=tmp_path)
    assert _sources(found) == ["docs/a.md", "docs/b.bin"]
    assert found.unsupported == ()  # named itself, so it is tried


@pytest.mark.parametrize("first_named", [True, False])
def test_a_dangling_link_is_one_problem_or_one_file(first_named: bool, tmp_path: Path) -> None:
    (tmp_path / "gone.md").symlink_to("nowhere")
    paths = [tmp_path / "gone.md", tmp_path] if first_named else [tmp_path, tmp_path / "gone.md"]
    found = discover(paths, project=tmp_path)
    assert (_sources(found), found.problems) == (["gone.md"], {})
    found = discover([tmp_path], project=tmp_path)
    assert found.problems == {"gone.md": "the file cannot be read: No such file or directory"}


def test_what_is_no_file_does_not_block_and_link_loops_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "a.md")
    os.mkfifo(tmp_path / "pipe.md")
    listening = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)
    listening.bind("socket.md")
    (tmp_path / "self.md").symlink_to("self.md")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "up").symlink_to("..")
    found = discover([tmp_path], project=tmp_path)
    listening.close()
    assert _sources(found) == ["a.md"]
    assert found.unsupported == ("pipe.md", "socket.md")
    assert list(found.problems) == ["self.md"]


def test_a_file_is_known_by_its_real_place_whatever_links_lead_to_it(tmp_path: Path) -> None:
    _write(tmp_path, "real/a.md")
    (tmp_path / "alias").symlink_to("real")
    (tmp_path / "zoo").symlink_to("real")
    assert _sources(discover([tmp_path], project=tmp_path)) == ["real/a.md"]


def test_hidden_and_excluded_names_and_the_workspace_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, ".hidden/a.md", ".b.md", "c.md", "build/d.md", "e.tmp.md", "state/model.xml")
    found = discover([tmp_path], project=tmp_path, exclude=["build", "*.tmp.*"], workspace=tmp_path / "state")
    assert _sources(found) == ["c.md"]
    everything = discover([tmp_path], project=tmp_path, include_hidden=True)
    assert {".hidden/a.md", ".b.md"} < set(_sources(everything))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("https://example.org/a.pdf", r"^https://example\.org/a\.pdf is a URL"),
        ("file:///home/a.pdf", "^file:///home/a.pdf is a URL"),
        ("absent.md", "does not exist"),
        ("x" * 4000, "does not exist"),
    ],
)
def test_a_path_that_cannot_be_ingested_is_refused_with_a_reason(
    name: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        discover([Path(name)], project=tmp_path)


@given(st.binary(min_size=1, max_size=30).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_every_file_name_has_a_source_of_its_own_that_leads_back(name: bytes) -> None:
    project, path = Path("/project"), Path("/project") / os.fsdecode(name)
    if path.name in ("", "..", "project"):
        return
    source = source_of(path, project)
    assert source.encode().decode() == source
    assert path_of(source, project) == path


def test_a_source_outside_the_project_is_absolute(tmp_path: Path) -> None:
    assert source_of(Path("/elsewhere/a.md"), tmp_path) == "/elsewhere/a.md"
    assert path_of("/elsewhere/a.md", tmp_path) == Path("/elsewhere/a.md")


def test_nothing_below_an_unread_folder_counts_as_deleted(tmp_path: Path) -> None:
    found = Discovery((), roots=("docs",), unread=("docs/locked",), project=tmp_path)
    assert found.deletes("docs/a.md")
    assert not found.deletes("docs/locked/a.md")
    assert not found.deletes("docs2/a.md")
    everything = Discovery((), roots=(".",), project=tmp_path)
    assert everything.deletes("a.md")
    assert not everything.deletes("/elsewhere/a.md")
    (tmp_path / "a.md").write_text("passed over, but there")
    assert not everything.deletes("a.md")
