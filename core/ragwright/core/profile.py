"""Domain profiles: what a field's documents look like, as data.

A profile is a TOML file. The built-in ones lie in `profiles/`; a user's own one may say `extends = "legal"`,
add to its lists and override the rest.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import Any

from ragwright.core.errors import ConfigError

TEMPLATE_FIELDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "organisation": frozenset(),
        "heading": frozenset({"heading", "parent", "title", "sign"}),
        "definition": frozenset({"term"}),
        "acronym": frozenset({"term"}),
        "list": frozenset({"heading", "title", "sign"}),
        "steps": frozenset({"heading", "title", "sign"}),
        "table": frozenset({"column", "key", "kind", "sign"}),
        "term": frozenset({"term", "other", "title", "sign"}),
        "within": frozenset({"question", "sign"}),
    }
)
"""Kinds of question templates, each with the fields that its templates may have in braces.

`organisation` is what people call whoever says "we" in the documents; `sign` is what tells a document from
the others, such as a type or a company; `within` puts it to a question.
"""

STRATEGIES = ("structure", "semantic", "recursive", "sentence", "fixed")
MIN_TOKENS = 8
_BESIDE_CHUNKS = ("name", "glossary", "question_templates")


@dataclass(frozen=True)
class Profile:
    """How documents of one field are cut, and which words of it mean the same.

    Attributes:
        name: Shown in reports.
        language: ISO 639-1 code, for sentence ends.
        strategy: One of `STRATEGIES`.
        tokens: Longest text of a chunk in tokens of the encoder.
        overlap: How many tokens neighbouring chunks may share; below `tokens`.
        heading_patterns: Regular expressions that a heading's whole line matches, with its level from 1.
        clause_patterns: Regular expressions for the start of a line that is a good place to cut.
        abbreviations: Words with a full stop that do not end a sentence, as they are written.
        glossary: Term to its acronyms and synonyms.
        question_templates: Wordings of questions that are made of documents, by what they ask about; see
            `TEMPLATE_FIELDS`.
    """

    name: str = "general"
    language: str = "en"
    strategy: str = "structure"
    tokens: int = 200
    overlap: int = 0
    heading_patterns: tuple[tuple[str, int], ...] = ()
    clause_patterns: tuple[str, ...] = ()
    abbreviations: tuple[str, ...] = ()
    glossary: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    question_templates: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check(self)
        object.__setattr__(self, "glossary", MappingProxyType(dict(self.glossary)))
        object.__setattr__(self, "question_templates", MappingProxyType(dict(self.question_templates)))

    @cached_property
    def digest(self) -> str:
        """Hex digest of everything that changes chunks; name, glossary and questions do not."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _BESIDE_CHUNKS}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def expansions(self, query: str) -> tuple[str, ...]:
        """What else the glossary terms of a query are called.

        A term gives all its synonyms; a synonym gives its term. Acronyms in capitals must be written so.

        Returns:
            Words and phrases that the query does not hold itself, each once, in glossary order.

        Example:
            >>> Profile(glossary={"MRO": ("maintenance, repair and overhaul",)}).expansions("Who does MRO?")
            ('maintenance, repair and overhaul',)
        """
        line = " ".join(query.split())
        found: dict[str, None] = {}
        for term, synonyms in self.glossary.items():
            if _occurs(term, line):
                found.update(dict.fromkeys(synonyms))
            if any(_occurs(synonym, line) for synonym in synonyms):
                found[term] = None
        return tuple(word for word in found if not _occurs(word, line))


def builtin_profiles() -> tuple[str, ...]:
    """Names of the built-in profiles, sorted."""
    return tuple(
        sorted(f.name.removesuffix(".toml") for f in _folder().iterdir() if f.name.endswith(".toml"))
    )


def load_profile(name_or_path: str) -> Profile:
    """Read a built-in profile by name, or a TOML file by path (what ends in `.toml` or holds a slash).

    Raises:
        ConfigError: No such profile, an unknown key, a value of the wrong type, or a bad regular expression.
    """
    values = _resolve(name_or_path, beside=Path(), chain=())
    try:
        return Profile(**values)
    except ConfigError as error:
        raise ConfigError(f"profile {name_or_path!r}: {error}") from None


def _folder() -> Traversable:
    return resources.files("ragwright.core") / "profiles"


def _resolve(name_or_path: str, *, beside: Path, chain: tuple[str, ...]) -> dict[str, Any]:
    """The merged values of a profile and all that it extends."""
    is_path = name_or_path.endswith(".toml") or "/" in name_or_path
    path = (beside / Path(name_or_path).expanduser()).resolve() if is_path else Path(name_or_path)
    key = str(path)
    if key in chain:
        raise ConfigError(
            f"profiles extend one another in a circle: {' -> '.join((*chain, key))}; remove one"
        )
    table = _parse(_read_file(path) if is_path else _read_builtin(name_or_path), name_or_path)
    parent = table.pop("extends", None)
    values = _values(table, name_or_path)
    values.setdefault("name", path.stem)
    if parent is None:
        return values
    if not isinstance(parent, str):
        raise ConfigError(
            f"profile {name_or_path!r}: extends is {parent!r}; want the name or path of one profile"
        )
    return _merge(_resolve(parent, beside=path.parent if is_path else Path(), chain=(*chain, key)), values)


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the profile {path}: {error}; want a TOML file in UTF-8") from None


def _read_builtin(name: str) -> str:
    names = builtin_profiles()
    if name not in names:
        raise ConfigError(
            f"unknown profile {name!r}{_suggestion(name, names)}; built in are {', '.join(names)}, "
            "and a file of your own is named by its path ending in .toml"
        )
    return (_folder() / f"{name}.toml").read_text(encoding="utf-8")


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"profile {name!r} is not valid TOML: {error}") from None


def _values(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Lists as tuples, in the shape that `Profile` holds."""
    known = tuple(f.name for f in fields(Profile))
    for key in table:
        if key not in known:
            hint = _suggestion(key, (*known, "extends"))
            raise ConfigError(
                f"profile {name!r}: unknown key {key!r}{hint}; known are extends, {', '.join(known)}"
            )
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    for key in ("heading_patterns", "clause_patterns", "abbreviations"):
        if not isinstance(values.get(key, ()), tuple):
            raise ConfigError(f"profile {name!r}: {key} is {values[key]!r}; want a list")
    if "heading_patterns" in values:
        values["heading_patterns"] = tuple(_heading(entry, name) for entry in values["heading_patterns"])
    for key in ("glossary", "question_templates"):
        if isinstance(values.get(key), dict):
            values[key] = {
                name: tuple(texts) if isinstance(texts, list) else texts
                for name, texts in values[key].items()
            }
    return values


def _heading(entry: object, name: str) -> tuple[str, int]:
    if isinstance(entry, dict) and set(entry) == {"pattern", "level"}:
        return entry["pattern"], entry["level"]
    raise ConfigError(
        f"profile {name!r}: heading_patterns holds {entry!r}; want {{ pattern = '...', level = 1 }}"
    )


def _merge(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """Lists and the glossary add up, the child's first; other values of the child win.

    So do question templates, kind by kind, unless the child is in another language.
    """
    merged = {**parent, **child}
    for key in ("heading_patterns", "clause_patterns", "abbreviations"):
        merged[key] = tuple(dict.fromkeys((*child.get(key, ()), *parent.get(key, ()))))
    merged["glossary"] = {**parent.get("glossary", {}), **child.get("glossary", {})}
    merged["question_templates"] = _merged_templates(parent, child)
    return merged


def _merged_templates(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    own, former = child.get("question_templates", {}), parent.get("question_templates", {})
    is_other = child.get("language", parent.get("language", "en")) != parent.get("language", "en")
    if is_other or not isinstance(own, dict):
        return own  # type: ignore[no-any-return]
    kinds = dict.fromkeys((*own, *former))
    return {kind: tuple(dict.fromkeys((*own.get(kind, ()), *former.get(kind, ())))) for kind in kinds}


def _suggestion(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _check(profile: Profile) -> None:
    """Raise ConfigError for the first value that cannot be used."""
    _check_numbers(profile)
    if profile.strategy not in STRATEGIES:
        hint = _suggestion(str(profile.strategy), STRATEGIES)
        raise ConfigError(f"strategy is {profile.strategy!r}{hint}; want one of {', '.join(STRATEGIES)}")
    for name in ("name", "language"):
        if not isinstance(getattr(profile, name), str):
            raise ConfigError(f"{name} is {getattr(profile, name)!r}; want a text")
    for pattern, level in profile.heading_patterns:
        _check_pattern(pattern, "heading_patterns")
        if not _is_integer(level) or level < 1:
            raise ConfigError(f"heading_patterns: the level of {pattern!r} is {level!r}; want 1 or more")
    for pattern in profile.clause_patterns:
        _check_pattern(pattern, "clause_patterns")
    _check_texts("abbreviations", profile.abbreviations)
    if not isinstance(profile.glossary, Mapping):
        raise ConfigError(f"glossary is {profile.glossary!r}; want a table of terms with lists of texts")
    for term, synonyms in profile.glossary.items():
        _check_texts(f"glossary entry {term!r}", synonyms)
    _check_templates(profile.question_templates)


def _check_numbers(profile: Profile) -> None:
    if not _is_integer(profile.tokens) or profile.tokens < MIN_TOKENS:
        raise ConfigError(f"tokens is {profile.tokens!r}; want a whole number from {MIN_TOKENS} up")
    if not _is_integer(profile.overlap) or not 0 <= profile.overlap < profile.tokens:
        raise ConfigError(
            f"overlap is {profile.overlap!r}; want 0 or more and less than tokens ({profile.tokens})"
        )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_pattern(pattern: object, key: str) -> None:
    try:
        compiled = re.compile(pattern) if isinstance(pattern, str) else None
    except re.error as error:
        raise ConfigError(f"{key}: {pattern!r} is not a regular expression: {error}") from None
    if compiled is None or compiled.match("") is not None:
        raise ConfigError(f"{key}: {pattern!r} must be a regular expression that matches no empty line")


def _check_texts(key: str, values: object) -> None:
    if not isinstance(values, tuple) or not all(isinstance(value, str) and value.strip() for value in values):
        raise ConfigError(f"{key} is {values!r}; want a list of texts")


def _check_templates(templates: object) -> None:
    if not isinstance(templates, Mapping):
        raise ConfigError(f"question_templates is {templates!r}; want a table of kinds with lists of texts")
    for kind, texts in templates.items():
        if kind not in TEMPLATE_FIELDS:
            raise ConfigError(
                f"question_templates: unknown kind {kind!r}{_suggestion(kind, TEMPLATE_FIELDS)}; known are "
                f"{', '.join(TEMPLATE_FIELDS)}"
            )
        _check_texts(f"question_templates.{kind}", texts)
        for text in texts:
            _check_fields(kind, text)


def _check_fields(kind: str, text: str) -> None:
    wanted = ", ".join(f"{{{name}}}" for name in sorted(TEMPLATE_FIELDS[kind])) or "none"
    try:
        seen = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError as error:
        raise ConfigError(f"question_templates.{kind}: {text!r} has a stray brace ({error})") from None
    if not seen <= TEMPLATE_FIELDS[kind]:
        raise ConfigError(f"question_templates.{kind}: {text!r} has other fields than it may have: {wanted}")


def _occurs(term: str, line: str) -> bool:
    """Whether a line holds a term as whole words, its plural in -s included."""
    exact = term.isupper()
    if (term if exact else term.lower()) not in (line if exact else line.lower()):
        return False
    flags = re.NOFLAG if exact else re.IGNORECASE
    return re.search(rf"(?<!\w){re.escape(term)}(?:e?s)?(?!\w)", line, flags) is not None
