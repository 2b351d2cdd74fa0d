"""`ragwright config show`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from ragwright.core.config import settings

Run = Callable[..., Result]


def rows(result: Result) -> dict[str, list[str]]:
    assert result.exit_code == 0, result.output
    return {cells[0]: cells[1:] for cells in (line.split() for line in result.stdout.splitlines())}


def test_every_setting_is_shown_with_its_value(run: Run) -> None:
    shown = rows(run("config", "show"))
    assert set(shown) == {"setting", *settings()}
    assert shown["search.limit"] == ["10"]
    assert shown["chunk.tokens"] == ["unset"]
    assert shown["ingest.prune"] == ["true"]
    assert shown["ingest.exclude"] == [".git,", "node_modules,", "__pycache__,", ".venv"]


def test_origin_tells_flag_variable_line_or_default(folder: Path, run: Run) -> None:
    (folder / "ragwright.toml").write_text("[search]\nlimit = 3\n", encoding="utf-8")
    result = run("config", "show", "--origin", "--workspace", "w", RAGWRIGHT_INGEST__JOBS="2")
    shown = rows(result)
    assert shown["workspace"] == ["w", "command", "line"]
    assert shown["ingest.jobs"] == ["2", "RAGWRIGHT_INGEST__JOBS"]
    assert shown["search.limit"] == ["3", "ragwright.toml:2"]
    assert shown["answer.spans"] == ["5", "default"]


def test_secrets_are_masked_in_text_and_in_json(run: Run) -> None:
    environment = {
        "RAGWRIGHT_INDEX__API_KEY": "s3cret",
        "RAGWRIGHT_INDEX__URL": "https://:s3cret@host",
        "RAGWRIGHT_CATALOG__URL": "postgresql://me:s3cr%2Fet@host/s3",
    }
    for option in ([], ["--json"], ["--origin"]):
        result = run("config", "show", *option, **environment)
        assert result.exit_code == 0
        assert "s3cr" not in result.output
        assert "postgresql://me:********@host/s3" in result.output
        assert "https://:********@host" in result.output


def test_json_holds_value_layer_and_place(folder: Path, run: Run) -> None:
    (folder / "ragwright.toml").write_text('domain = "legal"', encoding="utf-8")
    document = json.loads(run("config", "show", "--json").stdout)
    assert document["file"] == "ragwright.toml"
    assert list(document["settings"]) == list(settings())
    assert document["settings"]["domain"] == {
        "value": "legal",
        "layer": "file",
        "where": "ragwright.toml:1",
    }
    assert document["settings"]["search.budget"]["value"] is None


def test_file_of_a_folder_above_is_used(folder: Path, run: Run) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "own.toml").write_text("search.limit = 4", encoding="utf-8")
    shown = rows(run("config", "show", "--config", "sub/own.toml", "--origin"))
    assert shown["search.limit"] == ["4", "sub/own.toml:1"]
    assert shown["workspace"] == [str(folder / "sub" / ".ragwright"), "default"]


def test_wrong_setting_ends_with_1_and_its_place(run: Run) -> None:
    result = run("config", "show", RAGWRIGHT_SEARCH__LIMIT="0")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: RAGWRIGHT_SEARCH__LIMIT: search.limit is 0; wanted a whole number from 1 to 1000\n"
    )
