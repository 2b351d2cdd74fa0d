"""What routing is worth: held-out questions, asked of each expert, of the router, and of one for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from ragwright.core.errors import InputError
from ragwright.core.routing_table import BASE

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.eval.statistics import Estimate
    from ragwright.eval.values import Dataset, Outcome
    from ragwright.retrieval.search import SearchOptions

MEASURES = ("nDCG@10", "R@10")
ROUTED, BEST = "routed", "best expert of each question"

Values = Mapping[str, float]
"""By question."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to encode the queries, and what came of it.

    Attributes:
        name: `base`, `routed`, `only NAME` for one expert, `single NAME` for one adapter of everything, and
            the best expert of each question, which nobody can know beforehand.
        values: By measure, the mean with its interval.
        gains: By measure, the mean difference to the base with its interval.
        p: By measure, of the paired randomisation test against the base.
    """

    name: str
    values: Mapping[str, Estimate]
    gains: Mapping[str, Estimate]
    p: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RoutingReport:
    """Every way over all questions, and who was chosen.

    Attributes:
        questions: How many were asked.
        ways: The base first.
        domains: The same for the questions of each domain that is known.
        chosen: For each domain, and `""` for all questions, how often each expert was chosen.
    """

    questions: int
    ways: tuple[Way, ...]
    domains: Mapping[str, tuple[Way, ...]]
    chosen: Mapping[str, Mapping[str, int]]


def routing_report(
    workspace: Workspace,
    dataset: Dataset,
    *,
    single: str | None = None,
    done: Callable[[], None] = lambda: None,
) -> RoutingReport:
    """Ask held-out questions in every way.

    Args:
        workspace: Holds the experts and the documents.
        dataset: Questions that nothing was learnt from.
        single: Name of one adapter for all domains, to compare with.
        done: Called after each question of each way.

    Raises:
        InputError: There are no experts, or a label does not fit the documents.
        ModelError: An expert cannot be opened.
    """
    from ragwright.app.tuning.routing import read_table

    table = read_table(workspace)
    if not table.experts:
        raise InputError("there are no experts to route to; add one: ragwright tune routing add NAME")
    names = (BASE, *table.names)
    asked = {_only(name): _asked(workspace, dataset, "router", expert=name, done=done) for name in names}
    routed = _asked(workspace, dataset, "router", expert=None, done=done)
    values = {name: found for name, (found, _) in asked.items()}
    values[ROUTED] = routed[0]
    if single is not None:
        values[f"single {single}"] = _asked(workspace, dataset, "adapter", single=single, done=done)[0]
    values[BEST] = {
        measure: {key: max(values[_only(name)][measure][key] for name in names) for key in found}
        for measure, found in values[BASE].items()
    }
    domains = _domains(workspace, dataset)
    choices = {each.question.id: _choice(each) for each in routed[1]}
    keys = list(values[BASE][MEASURES[0]])
    return RoutingReport(
        len(keys),
        _ways(values, keys),
        {name: _ways(values, own) for name, own in _grouped(domains, keys).items()},
        {
            name: dict(Counter(choices[key] for key in own))
            for name, own in [("", keys), *_grouped(domains, keys).items()]
        },
    )


def held_out(workspace: Workspace, path: Path | None) -> Dataset:
    """The questions of a data set; None: the held-out ones of the workspace.

    Raises:
        InputError: There are none.
    """
    from ragwright.app.tuning.questions import FOLDER, QUESTIONS
    from ragwright.eval.datasets import load_dataset
    from ragwright.finetune.questions.splitting import PART

    if path is not None:
        return load_dataset(path)
    file = workspace.folder / FOLDER / QUESTIONS
    if not file.is_file():
        raise InputError("there are no held-out questions; run: ragwright tune questions, or name a data set")
    dataset = load_dataset(file, name="held-out questions")
    items = tuple(item for item in dataset.items if item.metadata.get(PART) == "test")
    if not items:
        raise InputError(f"none of the questions in {file} is held out; make more, or name a data set")
    return replace(dataset, items=items)


def _only(name: str) -> str:
    return BASE if name == BASE else f"only {name}"


def _asked(
    workspace: Workspace,
    dataset: Dataset,
    part: str,
    *,
    done: Callable[[], None],
    expert: str | None = None,
    single: str = "router",
) -> tuple[dict[str, Values], Sequence[Outcome]]:
    """Values by measure and question of one way, and what came back."""
    from ragwright.app.asking import ask
    from ragwright.app.evaluation import Request, prepare
    from ragwright.eval.score import score
    from ragwright.eval.statistics import by_measure

    version, manifest = workspace.live()
    others = {key: name for key, name in manifest.parts.items() if key not in ("adapter", "router")}
    view = workspace.at(version, replace(manifest, parts={**others, part: single}))
    prepared = prepare(view, dataset, Request(answers=False))
    options: SearchOptions = replace(prepared.system.options, expert=expert)
    outcomes = ask(replace(prepared.system, options=options), prepared.questions, dial=(), done=done)
    found = by_measure(score(outcomes, prepared.scoring))
    return {measure: found[measure] for measure in MEASURES}, outcomes


def _choice(outcome: Outcome) -> str:
    """The expert that encoded a question, as its hits tell it; the base where nothing was found."""
    scores = outcome.found[0].scores if outcome.found else {}
    return next((key.removeprefix("expert_") for key in scores if key.startswith("expert_")), BASE)


def _domains(workspace: Workspace, dataset: Dataset) -> Mapping[str, str]:
    """The expert whose documents each question is about, by the patterns that it was trained for."""
    from ragwright.app.tuning.routing import read_table
    from ragwright.finetune.tuned_model import read_tuned

    patterns: dict[str, list[str]] = {}
    for each in read_table(workspace).experts:
        folder = workspace.registry.tuned / Path(each.folder).parent
        patterns[each.name] = [str(pattern) for pattern in read_tuned(folder).settings.get("documents", ())]
    found = {}
    for item in dataset.items:
        sources = {reference.source for reference in item.references}
        for name, wanted in patterns.items():
            if any(fnmatch(source, pattern) for source in sources for pattern in wanted):
                found[item.id] = name
                break
    return found


def _grouped(domains: Mapping[str, str], keys: Sequence[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for key in keys:
        if key in domains:
            grouped.setdefault(domains[key], []).append(key)
    return dict(sorted(grouped.items()))


def _ways(values: Mapping[str, Mapping[str, Values]], keys: Sequence[str]) -> tuple[Way, ...]:
    """Every way over some of the questions, compared with the base."""
    from ragwright.eval.statistics import estimate, randomisation_test

    ways = []
    base = {measure: [values[BASE][measure][key] for key in keys] for measure in MEASURES}
    for name, found in values.items():
        own = {measure: [found[measure][key] for key in keys] for measure in MEASURES}
        gains = {
            measure: [a - b for a, b in zip(own[measure], base[measure], strict=True)] for measure in MEASURES
        }
        ways.append(
            Way(
                name,
                {measure: estimate(own[measure], measure=measure) for measure in MEASURES},
                {measure: estimate(gains[measure], measure=measure) for measure in MEASURES},
                {measure: randomisation_test(own[measure], base[measure]) for measure in MEASURES},
            )
        )
    return tuple(ways)
