"""Where the runs of a workspace lie, and how a command names one."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.core.config import Config

_UNSAFE = re.compile(r"[^\w.-]+")


def new_run(config: Config, *, dataset: str, name: str | None) -> Path:
    """The folder of a run that is about to be made; the folder itself is not.

    Args:
        config: Whose workspace keeps runs.
        dataset: Name of the data set, which names the run together with the time.
        name: What the user calls it; None makes a name.

    Raises:
        InputError: There is a run of that name, or the name is no plain folder name.
    """
    runs = config.workspace / "runs"
    if name is None:
        stem = _UNSAFE.sub("-", dataset).strip(".-") or "run"
        return _free(runs / f"{stem}-{datetime.now():%Y%m%d-%H%M%S}")
    if _UNSAFE.search(name) or name.startswith("."):
        raise InputError(
            f'the run\'s name "{name}" is no plain folder name; use letters, digits, "-" and "_"'
        )
    if (runs / name).exists():
        raise InputError(f"there is a run {name} in {runs} already; choose another --name, or delete it")
    return runs / name


def _free(folder: Path) -> Path:
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def find_run(config: Config, name: str) -> Path:
    """The folder of a run, given its path or its name in this workspace.

    Raises:
        InputError: There is none.
    """
    places = (Path(name), config.workspace / "runs" / name)
    for place in places:
        if (place / "manifest.json").is_file():
            return place
    runs = config.workspace / "runs"
    known = sorted((each.parent.name for each in runs.glob("*/manifest.json")), reverse=True)[:5]
    hint = f"the latest here are: {', '.join(known)}" if known else "make one: ragwright eval run DATASET"
    raise InputError(f"there is no run {name}, neither as a folder nor in {runs}; {hint}")
