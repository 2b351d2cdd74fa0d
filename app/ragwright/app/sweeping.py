"""A grid of configurations, each measured once: what was measured is kept, and a stopped sweep goes on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragwright.app.asking import ask
from ragwright.app.evaluated import Material, Place, evaluated_workspace
from ragwright.app.evaluation import Request, prepare
from ragwright.core.config import Config, settings, with_settings
from ragwright.core.errors import InputError
from ragwright.core.settings_sources import from_assignments
from ragwright.eval.selection import Candidate

if TYPE_CHECKING:
    from ragwright.app.console import Console
    from ragwright.eval.values import Dataset, Row

Settings = Mapping[str, Any]
Axes = Mapping[str, Sequence[Any]]

DIAL = "search.evidence"
_INDEX = ("domain", "chunk", "encoder")  # a change of these needs an index of its own
_SEARCH = ("search",)  # and a change of these only another search

DEFAULT_AXES: Axes = {
    "chunk.strategy": ("structure", "recursive"),
    "chunk.tokens": (128, 200),
    "search.fusion": ("weighted", "rrf"),
    "search.dense_weight": (0.3, 0.5, 0.7),
    DIAL: (0.5, 0.6, 0.7, 0.8, 0.9),
}


@dataclass(frozen=True, slots=True)
class Sweep:
    """What to measure.

    Attributes:
        config: Every setting; the axes vary some.
        dataset: What is asked.
        axes: Values by dotted key.
        material: Which documents are asked.
        results: File that measured points are appended to and read from.
    """

    config: Config
    dataset: Dataset
    axes: Axes
    material: Material
    results: Path


def parse_axes(texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Axes as typed, `chunk.tokens=128,200`, by dotted key.

    Raises:
        InputError: One is not of that form, or names a setting that no sweep can vary.
    """
    known = settings()
    axes: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        key, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not values:
            raise InputError(f"--vary {text}: wanted key=value,value, such as chunk.tokens=128,200")
        if key not in known or key.partition(".")[0] not in (*_INDEX, *_SEARCH):
            raise InputError(f"--vary {text}: wanted a setting of domain, chunk, encoder or search")
        assigned = from_assignments([f"{key}={value}" for value in values.split(",")], known)
        axes[key] = tuple(dict.fromkeys((*axes.get(key, ()), *(given.value for given in assigned))))
        if not axes[key]:
            raise InputError(f"--vary {text} names no value")
    return axes


def needs_other_indexes(axes: Axes) -> bool:
    """Whether some combination is searched in an index of its own."""
    return any(key.partition(".")[0] in _INDEX for key in axes)


def grid(axes: Axes) -> Iterator[dict[str, Any]]:
    """Every combination, the last axis fastest.

    >>> list(grid({"search.limit": [5, 10], "search.mode": ["dense"]}))
    [{'search.limit': 5, 'search.mode': 'dense'}, {'search.limit': 10, 'search.mode': 'dense'}]
    """
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def points(axes: Axes) -> int:
    """How many combinations there are."""
    count = 1
    for values in axes.values():
        count *= len(values)
    return count


def sweep(
    task: Sweep, *, console: Console, done: Callable[[int], None] = lambda count: None
) -> list[Candidate]:
    """Measure every combination that has not been measured yet.

    Args:
        task: What to measure.
        console: Told how far an ingest is.
        done: Called with the number of points that are known by now.

    Returns:
        All combinations in the order of the grid.

    Raises:
        ConfigError: A combination is no valid configuration.
        InputError: A label does not fit the documents.
    """
    known = _read(task.results)
    wanted = list(grid(task.axes))
    for each in wanted:
        with_settings(task.config, each)  # the ranges of all are checked before the first is measured
    done(sum(_key(each) in known for each in wanted))
    for index_point, group in itertools.groupby(_ordered(wanted), key=_index_part):
        missing = [each for each in group if _key(each) not in known]
        if missing:
            for candidate in _measure(task, index_point, missing, console):
                known[_key(candidate.settings)] = candidate
                _append(task.results, candidate)
                done(sum(_key(each) in known for each in wanted))
    return [known[_key(each)] for each in wanted]


def _measure(
    task: Sweep, index_point: tuple[tuple[str, Any], ...], wanted: Sequence[Settings], console: Console
) -> Iterator[Candidate]:
    """Measure points that share an index."""
    config = with_settings(task.config, dict(index_point))
    varied = any(key.startswith("encoder.") for key, _ in index_point)
    with evaluated_workspace(config, task.material, console=console, promoted=not varied) as place:
        for _, group in itertools.groupby(wanted, key=_without_dial):
            yield from _measure_search(place, task.dataset, list(group))


def _measure_search(place: Place, dataset: Dataset, wanted: Sequence[Settings]) -> Iterator[Candidate]:
    """Measure points that differ at the dial only: one search serves them all."""
    from ragwright.eval.score import dial_rows, score
    from ragwright.retrieval.search import SearchOptions

    workspace = place.workspace
    config = with_settings(workspace.config, {k: v for k, v in wanted[0].items() if k.startswith("search.")})
    prepared = prepare(workspace, dataset, Request(answers=False))
    options, scoring = SearchOptions(**config.search.model_dump()), prepared.scoring
    if "search.rerank" not in wanted[0]:
        options = replace(options, rerank=workspace.search_options().rerank)
    system = replace(prepared.system, options=options)
    shares = [each.get(DIAL, options.evidence) for each in wanted] if prepared.dial else []
    outcomes = ask(system, prepared.questions, dial=shares)
    common = score(outcomes, scoring)
    seconds = sum(sum(each.seconds.values()) for each in outcomes) / max(1, len(outcomes))
    for number, point in enumerate(wanted):
        at_share = dial_rows(outcomes, shares[number], scoring.units) if shares else []
        yield Candidate(point, _values([*common, *at_share]), seconds)


def _values(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Values by measure and question; of two for one place the later counts."""
    values: dict[str, dict[str, float]] = {}
    for row in rows:
        values.setdefault(row.measure, {})[row.question_id] = row.value
    return values


def _ordered(wanted: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Points that share an index side by side, and within them those that share a search."""
    return sorted(wanted, key=lambda each: (repr(_index_part(each)), repr(_without_dial(each))))


def _index_part(point: Settings) -> tuple[tuple[str, Any], ...]:
    return tuple((key, value) for key, value in point.items() if key.partition(".")[0] in _INDEX)


def _without_dial(point: Settings) -> tuple[tuple[str, Any], ...]:
    return tuple((key, value) for key, value in point.items() if key != DIAL)


def _key(point: Settings) -> str:
    return json.dumps(point, sort_keys=True)


def _read(path: Path) -> dict[str, Candidate]:
    """The points that were measured; what cannot be read, as a line that was cut short, is measured again."""
    known: dict[str, Candidate] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                candidate = Candidate(**json.loads(line))
            except (ValueError, TypeError):
                continue
            known[_key(candidate.settings)] = candidate
    return known


def _append(path: Path, candidate: Candidate) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    started = path.is_file() and path.stat().st_size > 0
    cut = started and path.read_bytes()[-1:] != b"\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut else "") + json.dumps(asdict(candidate), ensure_ascii=False) + "\n")
