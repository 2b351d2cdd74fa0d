"""Where the runs of a workspace lie, and how a command names one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.core.config import Config

_UNSAFE = re.compile(r"[^\w.-]+")


@contextmanager
def new_run(config: Config, *, dataset: str, name: str | None) -> Iterator[Path]:
    """A folder for a run, held from the start so that no other run takes its name; removed if nothing came.

    Args:
        config: Whose workspace keeps runs.
        dataset: Name of the data set, which names the run together with the time.
        name: What the user calls it; None makes a name.

    Raises:
        InputError: There is a run of that name, the name is no plain folder name, or the folder cannot be
            made.
    """
    folder = _made(config.workspace / "runs", dataset=dataset, name=name)
    try:
        yield folder
    finally:
        with suppress(OSError):  # it is not empty once there is a run
            folder.rmdir()


def _made(runs: Path, *, dataset: str, name: str | None) -> Path:
    if name is not None and (not name or _UNSAFE.search(name) or name.startswith(".")):
        raise InputError(f'--name "{name}" is no plain folder name; use letters, digits, "-" and "_"')
    stem = _UNSAFE.sub("-", dataset).strip(".-") or "run"
    folder = runs / (name or f"{stem}-{datetime.now():%Y%m%d-%H%M%S}")
    number = 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if name is not None:
                raise InputError(
                    f"there is a run {name} in {runs} already; choose another --name, or delete it"
                ) from None
            number += 1
            folder = runs / f"{folder.name.partition('+')[0]}+{number}"
        except OSError as error:
            raise InputError(f"{folder} cannot be made ({error.strerror}); check its owner") from error
        else:
            return folder


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
