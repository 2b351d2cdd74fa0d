"""Model folders: what may lie in one before anything in it is loaded.

Weights that are pickled, and settings that name code, run as soon as they are loaded. So a folder is read by
a list of what is allowed, and refused for anything else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ragwright.core.errors import ModelError

WEIGHTS = "model.safetensors"
MANIFEST = "SHA256SUMS"

# Nothing that is read as code: text, pictures, tables of tokens, and tensors in a format without any.
_ALLOWED = (
    "*.safetensors",
    "*.json",
    "*.jinja",
    "*.txt",
    "*.md",
    "*.png",
    "*.jpg",
    "*.svg",
    "*.model",
    "LICENSE",
    "NOTICE",
    MANIFEST,
)
_NAMES_CODE = frozenset(
    {"auto_map", "trust_remote_code", "custom_generate", "custom_pipelines", "use_kernels"}
)
_ATTENTION = (None, "eager", "sdpa")
_MOST_SETTINGS_BYTES = 16 << 20
_SHOWN = 5


def check_folder(folder: Path, *, setting: str) -> None:
    """Refuse a folder that holds more than data, or other data than its manifest says.

    Folders whose names begin with a dot are not looked at: nothing loads from them.

    Args:
        folder: The model's, or the adapter's.
        setting: The setting that names it, for the messages.

    Raises:
        ModelError: It is absent, holds a file of a kind that may run code, settings that name code, or a
            file that has changed since `SHA256SUMS` was written.
    """
    if not folder.is_dir():
        raise ModelError(f"{setting} names {folder}, which is no folder; set it to a model's folder")
    files = sorted(_files(folder))
    strange = [path for path in files if not _allowed(path)]
    if strange:
        names = ", ".join(str(path.relative_to(folder)) for path in strange[:_SHOWN])
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        raise ModelError(
            f"model folder {folder} holds {names}{more}; only safetensors, settings and text are allowed, "
            "for other files may run code: remove them, or save the model as safetensors"
        )
    for path in files:
        if path.suffix == ".json" and "config" in path.name:
            _check_settings(path)
    _check_manifest(folder, files)


def _files(folder: Path) -> Iterator[Path]:
    """Whatever is in a folder and is no folder itself, hidden ones left out."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.is_symlink():
                raise ModelError(f"{path} is a link to a folder; put the files themselves there")
            yield from _files(path)
        else:
            yield path


def _allowed(path: Path) -> bool:
    return path.is_file() and any(fnmatch(path.name, pattern) for pattern in _ALLOWED)


def _check_settings(path: Path) -> None:
    if path.stat().st_size > _MOST_SETTINGS_BYTES:
        raise ModelError(f"{path} is larger than {_MOST_SETTINGS_BYTES >> 20} MB; get the model again")
    for key, value in _entries(read_json(path)):
        if key in _NAMES_CODE and value:
            raise ModelError(f"{path} has {key}, which names code to be run; use a model without it")
        # for others transformers may fetch code from a hub, and run it
        if "attn_implementation" in key and value not in _ATTENTION:
            raise ModelError(f"{path} asks for other attention than eager or sdpa; remove {key} there")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield from each.items()
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _check_manifest(folder: Path, files: list[Path]) -> None:
    """Hold every file to its SHA-256, in the format of the tool `sha256sum`, where the folder has a list."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return
    lines = [line.split(maxsplit=1) for line in manifest.read_text(encoding="utf-8").splitlines()]
    listed = {line[1].strip().removeprefix("*").removeprefix("./"): line[0] for line in lines if line[1:]}
    for path in files:
        name = path.relative_to(folder).as_posix()
        if name == MANIFEST or (name not in listed and path.suffix == ".md"):
            continue
        if listed.pop(name, None) != file_digest(path):
            raise ModelError(f"{path} is not what {manifest} says; get the model again")
    if listed:
        raise ModelError(f"{folder} lacks {sorted(listed)[0]}, which {manifest} lists; get the model again")


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files of a model's weights, in the order of their names.

    Raises:
        ModelError: There are no safetensors weights, or a part of them is absent.
    """
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    listed = folder / f"{WEIGHTS}.index.json"
    if not listed.is_file():
        raise ModelError(
            f"model folder {folder} has no {WEIGHTS}; only safetensors weights are loaded, "
            "so save the model with safe_serialization=True"
        )
    parts = read_json(listed).get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise ModelError(f"{listed} has no weight_map; get the model again")
    names = sorted({str(part) for part in parts.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"{listed} names {name!r}, wanted the name of a safetensors file beside it")
    paths = tuple(folder / name for name in names)
    for path in paths:
        if not path.is_file():
            raise ModelError(
                f"model folder {folder} lacks {path.name}, a part of its weights; get the model again"
            )
    return paths


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """The object in a JSON file; where the file is absent, the default.

    Raises:
        ModelError: It is absent and there is no default, or it holds something else.
    """
    if not path.is_file():
        if default is None:
            raise ModelError(f"model folder {path.parent} has no {path.name}; get the model again")
        return default
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON ({error}); get the model again") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds a {type(value).__name__}, wanted an object; get the model again")
    return value
