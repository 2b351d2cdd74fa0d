"""The places a setting may come from: the command line, the environment, and a TOML file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragwright.core.errors import ConfigError
from ragwright.core.settings_text import kinds, parsed

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

FILE_NAME = "ragwright.toml"
PREFIX = "RAGWRIGHT_"
# Read by other parts: the place of the configuration file, and the server that the service tests use.
OTHER_VARIABLES = frozenset({"RAGWRIGHT_CONFIG", "RAGWRIGHT_QDRANT_URL"})

Layer = Literal["flag", "environment", "file", "default"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        layer: Which source won.
        where: The variable's name, or file and line as `ragwright.toml:12`; "" for a default.
    """

    layer: Layer
    where: str


@dataclass(frozen=True, slots=True)
class Given:
    """A value that one source gives to a dotted key, which need not exist."""

    key: str
    value: Any
    origin: Origin


def variable(key: str) -> str:
    """The environment variable of a dotted key.

    >>> variable("search.limit")
    'RAGWRIGHT_SEARCH__LIMIT'
    """
    return PREFIX + key.replace(".", "__").upper()


def find_file(file: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one asked for, else the nearest ragwright.toml at or above the current folder.

    Raises:
        ConfigError: The file that was asked for does not exist.
    """
    asked = file or (Path(environ["RAGWRIGHT_CONFIG"]) if environ.get("RAGWRIGHT_CONFIG") else None)
    if asked is not None:
        if not asked.is_file():
            raise ConfigError(f"no configuration file at {asked}; ragwright init writes one")
        return asked
    here = _current_folder()
    found = (folder / FILE_NAME for folder in (here, *here.parents) if (folder / FILE_NAME).is_file())
    nearest = next(found, None)
    return Path(FILE_NAME) if nearest == here / FILE_NAME else nearest


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise ConfigError("the current folder no longer exists; change to another one") from error


def outside_folder(path: Path | None) -> Path:
    """The folder that relative paths of a file count from: absolute, or empty for the current one."""
    if path is None or path.parent.resolve() == _current_folder():
        return Path()
    return path.parent.resolve()


def anchored(given: Given, path: Path | None, field: FieldInfo) -> Given:
    """A value whose relative path counts from the folder of its file, and whose ~ is the home folder.

    Texts that may be a path or a name are a path when they start with `./`, `../` or `~/`, or end in `.toml`.
    A domain's path becomes absolute, because the index keeps it and is searched from other folders.
    """
    text = str(given.value)
    is_profile = given.key == "domain" and ("/" in text or text.endswith(".toml"))
    marked = text.endswith(".toml") or text.startswith(("./", "../", "~/"))
    named = is_profile or marked or Path in kinds(field)
    if not named or not text or not isinstance(given.value, str | Path):
        return given
    folder = outside_folder(path) if given.origin.layer == "file" else Path()
    place = folder / (_home() / text[2:] if text.startswith("~/") else text)
    if is_profile:
        return replace(given, value=os.path.abspath(_current_folder() / place))  # noqa: PTH100 - as workspace
    # Path() drops a leading ./, which tells a folder from a name.
    value = given.value if place == Path(text) else str(place)
    return replace(given, value=value)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigError("a path starts with ~/, but this user has no home folder; write it out") from error


def from_flags(flags: Mapping[str, Any]) -> Iterator[Given]:
    """What the command line gives; None stands for an option that was not used."""
    for key, value in flags.items():
        if value is not None:
            yield Given(key, value, Origin("flag", "command line"))


def from_assignments(texts: Sequence[str], known: Mapping[str, FieldInfo]) -> Iterator[Given]:
    """What `--set key=value` gives; values are read as those of variables are, an empty one is not set.

    Raises:
        ConfigError: One is not of the form key=value.
    """
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not key or not equals:
            raise ConfigError(f"--set {text}: wanted key=value, such as --set search.mode=dense")
        if value:
            yield Given(key, parsed(value, known[key]) if key in known else value, Origin("flag", "--set"))


def from_environment(environ: Mapping[str, str], known: Mapping[str, FieldInfo]) -> Iterator[Given]:
    """What the RAGWRIGHT_ variables give, in alphabetical order; an empty variable counts as not set."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in OTHER_VARIABLES and environ[name]:
            key = name.removeprefix(PREFIX).lower().replace("__", ".")
            value = parsed(environ[name], known[key]) if key in known else environ[name]
            yield Given(key, value, Origin("environment", name))


def from_file(path: Path | None) -> Iterator[Given]:
    """What a TOML file gives, each value with the line its key stands on.

    Raises:
        ConfigError: The file cannot be read, is not UTF-8, or is not TOML.
    """
    if path is None:
        return
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        tree = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_broken(path, error, lines=text.count("\n") + 1)) from error
    lines = _key_lines(text)
    for parts, value in _leaves(tree):
        key = ".".join(parts)
        yield Given(key, value, Origin("file", f"{path}:{lines.get(key, 1)}"))


def _broken(path: Path, error: tomllib.TOMLDecodeError, *, lines: int) -> str:
    """`ragwright.toml:3: not TOML: invalid value (column 9)`; an unexpected end names the last line."""
    what, _, place = str(error).rpartition(" (at ")
    line, _, column = place.rstrip(")").removeprefix("line ").partition(", ")
    if not line.isdigit():
        line, column = str(lines), place.rstrip(")")
    return f"{path}:{line}: not TOML: {what[:1].lower()}{what[1:]} ({column})"


def _leaves(tree: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is not a table, with its path of keys; at most a section and a name deep."""
    for name, value in tree.items():
        if isinstance(value, dict) and not above:
            yield from _leaves(value, (name,))
        else:
            yield (*above, name), value


def _key_lines(text: str) -> dict[str, int]:
    """The line, from 1, on which each dotted key of a valid TOML text begins.

    Each statement is parsed alone as soon as it is complete, so that a multi-line value, or a text that
    looks like a key, cannot mislead.
    """
    found: dict[str, int] = {}
    header: tuple[str, ...] = ()
    statement, first = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not statement:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            first = number
        statement += line + "\n"
        try:
            tree = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # not complete yet
        if statement.lstrip().startswith("["):
            header = tuple(_paths(tree)[-1])
            tree = {}
        for depth in {(*header, *path)[:2] for path in _paths(tree)} or {header[:2]}:
            found.setdefault(".".join(depth), first)
        statement = ""
    return found


def _paths(tree: Any) -> list[list[str]]:
    """The keys down to each value or empty table; a list of tables counts as its last one."""
    inner = tree[-1] if isinstance(tree, list) and tree and isinstance(tree[-1], dict) else tree
    if not isinstance(inner, dict) or not inner:
        return [[]]
    return [[name, *path] for name, value in inner.items() for path in _paths(value)]
