"""What the command line writes: results on stdout, the rest on stderr, control characters escaped."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath
from typing import Any, Literal, NamedTuple, TextIO

from ragwright.core.errors import RagwrightError

# C0 and C1 with DEL, bidi marks, embeddings and isolates, line and paragraph separator, lone surrogates
# (bytes of a file name that are not UTF-8), and the invisible tag characters.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)

Style = Literal["bold", "dim", "red", "green", "yellow", "cyan"]
_CODES: dict[Style, str] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Styled(NamedTuple):
    """A text with a look, for `Console.out`; without colour it is the text alone."""

    text: str
    style: Style


class OutputClosed(Exception):  # noqa: N818 - a state, not an error: nobody reads any more
    """The reader of our output has gone, as `head` does when it has seen enough."""


def escape_control(text: str, *, keep: str = "\n\t") -> str:
    r"""The text with every character that could steer a terminal shown as a visible escape.

    Args:
        text: From a document, a path or a service.
        keep: Control characters that stay; pass "" where the text must not leave its line, as a path.

    >>> print(escape_control("red: \x1b[31m, title: \x1b]0;x\x07, reversed: \u202e"))
    red: \x1b[31m, title: \x1b]0;x\x07, reversed: \u202e
    """
    return _UNSAFE.sub(lambda match: match[0] if match[0] in keep else _visible(ord(match[0])), text)


def _visible(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


@dataclass(frozen=True, slots=True)
class Console:
    """Where a command writes to.

    Attributes:
        json: Only `emit_json` writes to stdout, so that it holds one JSON document.
        quiet: Notes are left out.
    """

    json: bool = False
    quiet: bool = False

    def out(self, *parts: str | Styled, end: str = "\n") -> None:
        """Write one result to stdout, escaped, its parts joined as they are; nothing with `json`."""
        if not self.json:
            _write(sys.stdout, "".join(_rendered(part, sys.stdout) for part in parts) + end)

    def note(self, *parts: str | Styled) -> None:
        """Write one remark to stderr, escaped; nothing with `quiet`."""
        if not self.quiet:
            self.complain(*parts)

    def complain(self, *parts: str | Styled) -> None:
        """Write to stderr, escaped, even when quiet."""
        _write(sys.stderr, "".join(_rendered(part, sys.stderr) for part in parts) + "\n")

    def emit_json(self, value: Any) -> None:
        """Write a value as one JSON document to stdout.

        Raises:
            TypeError: Something is inside that `as_json` does not understand.
        """
        _write(sys.stdout, as_json(value) + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str | Styled]]) -> None:
        """Write aligned columns with a heading to stdout; nothing with `json`.

        On a terminal, long cells are folded to its width; elsewhere each row is one line.
        """
        if not self.json:
            _write(sys.stdout, _table(columns, rows))


def as_json(value: Any) -> str:
    """The value as indented JSON: readable text stands as it is, control characters are escaped.

    Dataclasses, pydantic models, mappings, sequences, sets, paths, dates and numpy values are understood;
    a number that JSON does not know (NaN, infinity) becomes null.

    Raises:
        TypeError: Something else is inside.
    """
    text = json.dumps(plain(value), ensure_ascii=False, indent=2, allow_nan=False)
    return _UNSAFE.sub(lambda match: _json_escape(match[0]), text)


def plain(value: Any) -> Any:
    """The value as `json.dumps` takes it: dicts with text keys, lists, texts, finite numbers, None."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted(plain(item) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    return _plain_object(value)


def _plain_object(value: Any) -> Any:
    if isinstance(value, PurePath | date):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):  # pydantic masks its secrets
        return plain(value.model_dump(mode="json"))
    if hasattr(value, "tolist"):  # numpy arrays and numbers
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _json_escape(character: str) -> str:
    # The line breaks of the layout are the only control characters that json.dumps leaves.
    return character if character == "\n" else json.dumps(character)[1:-1].replace("\x7f", "\\u007f")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str | Styled]]) -> str:
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        pairs = [cell if isinstance(cell, Styled) else (cell, "") for cell in row]
        # Text, not str: rich would read [brackets] in a str as markup.
        table.add_row(*(Text(escape_control(text, keep=""), style=style) for text, style in pairs))
    page = io.StringIO()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1_000_000
    # Rendered apart and written by us: rich ends the process when its reader has gone.
    RichConsole(
        file=page,
        width=width,
        force_terminal=coloured(sys.stdout),
        no_color=not coloured(sys.stdout),
        highlight=False,
    ).print(table)
    return "".join(line.rstrip() + "\n" for line in page.getvalue().splitlines())


def coloured(stream: TextIO) -> bool:
    """Whether a stream is a terminal that may be given colour; NO_COLOR and TERM=dumb say no."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _rendered(part: str | Styled, stream: TextIO) -> str:
    if isinstance(part, str):
        return escape_control(part)
    text = escape_control(part.text)
    return f"\x1b[{_CODES[part.style]}m{text}\x1b[0m" if coloured(stream) else text


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError as error:
        raise OutputClosed from error
    except OSError as error:  # a full disk behind a redirection
        raise RagwrightError(f"the output cannot be written: {error.strerror}") from error
