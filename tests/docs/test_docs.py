"""The project's words: what the Markdown files say is true of the code."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from tests.app.conftest import encoder_settings, loaded_once
from typer.testing import CliRunner

from ragwright.app.cli import app
from ragwright.core.config import settings
from ragwright.core.profile import load_profile

ROOT = Path(__file__).parents[2]
STAGES = ("core", "ingest", "retrieval", "generation", "finetune", "eval", "app")
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md"))
    if not path.relative_to(ROOT).parts[0].startswith((".", "build", "dist"))
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`(?:[A-Z_]+=\S+ )?(ragwright [a-z][^`]*)`")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(page: Path, language: str) -> list[str]:
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [body for kind, body in found if kind == language]


def _anchors(page: Path) -> set[str]:
    """The anchors that a forge gives to a page's headings."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{_name(page)} links to {target}"
        assert not anchor or anchor in _anchors(place), f"{_name(page)} links to {target}"


def _commands() -> list[tuple[str, str]]:
    """Every `ragwright` command in a block or between backticks, with the page it stands on."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [
            line for body in (*_blocks(page, "sh"), *_blocks(page, "text")) for line in body.splitlines()
        ]
        shown = [re.match(r"(?:> )?(?:[A-Z_]+=\S+ )?(ragwright .*)", line) for line in lines]
        inline = _INLINE.findall(_FENCE.sub("", text))
        found += [(_name(page), line) for line in (*(match[1] for match in shown if match), *inline)]
    return found


@cache
def _program() -> Any:
    """The program's command line; making it takes as long as reading a hundred lines."""
    return typer.main.get_command(app)


@cache
def _tests() -> set[str]:
    """Names of all tests."""
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for page in pages for name in re.findall(r"^def (test_\w+)\(", page, re.MULTILINE)}


def _parse(arguments: list[str]) -> None:
    """Parse a command line as the program would, without running it."""
    group: Any = _program()
    context = group.make_context("ragwright", list(arguments), resilient_parsing=False)
    rest = [*context._protected_args, *context.args]
    while rest:
        name, command, rest = group.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
        if not hasattr(command, "resolve_command"):
            return
        group, rest = command, [*context._protected_args, *context.args]


@pytest.mark.parametrize(("page", "line"), _commands())
def test_every_command_line_is_understood(page: str, line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    named_alone = "`" not in line and _is_name(arguments)
    try:
        _parse(arguments)
    except Exception as error:  # noqa: BLE001 - typer's own error classes have no public name
        # A command that is only named needs no arguments.
        assert named_alone, f"{page}: {line}: {error}"
        assert type(error).__name__ in ("MissingParameter", "NoArgsIsHelpError"), f"{page}: {line}: {error}"


def _is_name(arguments: list[str]) -> bool:
    """Whether these are the name of a command or of a group, and nothing else."""
    commands: Any = _program()
    for name in arguments:
        if name not in getattr(commands, "commands", {}):
            return False
        commands = commands.commands[name]
    return True


def test_a_wrong_command_line_is_noticed() -> None:
    for wrong in (["search", "words", "--nothing"], ["serve", "--nothing"], ["config", "hide"], ["ask"]):
        with pytest.raises(Exception, match=r"."):
            _parse(wrong)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_test_and_make_target_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in set(re.findall(r"`(test_\w+)`", text)):
        is_setting = any(key.endswith(f".{name}") for key in settings())
        assert is_setting or name in _tests(), f"{_name(page)} names {name}"
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for name in set(re.findall(r"(?:^|`)make ([\w-]+)", text, re.MULTILINE)):
        assert name in targets, f"{_name(page)} names make {name}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_page_lists_every_module_and_no_other(stage: str) -> None:
    folder = ROOT / stage / "ragwright" / stage
    modules = {path for path in folder.rglob("*.py") if path.name != "__init__.py"}
    page = ROOT / stage / "README.md"
    rows = re.findall(r"^\| \[[^\]]+\]\(([^)]+\.py)\)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert {page.parent / row for row in rows} == modules


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "docs_make_configuration", ROOT / "docs/make_configuration.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_settings_is_up_to_date() -> None:
    """Else run: python docs/make_configuration.py."""
    script = _script()
    written = script.PAGE.read_text(encoding="utf-8")
    assert script.page(written) == written


def test_a_page_of_settings_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="does not hold both marks"):
        _script().page("# Configuration\n")


def test_the_shown_profile_can_be_loaded(tmp_path: Path) -> None:
    [profile] = _blocks(ROOT / "docs/domains.md", "toml")
    (tmp_path / "depot.toml").write_text(profile, encoding="utf-8")
    assert load_profile(str(tmp_path / "depot.toml")).tokens == 160


def test_the_shown_settings_can_be_loaded(tmp_path: Path) -> None:
    from ragwright.core.config import load_config

    [shown] = _blocks(ROOT / "docs/configuration.md", "toml")
    (tmp_path / "ragwright.toml").write_text(shown, encoding="utf-8")
    assert load_config(flags={}, file=tmp_path / "ragwright.toml", environ={}).config.search.limit == 20


def test_the_python_of_the_readme_runs_on_the_demo(
    tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the manual that holds the answer; the whole demo is `make demo`."""
    [example] = _blocks(ROOT / "README.md", "python")
    (tmp_path / "documents").mkdir()
    shutil.copy(ROOT / "demo/documents/manuals/kestrel-330-bogie-manual.md", tmp_path / "documents")
    for name in [name for name in os.environ if name.startswith("RAGWRIGHT_")]:
        monkeypatch.delenv(name)
    for name, value in encoder_settings(model_cache).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("ragwright.retrieval.encoder.load_encoder", loaded_once)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["ingest", "documents"])
    assert done.exit_code == 0, done.output
    exec(compile(example, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    assert "documents/kestrel-330-bogie-manual.md" in shown
    assert "The cover seal is K3-2305-01" in shown
