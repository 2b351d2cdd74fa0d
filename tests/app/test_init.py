"""`ragwright init`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from ragwright.core.config import Config, default_toml, load_config

Run = Callable[..., Result]


def test_init_writes_the_default_file_and_says_the_next_step(folder: Path, run: Run) -> None:
    result = run("init")
    assert (result.exit_code, result.stdout) == (0, "wrote ragwright.toml; nothing in it has to be changed\n")
    assert "ragwright ingest" in result.stderr
    assert (folder / "ragwright.toml").read_text(encoding="utf-8") == default_toml()
    assert load_config(flags={}, file=None, environ={}).config == Config()


def test_init_overwrites_only_with_force(folder: Path, run: Run) -> None:
    (folder / "ragwright.toml").write_text("mine", encoding="utf-8")
    result = run("init")
    assert result.exit_code == 1
    assert "use --force" in result.stderr
    assert (folder / "ragwright.toml").read_text(encoding="utf-8") == "mine"
    assert run("init", "--force", "--quiet").exit_code == 0
    assert (folder / "ragwright.toml").read_text(encoding="utf-8") == default_toml()


def test_init_writes_elsewhere_and_keeps_a_chosen_workspace(folder: Path, run: Run) -> None:
    (folder / "settings").mkdir()
    place = Path("settings") / "own.toml"
    result = run("init", "--config", str(place), "--workspace", "data", "--json")
    assert json.loads(result.stdout) == {"file": str(place)}
    loaded = load_config(flags={}, file=place, environ={})
    assert loaded.config.workspace == folder / "data"


@pytest.mark.parametrize("place", ["missing/ragwright.toml", "."])
def test_init_says_why_it_cannot_write(run: Run, place: str) -> None:
    result = run("init", "--force", "--config", place)
    assert result.exit_code == 1
    assert f"{Path(place)} cannot be written" in result.stderr


def test_init_refuses_a_workspace_that_toml_cannot_hold(folder: Path, run: Run) -> None:
    result = run("init", "--workspace", "\udcff")
    assert result.exit_code == 1
    assert "not UTF-8" in result.stderr
    assert not (folder / "ragwright.toml").exists()


def test_init_works_beside_settings_that_are_broken(folder: Path, run: Run) -> None:
    (folder / "ragwright.toml").write_text("broken =", encoding="utf-8")
    assert run("init", "--force").exit_code == 0
