"""The one place where the command line turns what went wrong into a sentence and an exit code."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from ragwright.app.console import OutputClosed, Styled
from ragwright.app.session import Options, open_session
from ragwright.core.errors import RagwrightError

DONE, FAILED, BUG, INTERRUPTED = 0, 1, 3, 130


def door(command: Callable[[], int], *, options: Options) -> int:
    """Run a command and answer for whatever comes out of it.

    Returns:
        The command's own exit code; 1 after a RagwrightError, 130 after Ctrl-C, 0 when the reader of our
        output has gone, 3 after anything else, with the traceback in a log file.

    Raises:
        typer.Exit, typer.Abort, typer.BadParameter: Passed on to typer, which knows them.
    """
    try:
        return command()
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except RagwrightError as error:
        return _report(error, str(error) or type(error).__name__, options=options, code=FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted", options=options, code=INTERRUPTED)
    except OutputClosed:
        _silence()
        return DONE
    except Exception as error:  # noqa: BLE001 - the door
        return _report(error, _bug(error, options), options=options, code=BUG)


def _report(error: Exception, message: str, *, options: Options, code: int) -> int:
    if options.json:
        try:
            options.console.emit_json({"error": {"type": type(error).__name__, "message": message}})
        except (OutputClosed, RagwrightError):
            _silence()
    return _complain(Styled("error: ", "red"), message.replace("\n", "\n       "), options=options, code=code)


def _complain(*parts: str | Styled, options: Options, code: int) -> int:
    try:
        options.console.complain(*parts)
    except (OutputClosed, RagwrightError):
        _silence()  # nobody is left to be told; the code still says it
    return code


def _bug(error: Exception, options: Options) -> str:
    """The sentence for an error that is ours: what happened, where the log is, which versions run."""
    running = f"ragwright {package_version()}, Python {platform.python_version()}, {platform.platform()}"
    trace = "".join(traceback.format_exception(error))
    log = _written_log(f"{running}\n{trace}", options)
    return f"this is a bug in Ragwright ({type(error).__name__}); {log} ({running})"


def _written_log(text: str, options: Options) -> str:
    """Where the log was written, in words."""
    name = f"ragwright-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    for folder in (_workspace_logs(options), Path(tempfile.gettempdir())):
        if folder is None:
            continue
        try:
            folder.mkdir(exist_ok=True)
            path = folder / name
            # Exclusive and private: the folder may be shared, and a traceback may quote a document.
            with os.fdopen(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", errors="replace"
            ) as log:
                log.write(text)
        except OSError:
            continue
        return f"please report it with the log {path}"
    return "no log could be written; it follows:\n" + text


def _workspace_logs(options: Options) -> Path | None:
    """The logs folder of an existing workspace; a bug makes no new workspace."""
    try:
        workspace = open_session(options).config.workspace
    except Exception:  # noqa: BLE001 - the settings may be what is broken
        return None
    return workspace / "logs" if workspace.is_dir() else None


def package_version() -> str:
    """The installed version, or `unknown` when Ragwright runs from a source tree that is not installed."""
    try:
        return version("ragwright")
    except PackageNotFoundError:
        return "unknown"


def _silence() -> None:
    """Point what cannot be written to at nothing, so that the interpreter's last flush does not fail too."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
