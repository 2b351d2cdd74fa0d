"""Settings as text: what an environment variable says, what `ragwright init` writes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_WIDTH = 90  # characters of a line in the written file


def kinds(field: FieldInfo) -> set[Any]:
    """The types a setting may have: `int | None` gives int and NoneType, a tuple gives tuple."""
    if (origin := get_origin(field.annotation)) in (tuple, Literal):
        return {origin}
    return {get_origin(part) or part for part in get_args(field.annotation) or (field.annotation,)}


def parsed(text: str, field: FieldInfo) -> Any:
    """The value that a variable's text stands for; the text itself where it does not fit.

    Lists are separated by commas; true, yes, on and 1 are true; false, no, off and 0 are false.
    """
    types = kinds(field)
    if tuple in types:
        return [part.strip() for part in text.split(",") if part.strip()]
    if bool in types:
        return _WORDS.get(text.strip().lower(), text)
    for number in (int, float):
        if number in types:
            try:
                return number(text)
            except ValueError:
                continue
    return text


def toml_value(value: Any) -> str:
    """A value as TOML writes it.

    >>> toml_value((".git", "a b")), toml_value(True), toml_value(0.5)
    ('[".git", "a b"]', 'true', '0.5')
    """
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    text = json.dumps(value if isinstance(value, int | float) else str(value), ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")  # the one character that JSON lets stand and TOML does not


def setting_lines(name: str, field: FieldInfo, *, chosen: Any = None) -> list[str]:
    """A setting in a written file: its meaning as a comment, then its default, commented out.

    Args:
        name: The key inside its section.
        field: Its description and default. Without a default, its example is shown and marked as one.
        chosen: A value to write instead, not commented out.
    """
    lines = textwrap.wrap(field.description or "", _WIDTH, initial_indent="# ", subsequent_indent="# ")
    if chosen is not None:
        return [*lines, f"{name} = {toml_value(chosen)}", ""]
    if field.default is not None:
        return [*lines, f"# {name} = {toml_value(field.default)}", ""]
    return [
        *lines,
        *(f"# {name} = {toml_value(example)}  # an example" for example in field.examples or ()),
        "",
    ]


def toml_text(known: Mapping[str, FieldInfo], *, chosen: Mapping[str, Any]) -> str:
    """A configuration file with every setting, in sections."""
    lines = [
        "# Settings of Ragwright. What is commented out is the default. The command line and the",
        "# environment (RAGWRIGHT_SEARCH__LIMIT=20) come before this file. ragwright config show --origin",
        "# tells where each value comes from. Relative paths count from this folder.",
        "",
    ]
    section = ""
    for key, field in known.items():
        above, _, name = key.rpartition(".")
        if above != section:
            lines += [f"[{above}]", ""]
            section = above
        lines += setting_lines(name, field, chosen=chosen.get(key))
    return "\n".join(lines).rstrip() + "\n"
