"""Why a setting is refused, in one line: where it stands, what was seen, what is wanted."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import SecretStr

from ragwright.core.settings_sources import Given, variable
from ragwright.core.settings_text import kinds

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

_LONGEST = 60  # characters of a value shown in a message


def refusal(given: Given, known: Mapping[str, FieldInfo]) -> str | None:
    """Why a setting may not stand where it does, or None."""
    where, key = given.origin.where, given.key
    if key not in known:
        if any(name.startswith(f"{key}.") for name in known):
            return f"{where}: {key} is {shown(given.value)}; wanted a section: [{key}] on a line of its own"
        return f'{where}: unknown setting "{key}"{suggestion(given, known)}'
    if SecretStr in kinds(known[key]) and given.origin.layer != "environment":
        return f"{where}: {key} is a secret and may not stand here; set {variable(key)} in the environment"
    return None


def misfits(error: ValidationError, given: Mapping[str, Given], known: Mapping[str, FieldInfo]) -> list[str]:
    """One line for each value that does not fit, in the order of the settings."""
    lines: dict[str, str] = {}  # a list with several wrong items is one problem
    for each in error.errors():
        key = ".".join(str(part) for part in each["loc"][:2])
        key = key if key in known else str(each["loc"][0])
        if key in given:
            value = given[key].value
            lines[key] = f"{given[key].origin.where}: {key} is {shown(value)}; wanted {wanted(known[key])}"
        else:  # a rule between settings of one section
            places = [entry.origin.where for name, entry in given.items() if name.startswith(f"{key}.")]
            lines[key] = f"{', '.join(places)}: {each['ctx']['error']}"
    return list(lines.values())


def suggestion(given: Given, known: Iterable[str]) -> str:
    """`; did you mean "search.limit"?` for a key that is near a known one, else ""."""
    names = list(known)
    names += {name.partition(".")[0] for name in names if "." in name}
    same = [name for name in names if name.rpartition(".")[2] == given.key.rpartition(".")[2]]
    near = same or difflib.get_close_matches(given.key, names, n=1)
    if not near:
        return ""
    return f'; did you mean "{variable(near[0]) if given.origin.layer == "environment" else near[0]}"?'


def shown(value: Any) -> str:
    """A value as a message shows it: as JSON, cut after 60 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def wanted(field: FieldInfo) -> str:
    """What a setting may be: `a whole number from 1 to 1000`."""
    types = kinds(field)
    if Literal in types:
        return "one of " + ", ".join(json.dumps(choice) for choice in _choices(field.annotation))
    names = {int: "a whole number", float: "a number", bool: "true or false", tuple: "a list of texts"}
    word = next((name for kind, name in names.items() if kind in types), "")
    word = word or ("a path in quotes" if Path in types else "a text that is not empty")
    limits = {
        name: getattr(each, name)
        for each in field.metadata
        for name in ("ge", "gt", "le")
        if hasattr(each, name)
    }
    phrases = {"ge": "from", "gt": "above", "le": "to" if "ge" in limits else "up to"}
    return " ".join([word, *(f"{phrases[name]} {limit}" for name, limit in limits.items())])


def _choices(annotation: Any) -> tuple[str, ...]:
    """The choices of a Literal, or of the Literal in a union."""
    literals = [annotation, *get_args(annotation)]
    return next(get_args(each) for each in literals if get_origin(each) is Literal)
