"""The frame of the command line: help, exit codes, and the door through which errors leave."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner, Result

from ragwright.app.cli import add
from ragwright.app.door import door
from ragwright.app.session import Options, open_session
from ragwright.core.errors import InputError, MissingExtra

Process = Callable[..., subprocess.CompletedProcess[str]]


def test_help_lists_commands_and_exit_codes(run: Callable[..., Result]) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for text in ("init", "config", "130  interrupted", "3    a bug in Ragwright", "--version"):
        assert text in result.output


def test_every_command_has_the_common_options(run: Callable[..., Result]) -> None:
    for command in (["init"], ["config", "show"]):
        output = run(*command, "--help").output
        assert all(name in output for name in ("--config", "--workspace", "--json", "--quiet"))


def test_wrong_usage_ends_with_2_and_a_suggestion(run: Callable[..., Result]) -> None:
    assert run("init", "--nothing").exit_code == 2
    result = run("inti")
    assert result.exit_code == 2
    assert "init" in result.stderr


def test_help_and_version_load_nothing_heavy(run_process: Process) -> None:
    code = """
import sys
from ragwright.app.cli import main
try:
    main()
except SystemExit as end:
    heavy = {'pydantic', 'rich', 'numpy', 'torch', 'openvino', 'sqlalchemy', 'qdrant_edge', 'unstructured'}
    print(end.code, sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    for option in ("--help", "--version"):
        command = [sys.executable, "-c", code, option]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr == "0 []\n"
    assert run_process("--version").stdout.startswith("ragwright ")


def test_added_command_gets_options_and_its_own_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[object] = []

    def find(
        options: Options, query: str, *, limit: Annotated[int | None, typer.Option("--limit", "-k")] = None
    ) -> int:
        """Find something."""
        session = open_session(options, flags={"search.limit": limit})
        seen.extend([query, session.config.search.limit, session.config.workspace, options.quiet])
        return 1

    group = typer.Typer(rich_markup_mode=None)
    group.callback()(lambda: None)
    add("find", find, to=group)
    arguments = ["find", "words", "-k", "7", "--quiet", "--workspace", "w"]
    assert CliRunner().invoke(group, arguments).exit_code == 1
    assert seen == ["words", 7, Path("w"), True]
    assert "Find something." in CliRunner().invoke(group, ["find", "--help"]).output


def failing(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


def test_error_the_user_can_mend_is_one_escaped_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert door(failing(InputError("no file a\x1b[31m")), options=Options(quiet=True)) == 1
    assert capsys.readouterr() == ("", "error: no file a\\x1b[31m\n")


def test_several_problems_stand_below_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert door(failing(InputError("one\ntwo")), options=Options()) == 1
    assert capsys.readouterr().err == "error: one\n       two\n"


def test_error_with_json_is_also_a_document_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert door(failing(MissingExtra("psycopg", "postgres")), options=Options(json=True)) == 1
    output = capsys.readouterr()
    message = (
        "psycopg is not installed; run in the checkout: "
        ".venv/bin/pip install --constraint constraints.txt '.[postgres]'"
    )
    assert json.loads(output.out) == {"error": {"type": "MissingExtra", "message": message}}
    assert output.err == f"error: {message}\n"


def test_bug_leaves_its_traceback_in_the_workspace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = folder / ".ragwright"
    workspace.mkdir()
    assert door(failing(ZeroDivisionError("a secret of the document")), options=Options()) == 3
    [log] = (workspace / "logs").iterdir()
    message = capsys.readouterr().err
    assert "this is a bug in Ragwright (ZeroDivisionError)" in message
    assert str(Path(".ragwright") / "logs" / log.name) in message
    assert "Python 3." in message
    assert "a secret of the document" not in message
    assert "ZeroDivisionError: a secret of the document" in log.read_text(encoding="utf-8")
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("settings", ["", "broken ="])
def test_bug_without_a_usable_workspace_is_logged_in_the_temporary_folder(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    (folder / "ragwright.toml").write_text(settings, encoding="utf-8")
    (folder / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder / "tmp"))
    assert door(failing(BrokenPipeError("a child died")), options=Options()) == 3
    assert [log.suffix for log in (folder / "tmp").iterdir()] == [".log"]
    assert not (folder / ".ragwright").exists()
    assert str(folder / "tmp") in capsys.readouterr().err


def test_interrupt_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert door(failing(KeyboardInterrupt()), options=Options()) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_interrupt_of_the_real_process_ends_with_130() -> None:
    code = """
import time, typer
from ragwright.app.cli import add
def wait(options: "ragwright.app.session.Options") -> int:
    print("ready", flush=True)
    time.sleep(30)
import ragwright.app.session
app = typer.Typer()
add("wait", wait, to=app)
app(prog_name="ragwright")
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (130, "interrupted\n")


def test_reader_that_has_gone_is_no_error() -> None:
    command = [sys.executable, "-c", "from ragwright.app.cli import main; main()", "config", "show"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_told(run_process: Process) -> None:
    with Path("/dev/full").open("w") as full:
        done = run_process("config", "show", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (
        1,
        "error: the output cannot be written: No space left on device\n",
    )


def test_terminal_that_is_not_utf8_gets_escapes(
    folder: Path, run_process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ragwright.toml").write_text('domain = "Recht – §"', encoding="utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run_process("config", "show")
    assert done.returncode == 0
    assert "Recht \\u2013 \\xa7" in done.stdout
