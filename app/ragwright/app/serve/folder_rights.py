"""Whether other users of the machine can read past the keys: folders keep the rights that they have."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

from ragwright.app.serve.key_file import FILE_NAME
from ragwright.app.serve.upload_files import FOLDER_NAME


def open_folder(workspace: Path, *, has_keys: bool = False) -> str | None:
    """What is wrong with the rights of a workspace folder, in one sentence.

    A folder without keys and uploads may be as open as its documents are: somebody chose so.

    Args:
        workspace: Need not exist.
        has_keys: Whether a key is needed, also where the folder holds none.

    Returns:
        What was seen and what to do; None where nothing is wrong.
    """
    try:
        mode = stat.S_IMODE(workspace.stat().st_mode)
    except OSError:
        return None
    guarded = has_keys or any((workspace / name).exists() for name in (FILE_NAME, FOLDER_NAME))
    if not guarded or not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return None
    return (
        f"other users of this machine can open the workspace {workspace} (mode {mode:03o}), whatever"
        f" keys say; run: chmod 700 {shlex.quote(str(workspace))}"
    )
