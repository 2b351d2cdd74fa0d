"""Rights at the command line: whose documents are, who may see them, and looking through a caller's eyes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.app.conftest import copy, encoder_settings
from typer.testing import CliRunner, Result

from ragwright.app.cli import app

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Path:
    """A document that is nobody's in particular, and one file of two tenants, of one for groups alone."""
    folder = tmp_path_factory.mktemp("tenants")
    (folder / "open.md").write_text("# Tides\n\nThe tide gate opens at dawn.\n", encoding="utf-8")
    (folder / "gate.md").write_text("# Gates\n\nThe tide gate is closed at night.\n", encoding="utf-8")
    for name, *rights in (
        ["open.md"],
        ["gate.md", "--tenant", "acme", "--group", "hr", "--group", "board"],
        ["gate.md", "--tenant", "globex"],
    ):
        given = ["ingest", str(folder / name), "--workspace", str(folder / ".ragwright"), *rights]
        done = CliRunner(env=encoder_settings(model_cache)).invoke(app, given)
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def tenants(folder: Path, brought: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is that of these documents; tests only read it."""
    monkeypatch.chdir(brought)


@pytest.fixture
def own_tenants(folder: Path, brought: Path, encoder: Path) -> None:
    """The current folder is a copy of it."""
    for each in brought.iterdir():
        copy(each, folder)


def _found(run: Run, *arguments: str) -> list[dict[str, Any]]:
    shown = run("search", "tide gate", "--json", *arguments)
    assert shown.exit_code == 0, shown.output
    hits: list[dict[str, Any]] = json.loads(shown.stdout)["hits"]
    return hits


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize(
    ("caller", "sources", "places"),
    [
        ([], {"open.md", "gate.md"}, 1),
        (["--tenant", "globex"], {"gate.md"}, 0),
        (["--tenant", "acme"], set(), 0),
        (["--tenant", "acme", "--group", "hr"], {"gate.md"}, 0),
        (["--tenant", "acme", "--group", "sales", "--group", "board"], {"gate.md"}, 0),
        (["--tenant", ""], {"open.md"}, 0),
        (["--group", "hr"], {"open.md"}, 0),
        (["--tenant", "ACME", "--group", "hr"], set(), 0),
        (["--tenant", "*", "--group", "*"], set(), 0),
        (["--tenant", "acme", "--filter", "tenant=globex"], set(), 0),
    ],
)
def test_search_shows_what_a_caller_would_see_and_the_owner_everything(
    run: Run, caller: list[str], sources: set[str], places: int
) -> None:
    hits = _found(run, *caller)
    assert {hit["source"] for hit in hits} == sources
    assert sum(len(hit["duplicates"]) for hit in hits) == places


@pytest.mark.usefixtures("tenants")
def test_ask_answers_from_what_a_caller_may_see(run: Run) -> None:
    question = "When is the tide gate closed?"
    assert "closed at night" in run("ask", question, "--tenant", "globex").stdout
    for caller in (["--tenant", "acme"], ["--tenant", ""]):
        shown = run("ask", question, *caller)
        assert (shown.exit_code, "night" in shown.stdout) == (0, False), shown.output


@pytest.mark.usefixtures("own_tenants")
def test_other_rights_are_an_update_and_a_dry_run_tells_it(run: Run) -> None:
    arguments = ["gate.md", "--tenant", "globex", "--group", "board"]
    planned = json.loads(run("ingest", *arguments, "--dry-run", "--json").stdout)
    assert planned["update"] == planned["rights"] == ["gate.md"]
    done = run("ingest", *arguments, "--json")
    assert json.loads(done.stdout)["updated"] == 1
    assert _found(run, "--tenant", "globex") == []
    assert len(_found(run, "--tenant", "globex", "--group", "board")) == 1
    assert json.loads(run("ingest", *arguments, "--json").stdout)["skipped"] == 1


@pytest.mark.usefixtures("own_tenants")
def test_forgetting_a_source_forgets_it_for_every_tenant(run: Run) -> None:
    """What the owner removes is gone, whoever brought it."""
    assert "2 documents" in run("forget", "gate.md").stderr
    assert [hit["source"] for hit in _found(run)] == ["open.md"]


def test_rights_come_from_settings_as_well(folder: Path, encoder: Path, run: Run) -> None:
    (folder / "ragwright.toml").write_text('[ingest]\ntenant = "acme"\ngroups = ["hr"]\n', encoding="utf-8")
    (folder / "gate.md").write_text("The tide gate is closed.\n", encoding="utf-8")
    assert run("ingest", "gate.md").exit_code == 0
    assert _found(run, "--tenant", "acme") == []
    assert len(_found(run, "--tenant", "acme", "--group", "hr")) == 1


@pytest.mark.parametrize(
    ("option", "name"), [("--group", "*"), ("--group", ""), ("--tenant", "*"), ("--tenant", "a\nb")]
)
def test_a_name_that_cannot_be_used_is_refused_before_anything_is_made(
    folder: Path, run: Run, option: str, name: str
) -> None:
    (folder / "gate.md").write_text("The tide gate is closed.\n", encoding="utf-8")
    refused = run("ingest", "gate.md", option, name)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"error: command line: the {option[2:]} {name!a} cannot be used; wanted" in refused.stderr
    assert not (folder / ".ragwright").exists()


@pytest.mark.usefixtures("tenants")
def test_doctor_and_status_work_with_tenants(run: Run) -> None:
    assert run("doctor").exit_code == 0
    shown = json.loads(run("status", "--json", "--documents").stdout)
    assert (shown["counts"]["documents"], shown["documents"]) == (3, ["gate.md", "open.md"])
