"""Writes the tables of `configuration.md` from the settings: `python docs/make_configuration.py`."""
# ruff: noqa: INP001 - a script, no package

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from ragwright.core.config import Config, settings
from ragwright.core.settings_problems import wanted
from ragwright.core.settings_text import toml_value

PAGE = Path(__file__).with_name("configuration.md")
START, END = "<!-- settings: written by make_configuration.py -->", "<!-- settings: end -->"


def page(former: str) -> str:
    """A page with its tables written anew; what stands outside of the two marks stays.

    Raises:
        ValueError: A mark is missing.
    """
    before, _, rest = former.partition(START)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE.name} does not hold both marks: {START} and {END}")
    return f"{before}{START}\n\n{tables()}\n{END}{after}"


def tables() -> str:
    """Every setting in Markdown, a table for each section, in the order of `Config`."""
    parts = []
    for section, keys in groupby(settings().items(), key=lambda item: item[0].rpartition(".")[0]):
        what = (Config.model_fields[section].annotation.__doc__ or "").strip() if section else _TOP
        rows = "".join(_row(key.rpartition(".")[2], field) for key, field in keys)
        head = "| Setting | Default | May be | Meaning |\n|---|---|---|---|\n"
        parts.append(f"### {f'[{section}]' if section else 'Top level'}\n\n{what}\n\n{head}{rows}")
    return "\n".join(parts)


_TOP = "These stand above the first section."


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{name}`", _default(field.default), wanted(field), field.description or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _default(value: Any) -> str:
    return "unset" if value is None else f"`{toml_value(value)}`"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
