"""A workspace that other users can open is told of, where keys or uploads are to guard it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.app.serve.serving import add_key
from typer.testing import Result

from ragwright.app.commands import serve
from ragwright.app.serve.folder_rights import open_folder
from ragwright.app.serve.opening import named_workspaces
from ragwright.app.session import Options, open_session

Run = Callable[..., Result]


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711, 0o707, 0o770])
def test_a_folder_that_others_can_open_is_told_of_once_there_is_something_to_guard(
    tmp_path: Path, mode: int
) -> None:
    folder = tmp_path / "my workspace"
    assert open_folder(folder, has_keys=True) is None, "it is not there"
    folder.mkdir()
    folder.chmod(mode)
    assert open_folder(folder) is None
    told = open_folder(folder, has_keys=True)
    assert told is not None
    assert f"(mode {mode:o})" in told and told.endswith(f"run: chmod 700 '{folder}'")
    (folder / "uploads").mkdir()
    assert open_folder(folder) == told
    folder.chmod(0o700)
    assert open_folder(folder, has_keys=True) is None


def test_a_workspace_that_is_made_now_is_not_told_of(tmp_path: Path) -> None:
    add_key(tmp_path / "new", "web")
    assert open_folder(tmp_path / "new") is None


def test_doctor_warns_and_the_workspace_stays_sound(project: Path, run: Run) -> None:
    add_key(project / ".ragwright", "web")
    (project / ".ragwright").chmod(0o755)
    told = run("doctor", "--json")
    assert told.exit_code == 0 and json.loads(told.stdout)["findings"] == []
    assert told.stderr.count("\n") == 1 and "(mode 755), whatever keys say; run: chmod 700 " in told.stderr
    assert len(json.loads(told.stdout)["warnings"]) == 1


def test_serve_warns_of_every_workspace(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The further workspace is guarded by the keys of the first."""
    for name in (".ragwright", "law"):
        (folder / name).mkdir(mode=0o755)
        (folder / name).chmod(0o755)
    session = open_session(Options())
    named = named_workspaces(session, ["law=law"])
    serve.warn_of_rights(session, named, has_keys=False)
    assert capsys.readouterr().err == ""
    serve.warn_of_rights(session, named, has_keys=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("warning: ") for line in lines)
    monkeypatch.setattr(serve, "warn_of_rights", _stop)
    with pytest.raises(_StoppedError):
        serve.serve(Options())


class _StoppedError(Exception):
    pass


def _stop(*_: object, **__: object) -> None:
    raise _StoppedError
