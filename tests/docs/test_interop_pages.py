"""What the pages on LlamaIndex and MCP show, works as they show it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from tests.app.conftest import MAIN, encoder_settings, loaded_once
from typer.testing import CliRunner

from ragwright.app.cli import app

ROOT = Path(__file__).parents[2]


def _blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def settings(model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment holds the encoder's settings and no other."""
    for name in [name for name in os.environ if name.startswith("RAGWRIGHT_")]:
        monkeypatch.delenv(name)
    given = encoder_settings(model_cache)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


@pytest.mark.slow
def test_the_examples_for_llamaindex_run_one_after_the_other(
    tmp_path: Path,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("ragwright.retrieval.encoder.load_encoder", loaded_once)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/ferry.md").write_text("# Ferry\n\nThe ferry leaves at seven. The paint is blue.\n")
    (tmp_path / "notes/pump.txt").write_text("The pump has a pressure of 12 bar.\n")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = []
    for block in _blocks("llama_index.md", "python"):
        exec(compile(block, "docs/llama_index.md", "exec"), names)
        shown.append(capfd.readouterr().out)
    assert shown[0] == "2 0 0\n"
    assert "The ferry leaves at seven." in shown[1]
    assert "Ferry" in shown[2] and "384" in shown[2]


@pytest.mark.slow
def test_the_entry_for_assistants_and_the_client_of_the_page_work(
    tmp_path: Path,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(ROOT / "demo/documents/manuals", tmp_path / "manuals")
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["ingest", "manuals"]).exit_code == 0
    [entry] = _blocks("mcp.md", "json")
    server = json.loads(entry)["mcpServers"]["ragwright"]
    assert server["command"] == "ragwright"
    arguments = [str(tmp_path / ".ragwright") if each.startswith("/") else each for each in server["args"]]

    def program(command: str, args: list[str]) -> StdioServerParameters:
        assert command == "ragwright"
        whole = ["-c", MAIN, *args]
        return StdioServerParameters(command=sys.executable, args=whole, env=dict(os.environ))

    async def ask() -> None:
        async with Client(program("ragwright", arguments)) as client:
            assert {each.name for each in (await client.list_tools()).tools} >= {"search", "fetch"}

    asyncio.run(ask())
    monkeypatch.setattr("mcp.StdioServerParameters", program)
    [example] = _blocks("mcp.md", "python")
    exec(compile(example, "docs/mcp.md", "exec"), {})
    assert "K3-2305-01" in capfd.readouterr().out
