"""What every reader of data sets shares: files to texts, rows to typed fields, and problems told together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError

SHOWN = 10
_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}


@dataclass
class Problems:
    """What is wrong with a data set, gathered so that one run shows more than the first mistake.

    Attributes:
        where: The file, folder or data set that the problems are in.
        found: Row and problem, in the order they were met.
    """

    where: str
    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, row: str, problem: str) -> None:
        """Note a problem of one row."""
        self.found.append((row, problem))

    def check(self) -> None:
        """Do nothing when there is no problem.

        Raises:
            InputError: There are problems; the first `SHOWN` are listed and the rest counted.
        """
        if not self.found:
            return
        lines = [f"{row}: {problem}" for row, problem in self.found[:SHOWN]]
        if len(self.found) > SHOWN:
            lines.append(f"and {len(self.found) - SHOWN} more")
        count = "one problem" if len(self.found) == 1 else f"{len(self.found)} problems"
        raise InputError("\n  ".join([f"{self.where} cannot be used, it has {count}:", *lines]))


@dataclass(frozen=True)
class Record:
    """One object of a file; its methods give typed fields and note what is of another type.

    Attributes:
        values: The fields as they stand in the file.
        row: Where it stands, such as `questions.jsonl:12`.
        problems: Where a wrong field is noted; the method then gives its default, so that reading goes on.
    """

    values: Mapping[str, Any]
    row: str
    problems: Problems

    def text(self, key: str, default: str | None = None) -> str:
        """A text; a missing one is a problem unless there is a default."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            self.problem(f'"{key}" is missing; a text is wanted')
        elif not isinstance(value, str):
            self._mistyped(key, value, "a text")
        elif _is_broken(value):
            self.problem(f'"{key}" holds half a character (a lone surrogate); write it as UTF-8')
        else:
            return value
        return ""

    def name(self, key: str, default: str | None = None) -> str:
        """A text or a whole number as text, for identifiers."""
        value = self.values.get(key)
        return str(value) if type(value) is int else self.text(key, default)

    def number(self, key: str, default: int) -> int:
        """A whole number."""
        value = self.values.get(key)
        if value is None:
            return default
        if type(value) is int:
            return value
        self._mistyped(key, value, "a whole number")
        return default

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key)
        if isinstance(value, bool):
            return value
        if value is not None:
            self._mistyped(key, value, "true or false")
        return default

    def list_of(self, key: str) -> list[Any]:
        """A list; empty when the field is missing."""
        value = self.values.get(key)
        if isinstance(value, list):
            return value
        if value is not None:
            self._mistyped(key, value, "a list")
        return []

    def objects(self, key: str) -> list[Record]:
        """A list of objects, each as a record of the same row."""
        values = self.list_of(key)
        wrong = [each for each in values if not isinstance(each, dict)]
        if wrong:
            self.problem(f'"{key}" holds {_kind(wrong[0])}; only objects are wanted')
        return [Record(each, self.row, self.problems) for each in values if isinstance(each, dict)]

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty when the field is missing."""
        values = self.list_of(key)
        wrong = [each for each in values if not isinstance(each, str) or _is_broken(each)]
        if wrong:
            self.problem(f'"{key}" holds {_kind(wrong[0])}; only whole texts are wanted')
        return [each for each in values if isinstance(each, str) and not _is_broken(each)]

    def mapping(self, key: str) -> dict[str, Any]:
        """An object with values of any type; empty when the field is missing."""
        value = self.values.get(key)
        if isinstance(value, dict):
            return dict(value)
        if value is not None:
            self._mistyped(key, value, "an object")
        return {}

    def facts(self, key: str) -> dict[str, str]:
        """An object whose values are texts; empty when the field is missing."""
        values = self.mapping(key)
        for name, value in values.items():
            if not isinstance(value, str):
                self.problem(f'"{key}": "{name}" is {_kind(value)}; a text is wanted')
        return {name: value for name, value in values.items() if isinstance(value, str)}

    def problem(self, text: str) -> None:
        """Note a problem of this row."""
        self.problems.add(self.row, text)

    def _mistyped(self, key: str, value: object, wanted: str) -> None:
        self.problem(f'"{key}" is {_kind(value)}; {wanted} is wanted')


def read_text(path: Path, *, fallback: str | None = None) -> str:
    """A file as text: UTF-8, universal newlines.

    Args:
        path: The file.
        fallback: Encoding of a file that is not UTF-8; its byte order mark is then no part of the text.

    Raises:
        InputError: The file cannot be read, or is not UTF-8 and there is no fallback.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        text = data.decode("utf-8-sig" if fallback else "utf-8")
    except UnicodeDecodeError as error:
        if fallback is None:
            raise InputError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from None
        text = data.decode(fallback)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def json_lines(path: Path, problems: Problems) -> Iterator[Record]:
    """The objects of a JSON lines file in file order; blank lines are skipped, bad ones noted."""
    # Not splitlines: a line separator character may stand inside a JSON text.
    for number, line in enumerate(read_text(path).removeprefix("\ufeff").split("\n"), 1):
        row = f"{path.name}:{number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.add(row, f"not JSON ({error}); one JSON object a line is wanted")
            continue
        if isinstance(value, dict):
            yield Record(value, row, problems)
        else:
            problems.add(row, f"the line is {_kind(value)}; a JSON object is wanted")


def json_object(path: Path, problems: Problems) -> Record:
    """The one object of a JSON file.

    Raises:
        InputError: The file is not JSON, or holds something else.
    """
    try:
        value = json.loads(read_text(path).removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds {_kind(value)}; a JSON object is wanted")
    return Record(value, path.name, problems)


def first_keys(path: Path, lines: int = 20) -> set[str] | None:
    """The field names in the first lines of a JSON lines file; None when these are not JSON objects."""
    keys: set[str] = set()
    seen = False
    for line in head(path).split("\n")[:lines]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            seen = True
            keys.update(value)
    return keys if seen else None


def head(path: Path, size: int = 262144) -> str:
    """The beginning of a file for telling formats apart; "" when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""


def holds_list(path: Path, outer: str, inner: str) -> bool:
    """Whether a file begins like a JSON object with a list `outer` in which a field `inner` stands."""
    start = head(path).lstrip()
    found = re.search(rf'"{outer}"\s*:\s*\[', start)
    return start.startswith("{") and found is not None and f'"{inner}"' in start[found.end() :]


def span_problem(start: int, end: int) -> str:
    """What is wrong with a half-open range, or "".

    >>> span_problem(3, 3)
    'the reference is empty (start and end are both 3); mark at least one character'
    """
    if start < 0 or end < 0:
        return f"the reference {start}-{end} has a negative offset; offsets count characters from 0"
    if start == end:
        return f"the reference is empty (start and end are both {start}); mark at least one character"
    if start > end:
        return f"the reference {start}-{end} ends before it starts; start must be below end"
    return ""


def shorten(text: str, limit: int = 60) -> str:
    """A text for a message, in quotation marks on one line, its middle left out when it is long."""
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= limit else f'"{line[: limit // 2]} ... {line[-limit // 2 :]}"'


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _kind(value: object) -> str:
    return _KINDS.get(type(value), f"the number {value}")
